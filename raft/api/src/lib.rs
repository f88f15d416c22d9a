//! Agreement on opaque bytes: the ids, values and traits that other rooms may name.
//! Enters: nothing. Leaves: `ShardId`, `NodeId`, `LogId`, `Group`, `StateMachine`, `Entries`, `Status`.
//! It must never know what an entry means, how it is stored or which consensus library agrees on it.
//! `raft-node` implements `Group` and `Entries`; `engine-replica` implements `StateMachine` and calls `Group`.
//! Read first: `ids.rs`, then `group.rs`.

mod group;
mod ids;
mod status;

pub use group::{
    Committed, Entries, EntriesError, Group, Inbound, ProposeError, Proposed, ReadError, ReadMark,
    Refused, SnapshotPart, SnapshotSource, StateMachine,
};
pub use ids::{LogId, LogIndex, NodeId, ShardId, SiteName, Term};
pub use status::{GroupStatus, MemberStatus, Mode, NodeInfo, OnSiteLoss, Problem, Role};
