//! `/admin/receipt?id=…`: where an acknowledged change stands now, by the receipt that its acknowledgement carried.

use crate::failure::Failure;
use crate::router::AdminParts;
use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[async_trait::async_trait]
pub trait ReceiptSource: Send + Sync + 'static {
    async fn receipt(&self, id: &str) -> Result<ReceiptView, ReceiptRefused>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiptRefused {
    /// `<cluster.incarnation:shard:term:log_index>` is what a receipt looks like.
    Malformed,
    /// It names another cluster, or a shard that is not here.
    NotOurs(String),
}

#[derive(Clone, Debug, Serialize)]
pub struct ReceiptView {
    pub receipt: String,
    pub shard: u32,
    pub term: u64,
    pub index: u64,
    /// False: another change, or none, stands at this place of the log now.
    pub held: bool,
    pub visible: bool,
    /// Sites that have it on stable storage now.
    pub sites: Vec<String>,
    /// Nodes that have.
    pub nodes: Vec<u64>,
    pub text: String,
}

#[derive(Deserialize)]
pub struct Id {
    id: String,
}

pub async fn receipt(
    State(parts): State<Arc<AdminParts>>,
    Query(query): Query<Id>,
) -> Result<Json<ReceiptView>, Failure> {
    let view = parts.receipts.receipt(&query.id).await;
    view.map(Json).map_err(|refused| match refused {
        ReceiptRefused::Malformed => {
            Failure::bad_request("id is a receipt: <cluster.incarnation:shard:term:log_index>")
        }
        ReceiptRefused::NotOurs(why) => Failure::bad_request(&why),
    })
}
