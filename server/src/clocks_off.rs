//! Whose clock is off, for health.

use raft_api::GroupStatus;
use std::collections::BTreeSet;

/// As the leaders among `statuses` see it: nodes whose clock is off, or this one if most others say so.
pub fn clocks(own: u64, statuses: &[GroupStatus]) -> BTreeSet<String> {
    let mut texts = BTreeSet::new();
    for status in statuses {
        let ahead = status.members.iter();
        let ahead: Vec<(u64, i64)> = ahead
            .filter_map(|member| Some((member.node.id.0, member.clock_ahead_ms?)))
            .collect();
        let off: Vec<&(u64, i64)> = ahead
            .iter()
            .filter(|(_, ms)| ms.unsigned_abs() > raft_node::limits::CLOCK_OFF_MAX_MS)
            .collect();
        let text = |node: u64| format!("the clock of node {node} is off by more than a minute");
        match off.len() * 2 > ahead.len() {
            true => texts.extend([text(own)]),
            false => texts.extend(off.into_iter().map(|(node, _)| text(*node))),
        }
    }
    texts
}
