//! What operators see of a group: plain values, filled by `raft-node`, printed by the server.

use crate::{LogIndex, NodeId, ShardId, SiteName, Term};
use std::time::SystemTime;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Leader,
    Follower,
    Learner,
}

/// The durability that acknowledgements have at this moment (promises P1 and P3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    SingleSite,
    InSync,
    CatchingUp,
    Degraded,
}

/// What the operator wants when only one site is left (promise P3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnSiteLoss {
    /// Changes wait, and are then refused: nothing is acknowledged that one more loss could take away.
    #[default]
    Strict,
    /// Changes go on, each acknowledged by one site, and health says so.
    Degrade,
}

/// Who a node is and where; from the membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    pub id: NodeId,
    pub site: SiteName,
    /// `host:port` of its peer listener.
    pub peer_addr: String,
}

/// One member as its group's leader sees it; `None` where it cannot be known from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    pub node: NodeInfo,
    pub role: Role,
    /// Flushed to stable storage on that node.
    pub durable: Option<LogIndex>,
    /// Folded on that node.
    pub applied: Option<LogIndex>,
    pub last_contact_ms: Option<u64>,
    /// On the leader: how far its clock is ahead of the leader's, in milliseconds.
    pub clock_ahead_ms: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupStatus {
    pub shard: ShardId,
    pub leader: Option<NodeId>,
    pub term: Term,
    pub mode: Mode,
    pub committed: Option<LogIndex>,
    /// The mark: what may be shown and acknowledged.
    pub visible: Option<LogIndex>,
    /// What the log says that the operator wants; `None`: not written down yet.
    pub on_site_loss: Option<OnSiteLoss>,
    /// When the leader decided on the mode, by its clock, in milliseconds since 1970; `None`: since the beginning.
    pub mode_since_ms: Option<u64>,
    /// Outside the leader's site, in a cluster of two sites: until when, by this node's clock, nothing was acknowledged
    /// that this site does not hold too.
    pub in_sync_until: Option<SystemTime>,
    /// True if a second site cannot be reached now, so that changes wait.
    pub gate_closed: bool,
    pub members: Vec<MemberStatus>,
}

/// Something that a human should know; `code` names its runbook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub code: &'static str,
    pub text: String,
    pub since_ms: u64,
}
