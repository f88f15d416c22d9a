//! `/admin/trace?of=…`: what became of a message, by its Message-ID, its receipt, or an address.

use crate::failure::Failure;
use crate::router::AdminParts;
use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// The outcome logs of all nodes.
#[async_trait::async_trait]
pub trait TraceSource: Send + Sync + 'static {
    async fn trace(&self, of: &str) -> Result<Trace, TraceRefused>;
}

/// Nothing is asked for, or too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceRefused;

#[derive(Clone, Debug, Serialize)]
pub struct Trace {
    /// Oldest first: the fields of `docs/protocols/logs.md`, `at`, `at_ms`, `outcome` and `node`.
    pub records: Vec<Value>,
    /// False: there may be more, since a node did not answer or a bound was reached.
    pub complete: bool,
    pub nodes: Vec<TracedNode>,
}

#[derive(Clone, Debug, Serialize)]
pub struct TracedNode {
    pub node: u64,
    pub answered: bool,
    pub complete: bool,
    /// RFC 3339: what was before is not recorded any more. `None`: nothing is, or there was no answer.
    pub since: Option<String>,
    /// Outcomes that the node could not record since its start.
    pub lost: Option<u64>,
}

#[derive(Deserialize)]
pub struct Of {
    of: String,
}

pub async fn trace(
    State(parts): State<Arc<AdminParts>>,
    Query(query): Query<Of>,
) -> Result<Json<Trace>, Failure> {
    let refused = |TraceRefused| {
        Failure::bad_request("of names a Message-ID, a receipt or an address, of 1 to 1,024 octets")
    };
    parts
        .trace
        .trace(&query.of)
        .await
        .map(Json)
        .map_err(refused)
}
