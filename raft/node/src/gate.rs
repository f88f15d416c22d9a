//! The site gate: while no member of a second site can be reached, nothing new is proposed (design §3).

use crate::limits::SITE_SILENCE;
use crate::shared::Shared;
use crate::types::{Metrics, Raft};
use openraft::Instant as _;
use openraft::async_runtime::WatchReceiver;
use raft_api::{Mode, NodeId, OnSiteLoss, SiteName};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Whether a member of a second site was heard from lately. With one site there is nothing to wait for.
pub(crate) fn is_heard(metrics: &Metrics, own: NodeId) -> bool {
    let membership = metrics.membership_config.membership();
    let Some(own_site) = membership.get_node(&own.0).map(|node| &node.site) else {
        return false;
    };
    let is_elsewhere = |site: &SiteName| site != own_site;
    let mut others = membership
        .nodes()
        .filter(|(_, node)| is_elsewhere(&node.site))
        .peekable();
    if others.peek().is_none() {
        return true;
    }
    let heard = |id: &u64| {
        let heartbeat = metrics.heartbeat.as_ref()?.get(id)?.as_ref()?;
        Some(heartbeat.elapsed() < SITE_SILENCE)
    };
    others.any(|(id, _)| heard(id).unwrap_or(false))
}

/// Whether a leader may propose: a second site is heard from, or the operator's policy lets one site go on, and the
/// log says so.
pub(crate) fn is_open(shared: &Shared, metrics: &Metrics) -> bool {
    let goes_on_alone = || {
        let degraded = shared.mode.borrow().mode != Mode::InSync;
        degraded && shared.policy() == OnSiteLoss::Degrade
    };
    is_heard(metrics, shared.own) || goes_on_alone()
}

/// Waits until the gate opens, at most `limit`. False: it stayed closed, or we no longer lead.
pub(crate) async fn wait_open(shared: &Shared, raft: &Raft, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    let mut metrics = raft.metrics();
    let mut mode = shared.mode.subscribe();
    loop {
        {
            let now = metrics.borrow_and_update();
            mode.mark_unchanged();
            if is_open(shared, &now) {
                return true;
            }
            if !now.state.is_leader() {
                return false;
            }
        }
        let changed = async {
            tokio::select! {
            biased;
                changed = metrics.changed() => changed.is_ok(),
                changed = mode.changed() => changed.is_ok(),
            }
        };
        match timeout_at(deadline, changed).await {
            Ok(true) => {}
            Ok(false) | Err(_) => return false,
        }
    }
}
