//! The mark: what may be shown and acknowledged.
//!
//! MARK-1: mark ≤ committed, durable in two sites (if there are two, and the mode is in sync), flushed in this node's
//! journal, handed over.
//! MARK-2: it rises only. All of its parts but the own flush are facts of the cluster that stay true, and an entry
//! below it is committed, hence never truncated.
//! MARK-3: a leader tells others only what it shows itself; its own reads are therefore never behind theirs.

use crate::mode;
use crate::shared::{Shared, raise};
use crate::types::{Metrics, Raft};
use crate::wire::{self, WireMark, kind};
use openraft::async_runtime::WatchReceiver;
use openraft::errors::Fatal;
use raft_api::{LogIndex, Mode, NodeId, SiteName};
use raft_transport::{Class, Peers};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A member's site, and what it has on stable storage.
pub(crate) struct Durable {
    pub site: SiteName,
    pub upto: Option<LogIndex>,
}

/// The highest index that is durable in two sites, or in the only one.
pub(crate) fn durable_in_two_sites(members: &[Durable]) -> Option<LogIndex> {
    let mut best: BTreeMap<&SiteName, Option<LogIndex>> = BTreeMap::new();
    for member in members {
        let site = best.entry(&member.site).or_default();
        *site = (*site).max(member.upto);
    }
    let mut sites: Vec<Option<LogIndex>> = best.into_values().collect();
    sites.sort_unstable_by(|a, b| b.cmp(a));
    // `None` is lower than any index, so a site that has nothing comes last.
    sites.get(1).or(sites.first()).copied().flatten()
}

/// Each member's durable index as the leader knows it; of itself, what its journal has flushed.
pub(crate) fn durables(
    metrics: &Metrics,
    own: NodeId,
    flushed: Option<LogIndex>,
) -> Vec<(NodeId, Durable)> {
    let matched = |id: u64| {
        let progress = metrics.replication.as_ref()?.get(&id)?.as_ref()?;
        Some(LogIndex(progress.index))
    };
    let nodes = metrics.membership_config.nodes();
    nodes
        .map(|(id, node)| {
            let upto = match *id == own.0 {
                true => flushed,
                false => matched(*id),
            };
            let site = node.site.clone();
            (NodeId(*id), Durable { site, upto })
        })
        .collect()
}

fn mark_of(shared: &Shared, metrics: &Metrics, flushed: Option<LogIndex>) -> Option<LogIndex> {
    let handed = shared.handed.borrow().map(|handed| handed.index);
    let agreed = if metrics.state.is_leader() {
        let members = durables(metrics, shared.own, flushed);
        let members: Vec<Durable> = members.into_iter().map(|(_, durable)| durable).collect();
        let committed = metrics.local_committed.as_ref();
        let committed = committed.map(|committed| LogIndex(committed.index));
        let gates = shared.mode.borrow().mode == Mode::InSync;
        #[cfg(any(test, feature = "testing"))]
        if shared.twin == Some(crate::node::Twin::SkipSiteGate) {
            return committed
                .max(*shared.told.borrow())
                .min(flushed)
                .min(handed);
        }
        // Before our own term has begun, a mode may be committed that we have not seen yet (MODE-2).
        match gates || !mode::has_own_term(shared, metrics) {
            true => committed.min(durable_in_two_sites(&members)),
            false => committed,
        }
    } else {
        None
    };
    #[cfg(any(test, feature = "testing"))]
    if shared.twin == Some(crate::node::Twin::MarkAheadOfFlush) {
        return agreed.max(*shared.told.borrow()).min(handed);
    }
    // What a leader told before is still true of the cluster.
    agreed.max(*shared.told.borrow()).min(flushed).min(handed)
}

/// Recomputes the mark whenever one of its parts moves.
pub(crate) async fn run(shared: Arc<Shared>, raft: Raft) {
    let mut metrics = raft.metrics();
    let mut flushed = shared.journal.watch_flushed(shared.shard);
    let mut told = shared.told.subscribe();
    let mut handed = shared.handed.subscribe();
    let mut mode = shared.mode.subscribe();
    loop {
        // Checked where the metrics are followed anyway: the group has ended, and not because we asked for it.
        if let Err(fatal) = &metrics.borrow_watched().running_state
            && !matches!(fatal, Fatal::Stopped)
        {
            shared.fail(fatal.to_string());
            return;
        }
        let own = *flushed.borrow_and_update();
        told.mark_unchanged();
        handed.mark_unchanged();
        mode.mark_unchanged();
        let mark = mark_of(&shared, &metrics.borrow_and_update(), own);
        if raise(&shared.mark, mark)
            && let Some(mark) = mark
        {
            shared.journal.save_mark(shared.shard, mark);
            shared.fold_if_due();
        }
        let is_alive = tokio::select! {
            biased;
            changed = metrics.changed() => changed.is_ok(),
            changed = flushed.changed() => changed.is_ok(),
            changed = told.changed() => changed.is_ok(),
            changed = handed.changed() => changed.is_ok(),
            changed = mode.changed() => changed.is_ok(),
        };
        if !is_alive {
            return;
        }
    }
}

/// Tells `peer` the mark when it has moved and we lead; the next append would tell it up to a heartbeat later.
pub(crate) async fn push(shared: Arc<Shared>, raft: Raft, peers: Arc<Peers>, peer: NodeId) {
    let mut mark = shared.mark.subscribe();
    while mark.changed().await.is_ok() {
        let value = *mark.borrow_and_update();
        let is_carried = value <= shared.carried.lock().get(&peer).copied();
        if is_carried || !raft.is_leader() {
            continue;
        }
        let body = wire::bytes(&WireMark {
            result: 0,
            mark: value.map(|mark| mark.0),
        });
        let limit = crate::limits::RPC_TIMEOUT;
        // A hint: if it is lost, the next append carries it.
        let _ = peers
            .request(peer, Class::Append, shared.shard, kind::MARK, body, limit)
            .await;
    }
}
