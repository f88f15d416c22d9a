//! Why a node does not start.

use raft_api::{LogIndex, ShardId, SiteName};
use thiserror::Error;

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NodeError {
    #[error("this node is not among the members, or under another site")]
    NotAMember,
    /// Durability counts by site: a node that sits elsewhere than the others think would count for the wrong one.
    #[error(
        "node.site is {configured:?}, and the cluster agreed on {agreed:?} for this node: put it right, or add the node anew under another id"
    )]
    AnotherSite {
        configured: SiteName,
        agreed: SiteName,
    },
    #[error("shard {0} has no state machine")]
    NoStateMachine(ShardId),
    /// Going on would purge over the hole: the journal has lost what the views were built from.
    #[error("the views of shard {shard} are at {applied}, which its journal does not hold")]
    ViewsAhead { shard: ShardId, applied: LogIndex },
    #[error("the journal of shard {shard} cannot be read: {detail}")]
    Journal { shard: ShardId, detail: String },
    #[error("consensus of shard {shard} does not start: {detail}")]
    Raft { shard: ShardId, detail: String },
}
