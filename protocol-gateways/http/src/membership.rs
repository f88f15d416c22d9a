//! `/admin/cluster`, `/admin/nodes`, `/admin/leader` and `/admin/policy`: what `gotthard cluster` calls, again and again until all is
//! done. Each call goes one step in every shard, and a step that is made already is a success.

use crate::failure::Failure;
use crate::router::AdminParts;
use axum::Json;
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use thiserror::Error;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    pub node: u64,
    pub site: String,
    /// `host:port` of its peer listener.
    pub peer: String,
}

/// What a new node's configuration must agree with.
#[derive(Clone, Debug, Serialize)]
pub struct ClusterView {
    pub id: String,
    pub incarnation: u32,
    pub mail_shards: u32,
    /// Members of any shard, by id.
    pub nodes: Vec<Member>,
}

/// How far a change has come in all shards.
#[derive(Clone, Debug, Serialize)]
pub struct Progress {
    /// Nothing is left to do.
    pub done: bool,
    pub shards: Vec<ShardProgress>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ShardProgress {
    pub shard: u32,
    pub leader: Option<u64>,
    /// The node's part in the shard.
    pub state: MemberState,
    /// Of a learner or voter: entries that it has not yet on stable storage; `null`: not known.
    pub behind: Option<u64>,
    /// What the shard's log says of the policy; only where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_site_loss: Option<OnSiteLoss>,
    /// What stands in the way now; the next call tries again.
    pub obstacle: Option<String>,
}

/// What happens to changes when only one site is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnSiteLoss {
    Strict,
    Degrade,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberState {
    Absent,
    Learner,
    Voter,
}

/// Why a call made no step at all.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NotChanged {
    /// It would be refused again.
    #[error("{0}")]
    Refused(String),
    /// Somebody does not answer: try again.
    #[error("{0}")]
    Unavailable(String),
}

/// The cluster's membership as the server changes it.
#[async_trait::async_trait]
pub trait Membership: Send + Sync + 'static {
    fn cluster(&self) -> ClusterView;
    /// Until the node votes in every shard.
    async fn add(&self, node: Member) -> Result<Progress, NotChanged>;
    /// Until the node belongs to no shard.
    async fn remove(&self, node: u64, leave_site: bool) -> Result<Progress, NotChanged>;
    /// Until the node leads the shard, or all of them.
    async fn transfer(&self, shard: Option<u32>, to: u64) -> Result<Progress, NotChanged>;
    /// Until every shard's log says so.
    async fn set_policy(&self, policy: OnSiteLoss) -> Result<Progress, NotChanged>;
}

#[derive(Deserialize)]
pub struct RemoveOptions {
    #[serde(default)]
    leave_site: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewLeader {
    shard: Option<u32>,
    to: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPolicy {
    on_site_loss: OnSiteLoss,
}

pub async fn cluster(State(parts): State<Arc<AdminParts>>) -> Json<ClusterView> {
    Json(parts.membership.cluster())
}

pub async fn add(
    State(parts): State<Arc<AdminParts>>,
    Json(node): Json<Member>,
) -> Result<Json<Progress>, Failure> {
    Ok(Json(parts.membership.add(node).await?))
}

pub async fn remove(
    State(parts): State<Arc<AdminParts>>,
    Path(node): Path<u64>,
    Query(options): Query<RemoveOptions>,
) -> Result<Json<Progress>, Failure> {
    let removed = parts.membership.remove(node, options.leave_site).await?;
    Ok(Json(removed))
}

pub async fn transfer(
    State(parts): State<Arc<AdminParts>>,
    Json(new): Json<NewLeader>,
) -> Result<Json<Progress>, Failure> {
    Ok(Json(parts.membership.transfer(new.shard, new.to).await?))
}

pub async fn set_policy(
    State(parts): State<Arc<AdminParts>>,
    Json(new): Json<NewPolicy>,
) -> Result<Json<Progress>, Failure> {
    Ok(Json(parts.membership.set_policy(new.on_site_loss).await?))
}
