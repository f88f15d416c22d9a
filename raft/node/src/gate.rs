//! The site gate: while no member of a second site can be reached, nothing new is proposed (design §3).

use crate::limits::SITE_SILENCE;
use crate::types::{Metrics, Raft};
use openraft::Instant as _;
use openraft::async_runtime::WatchReceiver;
use raft_api::{NodeId, SiteName};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Whether a leader may propose. With one site there is no gate.
pub(crate) fn is_open(metrics: &Metrics, own: NodeId) -> bool {
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

/// Waits until the gate opens, at most `limit`. False: it stayed closed, or we no longer lead.
pub(crate) async fn wait_open(raft: &Raft, own: NodeId, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    let mut metrics = raft.metrics();
    loop {
        {
            let now = metrics.borrow_and_update();
            if is_open(&now, own) {
                return true;
            }
            if !now.state.is_leader() {
                return false;
            }
        }
        match timeout_at(deadline, metrics.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return false,
        }
    }
}
