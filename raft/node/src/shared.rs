//! What the tasks of one group share.
//!
//! FOLD-1: `folded` ≤ `mark` ≤ `handed`: nothing is folded that is not committed here and covered by the mark.
//! FOLD-2: a proposal's responder is queued before its position is handed over, so the fold finds it.

use crate::clocks::Clocks;
use crate::fold::FoldQueue;
use crate::mode::{Leases, ModeNow};
use crate::snapshot_in::Receiving;
use crate::types::{RaftLogId, RaftStoredMembership, TypeConfig};
use openraft::storage::ApplyResponder;
use parking_lot::Mutex;
use raft_api::{
    LogId, LogIndex, NodeId, NodeInfo, OnSiteLoss, ShardId, SnapshotSource, StateMachine,
};
use raft_log::Journal;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::time::Instant;

pub(crate) struct Shared {
    pub shard: ShardId,
    pub own: NodeId,
    pub journal: Journal,
    pub machine: Arc<dyn StateMachine>,
    /// The highest mark that a leader told us, or that was kept from before. Rises only.
    pub told: watch::Sender<Option<LogIndex>>,
    /// The last entry that consensus gave to `apply`: committed, and in our own journal. Rises only.
    pub handed: watch::Sender<Option<LogId>>,
    /// What may be shown and acknowledged here. Rises only.
    pub mark: watch::Sender<Option<LogIndex>>,
    pub folded: watch::Sender<Option<LogIndex>>,
    /// The log id of `folded`.
    pub position: Mutex<Option<LogId>>,
    /// Of our own proposals, by index; their number is bounded by admission.
    pub responders: Mutex<VecDeque<(u64, ApplyResponder<TypeConfig>)>>,
    /// Held while entries are folded or a snapshot is installed: one at a time changes the views.
    pub folding: Arc<tokio::sync::Mutex<()>>,
    /// In the queue of `fold_queue`, or about to be.
    pub is_fold_due: AtomicBool,
    /// The fold has met a rotten entry and waits until it is mended.
    pub waits_for_mend: AtomicBool,
    pub fold_queue: Arc<FoldQueue>,
    /// Memberships that were handed over, oldest first; all but the last one before `position` are dropped.
    pub memberships: Mutex<VecDeque<RaftStoredMembership>>,
    /// The nodes of the newest membership that was handed over.
    pub members: watch::Sender<Vec<NodeInfo>>,
    /// For what humans read, and to refuse what would be stamped wrongly; safety never rests on it.
    pub wall_clock: fn() -> SystemTime,
    /// What the cluster is founded with; later the log says what the operator wants.
    pub founding_policy: OnSiteLoss,
    /// The newest mode that is committed.
    pub mode: watch::Sender<ModeNow>,
    /// Held while an entry of a mode or policy is under way.
    pub changing_mode: tokio::sync::Mutex<()>,
    /// On a leader: the sync leases that it granted.
    pub leases: Mutex<Leases>,
    /// Outside the leader's site: until when, by our wall clock, we know that nothing was acknowledged without us.
    pub in_sync_until: Mutex<Option<SystemTime>>,
    /// An operator has moved leadership by hand: until then it is not moved back.
    pub held_until: Mutex<Option<Instant>>,
    /// Members to which an append is about to carry the mark once it reaches this index.
    pub carried: Mutex<BTreeMap<NodeId, LogIndex>>,
    /// On a leader: members whose disk takes no entries now.
    pub full: Mutex<BTreeSet<NodeId>>,
    /// On a leader: what the others' clocks say.
    pub clocks: Clocks,
    /// Snapshots that are being fetched from us, by their number.
    pub sending: Mutex<HashMap<u64, Arc<dyn SnapshotSource>>>,
    /// The snapshot that we are fetching.
    pub receiving: Mutex<Option<Receiving>>,
    /// Why the fold or consensus has stopped for good; the process must stop.
    pub failed: watch::Sender<Option<String>>,
    #[cfg(any(test, feature = "testing"))]
    pub twin: Option<crate::node::Twin>,
}

/// Raises the value, never lowers it. Returns true if it changed.
pub(crate) fn raise<T: PartialOrd>(watch: &watch::Sender<Option<T>>, value: Option<T>) -> bool {
    watch.send_if_modified(|current| {
        let is_higher = value > *current;
        if is_higher {
            *current = value;
        }
        is_higher
    })
}

impl Shared {
    /// What may be done when one site is left.
    pub fn policy(&self) -> OnSiteLoss {
        let mark = *self.mark.borrow();
        self.mode.borrow().policy_in_force(mark)
    }

    pub fn fail(&self, reason: String) {
        tracing::error!(shard = %self.shard, reason, "the group stops");
        self.failed.send_replace(Some(reason));
    }

    pub fn wall_ms(&self) -> u64 {
        let since = (self.wall_clock)().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_millis() as u64)
    }

    pub fn set_full(&self, node: NodeId, full: bool) {
        let mut nodes = self.full.lock();
        let is_news = match full {
            true => nodes.insert(node),
            false => nodes.remove(&node),
        };
        drop(nodes);
        if is_news && full {
            tracing::warn!(shard = %self.shard, %node, "the node's disk is full: it takes no entries");
        }
    }

    /// After a change of `memberships`.
    pub fn tell_members(&self) {
        let memberships = self.memberships.lock();
        let Some(newest) = memberships.back() else {
            return;
        };
        let nodes = newest.membership().nodes().map(|(id, place)| NodeInfo {
            id: NodeId(*id),
            site: place.site.clone(),
            peer_addr: place.peer_addr.clone(),
        });
        let nodes: Vec<NodeInfo> = nodes.collect();
        self.members.send_if_modified(|members| {
            let is_news = *members != nodes;
            *members = nodes;
            is_news
        });
    }

    /// The newest membership at or before the fold's position.
    pub fn folded_membership(&self) -> RaftStoredMembership {
        let position = *self.position.lock();
        let mut memberships = self.memberships.lock();
        let is_folded = |membership: &RaftStoredMembership| {
            let at = membership.log_id().as_ref().map(index_of);
            at <= position.map(|position| position.index)
        };
        while memberships.get(1).is_some_and(is_folded) {
            memberships.pop_front();
        }
        let first = memberships.front().filter(|first| is_folded(first));
        first.cloned().unwrap_or_default()
    }
}

fn index_of(log_id: &RaftLogId) -> LogIndex {
    LogIndex(log_id.index)
}
