//! What operators see of a group.

use crate::gate;
use crate::mark;
use crate::shared::Shared;
use crate::types::Metrics;
use openraft::Instant as _;
use raft_api::{GroupStatus, LogIndex, MemberStatus, Mode, NodeId, NodeInfo, Role, Term};
use std::collections::BTreeSet;

pub(crate) fn of(shared: &Shared, metrics: &Metrics) -> GroupStatus {
    let is_leader = metrics.state.is_leader();
    let flushed = shared.journal.flushed(shared.shard);
    let flushed = flushed.map(|flushed| flushed.index);
    let durables = mark::durables(metrics, shared.own, flushed);
    let membership = metrics.membership_config.membership();
    let voters: BTreeSet<u64> = membership.voter_ids().collect();
    let sites: BTreeSet<_> = membership.nodes().map(|(_, node)| &node.site).collect();
    let last_contact = |id: u64| {
        let heartbeat = metrics.heartbeat.as_ref()?.get(&id)?.as_ref()?;
        u64::try_from(heartbeat.elapsed().as_millis()).ok()
    };
    let members = membership.nodes().zip(durables);
    let members = members.map(|((id, node), (_, durable))| {
        let is_own = *id == shared.own.0;
        MemberStatus {
            node: NodeInfo {
                id: NodeId(*id),
                site: node.site.clone(),
                peer_addr: node.peer_addr.clone(),
            },
            role: match metrics.current_leader {
                Some(leader) if leader == *id => Role::Leader,
                _ if voters.contains(id) => Role::Follower,
                _ => Role::Learner,
            },
            durable: durable.upto,
            applied: is_own.then(|| *shared.folded.borrow()).flatten(),
            clock_ahead_ms: shared.clocks.ahead(NodeId(*id)).filter(|_| is_leader),
            last_contact_ms: if is_own { Some(0) } else { last_contact(*id) },
        }
    });
    GroupStatus {
        shard: shared.shard,
        leader: metrics.current_leader.map(NodeId),
        term: Term(metrics.current_term),
        mode: match sites.len() {
            0 | 1 => Mode::SingleSite,
            _ => shared.mode.borrow().mode,
        },
        committed: metrics
            .local_committed
            .as_ref()
            .map(|committed| LogIndex(committed.index)),
        visible: *shared.mark.borrow(),
        on_site_loss: shared.mode.borrow().policy,
        mode_since_ms: Some(shared.mode.borrow().decided_at_ms).filter(|since| *since > 0),
        in_sync_until: *shared.in_sync_until.lock(),
        gate_closed: is_leader && !gate::is_open(shared, metrics),
        members: members.collect(),
    }
}
