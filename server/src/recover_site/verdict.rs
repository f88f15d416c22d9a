//! What is missing when one site goes on without the other, as far as its own journals prove it.

use crate::clock::rfc3339;
use crate::in_sync::InSync;
use engine_types::UnixMillis;
use raft_node::recover::Standing;
use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Nothing that was ever acknowledged is missing.
    pub complete: bool,
    /// Unless complete: nothing that was acknowledged before is missing. RFC 3339.
    pub nothing_missing_before: Option<String>,
    pub shards: Vec<ShardVerdict>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShardVerdict {
    pub shard: u32,
    pub last_term: u64,
    pub last_index: u64,
    pub complete: bool,
    pub nothing_missing_before: Option<String>,
    #[serde(skip)]
    pub before: UnixMillis,
}

/// The newest command's time: a log grows in the order of its entries, so whatever is missing came later. Of a payload
/// as the state machine stamps it.
fn stamp(payload: &[u8]) -> UnixMillis {
    let stamp = payload
        .first_chunk()
        .map(|bytes| u64::from_le_bytes(*bytes));
    UnixMillis(stamp.unwrap_or(0))
}

fn of_shard(standing: &Standing, in_sync: &InSync, is_whole: bool) -> Option<ShardVerdict> {
    let last = standing.last?;
    let newest = standing
        .newest_command
        .as_deref()
        .map_or(UnixMillis(0), stamp);
    // A lease is a site's, not a node's, and there are only two sites that could have it.
    let may_lease = is_whole && standing.sites() <= 2;
    let lease = in_sync.get(&standing.shard.0).filter(|_| may_lease);
    let lease = lease.copied().unwrap_or(0);
    let before = UnixMillis(newest.0.max(lease));
    let complete = is_whole && standing.is_complete();
    Some(ShardVerdict {
        shard: standing.shard.0,
        last_term: last.term.0,
        last_index: last.index.0,
        complete,
        nothing_missing_before: (!complete).then(|| rfc3339(before)),
        before,
    })
}

/// `in_sync`: of all survivors, the latest for each shard. `is_whole`: all nodes of the site are among them.
pub fn verdict(standings: &[Standing], in_sync: &InSync, is_whole: bool) -> Verdict {
    let shards: Vec<ShardVerdict> = standings
        .iter()
        .filter_map(|standing| of_shard(standing, in_sync, is_whole))
        .collect();
    let incomplete = || shards.iter().filter(|shard| !shard.complete);
    let before = incomplete().map(|shard| shard.before).min();
    Verdict {
        complete: before.is_none(),
        nothing_missing_before: before.map(rfc3339),
        shards,
    }
}

impl Verdict {
    pub fn text(&self) -> String {
        let Some(before) = &self.nothing_missing_before else {
            return "Verdict: nothing acknowledged is missing. No shard's log let a leader go on without this site."
                .to_owned();
        };
        let shards = self.shards.iter().filter(|shard| !shard.complete);
        let shards: Vec<String> = shards.map(|shard| shard.shard.to_string()).collect();
        format!(
            "Verdict: nothing acknowledged before {before} is missing (by the clocks of the leaders and of this node).\n\
             What was acknowledged after that time may not be here, in shards {}: the policy let the other site go on alone, or\n\
             a node of this site is missing, or there are sites enough without this one.",
            shards.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft_api::{LogId, Mode, OnSiteLoss, ShardId};

    fn standing(shard: u32, could: OnSiteLoss, mode: Mode, newest_ms: u64) -> Standing {
        Standing {
            shard: ShardId(shard),
            last: Some(LogId::new(2, 9)),
            mode,
            others_could: could,
            members: Vec::new(),
            votes: true,
            newest_command: Some(newest_ms.to_le_bytes().to_vec().into()),
        }
    }

    #[test]
    fn verdicts() {
        use Mode::{Degraded, InSync};
        use OnSiteLoss::{Degrade, Strict};
        let check = |standings: Vec<Standing>, in_sync: &[(u32, u64)], expect: Option<&str>| {
            let in_sync: super::InSync = in_sync.iter().copied().collect();
            let verdict = verdict(&standings, &in_sync, true);
            assert_eq!(verdict.nothing_missing_before.as_deref(), expect);
            assert_eq!(verdict.complete, expect.is_none());
        };
        let strict = standing(1, Strict, InSync, 1_000);
        check(vec![strict.clone()], &[], None);
        // The policy in the log was strict again, and the site had not caught up yet.
        let behind = standing(1, Strict, Degraded, 7_000);
        check(vec![behind], &[], Some("1970-01-01T00:00:07Z"));
        let degrade = standing(2, Degrade, InSync, 5_000);
        check(
            vec![strict, degrade.clone()],
            &[],
            Some("1970-01-01T00:00:05Z"),
        );
        // A lease proves more than an old entry.
        check(
            vec![degrade.clone()],
            &[(2, 9_000)],
            Some("1970-01-01T00:00:09Z"),
        );
        check(
            vec![degrade.clone()],
            &[(1, 9_000)],
            Some("1970-01-01T00:00:05Z"),
        );
        // The shard that promises least counts.
        let idle = standing(3, Degrade, InSync, 2_000);
        check(
            vec![degrade, idle],
            &[(2, 9_000)],
            Some("1970-01-01T00:00:02Z"),
        );
    }
}
