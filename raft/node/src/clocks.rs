//! The others' wall clocks, as a leader hears of them with each answer to an append.

use crate::limits::CLOCK_OFF_MAX_MS;
use parking_lot::Mutex;
use raft_api::NodeId;
use std::collections::BTreeMap;

/// By how many milliseconds each is ahead of ours. What an answer took on its way is far below what counts.
#[derive(Default)]
pub(crate) struct Clocks(Mutex<BTreeMap<NodeId, i64>>);

impl Clocks {
    /// `theirs` 0: an older version, which does not tell.
    pub fn note(&self, node: NodeId, theirs: u64, ours: u64) {
        if theirs > 0 {
            let ahead = i128::from(theirs) - i128::from(ours);
            let ahead = ahead.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
            self.0.lock().insert(node, ahead as i64);
        }
    }

    pub fn ahead(&self, node: NodeId) -> Option<i64> {
        self.0.lock().get(&node).copied()
    }

    /// Whether it says about the same as ours, or was not heard from.
    pub fn agrees(&self, node: NodeId) -> bool {
        let ahead = self.ahead(node).unwrap_or(0);
        ahead.unsigned_abs() <= CLOCK_OFF_MAX_MS
    }

    /// Whether anybody's differs by too much. Cheap: asked before each proposal.
    pub fn differ(&self) -> bool {
        let ahead = self.0.lock();
        ahead
            .values()
            .any(|ms| ms.unsigned_abs() > CLOCK_OFF_MAX_MS)
    }

    /// Whether more than half of the voters say that our clock is off. Those that were not heard from have no say.
    pub fn is_off(&self, voters: impl Iterator<Item = NodeId>) -> bool {
        let ahead = self.0.lock();
        let (mut all, mut off) = (0, 0);
        for voter in voters {
            all += 1;
            let differs = ahead
                .get(&voter)
                .is_some_and(|ms| ms.unsigned_abs() > CLOCK_OFF_MAX_MS);
            off += usize::from(differs);
        }
        off * 2 > all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_decides_whose_clock_is_off() {
        let check = |ahead_ms: &[i64], voters: u64, expect: bool| {
            let clocks = Clocks::default();
            for (node, ahead) in (2..).zip(ahead_ms) {
                let theirs = 1_800_000_000_000_i64 + ahead;
                clocks.note(NodeId(node), theirs as u64, 1_800_000_000_000);
            }
            assert_eq!(
                clocks.is_off((1..=voters).map(NodeId)),
                expect,
                "{ahead_ms:?}"
            );
        };
        check(&[], 1, false);
        check(&[0, 0], 3, false);
        check(&[60_000, -60_000], 3, false);
        check(&[3_600_000, 0], 3, false);
        check(&[3_600_000, 3_600_000], 3, true);
        check(&[-600_000, -600_001], 3, true);
        // One is not heard from: two of three is what is asked for.
        check(&[3_600_000], 3, false);
        check(&[3_600_000, 3_600_000, 0, 0], 5, false);
        check(&[3_600_000, 3_600_000, 3_600_000, 0], 5, true);
    }
}
