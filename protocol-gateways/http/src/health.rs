//! `/health/*`: the JSON of design §5, fixed names. `null` stands for what cannot be learnt, and is out of bounds.

use crate::router::AdminParts;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What the server knows of the cluster at this moment; made anew for each request.
#[async_trait::async_trait]
pub trait HealthSource: Send + Sync + 'static {
    /// This node accepts sessions and can read.
    fn ready(&self) -> bool;
    async fn replication(&self) -> Health;
    /// Prometheus text.
    fn metrics(&self) -> String;
}

#[derive(Clone, Debug, Serialize)]
pub struct Health {
    /// `ok`, `at_risk` or `no_quorum`.
    pub status: &'static str,
    pub mode: &'static str,
    pub on_site_loss: &'static str,
    pub cluster: Cluster,
    pub node: Node,
    pub shards: Vec<ShardHealth>,
    pub problems: Vec<Problem>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Cluster {
    pub id: String,
    pub incarnation: u32,
    pub nodes: usize,
    pub sites: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Node {
    pub id: u64,
    pub site: String,
    pub version: &'static str,
    pub pid: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShardHealth {
    pub shard: u32,
    pub leader: Option<u64>,
    pub term: u64,
    pub committed: Option<u64>,
    pub visible: Option<u64>,
    pub digest: Digest,
    pub replicas: Vec<ReplicaHealth>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Digest {
    pub position: Option<u64>,
    pub value: Option<String>,
    pub agrees: Option<bool>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReplicaHealth {
    pub node: u64,
    pub site: String,
    pub role: String,
    pub durable: Option<u64>,
    pub applied: Option<u64>,
    pub indexed: Option<u64>,
    pub lag_events: Option<u64>,
    pub last_contact_ms: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    pub code: &'static str,
    pub text: String,
    pub since: String,
    pub runbook: String,
}

pub async fn live() -> &'static str {
    "live\n"
}

pub async fn ready(State(parts): State<Arc<AdminParts>>) -> Response {
    if parts.health.ready() {
        (StatusCode::OK, "ready\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
    }
}

pub async fn replication(State(parts): State<Arc<AdminParts>>) -> Response {
    let health = parts.health.replication().await;
    let code = if health.status == "ok" {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, Json(health)).into_response()
}

pub async fn metrics(State(parts): State<Arc<AdminParts>>) -> Response {
    (
        [("content-type", "text/plain; version=0.0.4")],
        parts.health.metrics(),
    )
        .into_response()
}
