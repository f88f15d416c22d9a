//! Where leaders should be: in the larger site, spread over its nodes by shard (design §3).
//!
//! A leader in the smaller site is safe, but each of its acknowledgements crosses the link, and it is lost with it.

use crate::limits::{PREFERENCE_CHECK, PREFERENCE_CONTACT, PREFERENCE_LAG_ENTRIES};
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

/// The member to hand leadership to now: the preferred one, if it was heard from and has nearly all of the log.
fn successor(metrics: &Metrics, own: NodeId, shard: ShardId) -> Option<NodeId> {
    if !metrics.state.is_leader() {
        return None;
    }
    let membership = metrics.membership_config.membership();
    let voters = membership.voter_ids().filter_map(|id| {
        let node = membership.get_node(&id)?;
        Some((NodeId(id), &node.site))
    });
    let to = preferred(voters, shard).filter(|to| *to != own)?;
    let heard = metrics.heartbeat.as_ref()?.get(&to.0)?.as_ref()?;
    let matched = metrics.replication.as_ref()?.get(&to.0)?.as_ref()?.index;
    let last = metrics.last_log_index.unwrap_or(0);
    let is_close = matched + PREFERENCE_LAG_ENTRIES >= last;
    (heard.elapsed() < PREFERENCE_CONTACT && is_close).then_some(to)
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
        if is_held {
            continue;
        }
        let metrics = raft.metrics();
        let to = successor(&metrics.borrow_watched(), shared.own, shared.shard);
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
