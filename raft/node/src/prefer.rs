//! Where leaders should be: in the larger site, spread over its nodes by shard (design §3).
//!
//! A leader in the smaller site is safe, but each of its acknowledgements crosses the link, and it is lost with it.

use crate::limits::{PREFERENCE_CHECK, PREFERENCE_CONTACT, PREFERENCE_LAG_ENTRIES};
use crate::off_thread;
use crate::shared::Shared;
use crate::types::{Metrics, Raft};
use openraft::Instant as _;
use openraft::async_runtime::WatchReceiver;
use raft_api::{NodeId, ShardId, SiteName};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// The member that should lead the shard. Every node comes to the same answer.
pub(crate) fn preferred<'a>(
    voters: impl Iterator<Item = (NodeId, &'a SiteName)>,
    shard: ShardId,
) -> Option<NodeId> {
    let mut sites: BTreeMap<&SiteName, Vec<NodeId>> = BTreeMap::new();
    for (id, site) in voters {
        sites.entry(site).or_default().push(id);
    }
    let most = sites.values().map(Vec::len).max()?;
    let largest = sites.into_values().filter(|nodes| nodes.len() == most);
    let mut candidates: Vec<NodeId> = largest.flatten().collect();
    candidates.sort_unstable();
    let at = shard.0 as usize % candidates.len();
    candidates.get(at).copied()
}

/// The member to hand leadership to now: the preferred one. With our own disk full, or our clock off, any that is fit: we would
/// refuse all changes.
fn successor(shared: &Shared, metrics: &Metrics) -> Option<NodeId> {
    if !metrics.state.is_leader() {
        return None;
    }
    let membership = metrics.membership_config.membership();
    let voters = || {
        membership.voter_ids().filter_map(|id| {
            let node = membership.get_node(&id)?;
            Some((NodeId(id), &node.site))
        })
    };
    let full = shared.full.lock();
    let is_off = shared.clocks.is_off(membership.voter_ids().map(NodeId));
    let is_fit = |to: &NodeId| {
        let has_time = is_off || shared.clocks.agrees(*to);
        let has_room = !full.contains(to);
        *to != shared.own && has_room && has_time && is_close(metrics, *to).unwrap_or(false)
    };
    let wanted = preferred(voters(), shared.shard).filter(is_fit);
    match is_unfit(shared, metrics) {
        true => wanted.or_else(|| voters().map(|(id, _)| id).find(is_fit)),
        false => wanted,
    }
}

/// We would refuse all changes.
fn is_unfit(shared: &Shared, metrics: &Metrics) -> bool {
    let voters = metrics.membership_config.membership().voter_ids();
    shared.journal.is_full() || shared.clocks.is_off(voters.map(NodeId))
}

/// Whether it was heard from, and has nearly all of the log.
fn is_close(metrics: &Metrics, to: NodeId) -> Option<bool> {
    let heard = metrics.heartbeat.as_ref()?.get(&to.0)?.as_ref()?;
    let matched = metrics.replication.as_ref()?.get(&to.0)?.as_ref()?.index;
    let last = metrics.last_log_index.unwrap_or(0);
    Some(heard.elapsed() < PREFERENCE_CONTACT && matched + PREFERENCE_LAG_ENTRIES >= last)
}

/// Looks now and then. Two looks in a row must agree, so that a node that has just come back is not asked at once.
pub(crate) async fn run(shared: Arc<Shared>, raft: Raft) {
    let mut tick = interval(PREFERENCE_CHECK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = None;
    loop {
        tick.tick().await;
        let is_held = shared
            .held_until
            .lock()
            .is_some_and(|until| Instant::now() < until);
        let is_unfit = is_unfit(&shared, &raft.metrics().borrow_watched());
        if is_held && !is_unfit {
            continue;
        }
        if shared.shard == ShardId::CONTROL || shared.journal.is_full() {
            // Somebody has to notice that the disk fills, or that there is room again, also where nothing is proposed.
            let journal = shared.journal.clone();
            let _ = off_thread::run(move || journal.look_for_room()).await;
        }
        let metrics = raft.metrics();
        let to = successor(&shared, &metrics.borrow_watched());
        if let Some(node) = to.filter(|_| to == before) {
            tracing::info!(shard = %shared.shard, to = %node, "leadership moves to its preferred node");
            if raft.trigger().transfer_leader(node.0).await.is_err() {
                return;
            }
            before = None;
        } else {
            before = to;
        }
    }
}
