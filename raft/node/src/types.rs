//! openraft's types as we use them, and the way between them and ours.

use crate::runtime::Runtime;
use bytes::Bytes;
use openraft::alias::{CommittedLeaderIdOf, EntryOf, LogIdOf, StoredMembershipOf, VoteOf};
use openraft::impls::leader_id_std;
use openraft::{EntryPayload, Membership};
use raft_api::{LogId, NodeInfo, SiteName};
use std::fmt;

/// What is agreed on.
#[derive(Clone, PartialEq, Eq)]
pub enum Payload {
    /// For the fold; opaque here.
    Command(Bytes),
    /// A `WireMode`, for the site gate.
    Mode(Bytes),
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Payload::Command(bytes) => write!(f, "{} bytes", bytes.len()),
            Payload::Mode(_) => f.write_str("a mode"),
        }
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What the fold made of it: opaque here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome(pub Bytes);

/// Where a member is. Its id is the key that the membership keeps it under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub site: SiteName,
    pub peer_addr: String,
}

/// Nowhere; openraft's suite for stores asks for it, no membership of ours holds it.
impl Default for Place {
    fn default() -> Place {
        Place {
            site: SiteName::new(""),
            peer_addr: String::new(),
        }
    }
}

impl From<&NodeInfo> for Place {
    fn from(node: &NodeInfo) -> Place {
        Place {
            site: node.site.clone(),
            peer_addr: node.peer_addr.clone(),
        }
    }
}

openraft::declare_raft_types!(
    /// Standard leader ids: one leader per term, so a log id is (term, index).
    pub TypeConfig:
        D = Payload,
        R = Outcome,
        Node = Place,
        LeaderId = leader_id_std::LeaderId<u64, u64>,
        AsyncRuntime = Runtime,
);

pub(crate) type RaftLogId = LogIdOf<TypeConfig>;
pub(crate) type RaftEntry = EntryOf<TypeConfig>;
pub(crate) type RaftVote = VoteOf<TypeConfig>;
pub(crate) type RaftMembership = Membership<u64, Place>;
pub(crate) type RaftStoredMembership = StoredMembershipOf<TypeConfig>;
pub(crate) type RaftPayload = EntryPayload<Payload, u64, Place>;
pub(crate) type Raft = openraft::Raft<TypeConfig, crate::machine::Machine>;
pub(crate) type Metrics = openraft::RaftMetrics<TypeConfig>;

pub(crate) fn to_raft(log_id: LogId) -> RaftLogId {
    RaftLogId {
        leader_id: CommittedLeaderIdOf::<TypeConfig>::new(log_id.term.0),
        index: log_id.index.0,
    }
}

pub(crate) fn from_raft(log_id: &RaftLogId) -> LogId {
    LogId::new(log_id.leader_id.term, log_id.index)
}
