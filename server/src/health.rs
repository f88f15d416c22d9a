//! What operators see: `/health/replication` and `/metrics`, gathered from groups, shards and the journal.

use crate::clock::{SystemClock, rfc3339};
use crate::identity::hex;
use engine_replica::{Clock, Shard};
use gateway_http::{
    Cluster, Digest, Health, HealthSource, Node, Problem, ReplicaHealth, ShardHealth,
};
use gateway_session::Sessions;
use raft_api::{Group, GroupStatus, MemberStatus, Mode, Role, ShardId};
use raft_log::Journal;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A replica is within bounds if its leader heard from it this recently and it is at most so many events behind.
const CONTACT_MS_MAX: u64 = 5_000;
const LAG_EVENTS_MAX: u64 = 10_000;

pub struct NodeHealth {
    pub groups: HashMap<ShardId, Arc<dyn Group>>,
    pub shards: HashMap<ShardId, Arc<Shard>>,
    pub journal: Journal,
    pub sessions: Sessions,
    pub cluster: Cluster,
    pub node: Node,
    /// True from when listeners are open until shutdown begins.
    pub ready: Arc<AtomicBool>,
    /// When each problem was first seen.
    pub seen: parking_lot::Mutex<BTreeMap<String, u64>>,
}

fn within_bounds(replica: &ReplicaHealth) -> bool {
    replica
        .last_contact_ms
        .is_some_and(|ms| ms <= CONTACT_MS_MAX)
        && replica.lag_events.is_some_and(|lag| lag <= LAG_EVENTS_MAX)
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::SingleSite => "single_site",
        Mode::InSync => "in_sync",
        Mode::CatchingUp => "catching_up",
        Mode::Degraded => "degraded",
    }
}

fn replica(member: &MemberStatus, status: &GroupStatus) -> ReplicaHealth {
    let lag = status.committed.zip(member.applied.or(member.durable));
    ReplicaHealth {
        node: member.node.id.0,
        site: member.node.site.to_string(),
        role: match member.role {
            Role::Leader => "leader",
            Role::Follower => "follower",
            Role::Learner => "learner",
        },
        durable: member.durable.map(|i| i.0),
        applied: member.applied.map(|i| i.0),
        indexed: None,
        lag_events: lag.map(|(committed, applied)| committed.0.saturating_sub(applied.0)),
        last_contact_ms: member.last_contact_ms,
    }
}

impl NodeHealth {
    fn shard_health(&self, status: &GroupStatus) -> ShardHealth {
        let digest = self.shards.get(&status.shard).map(|shard| shard.digest());
        ShardHealth {
            shard: status.shard.0,
            leader: status.leader.map(|id| id.0),
            term: status.term.0,
            committed: status.committed.map(|i| i.0),
            visible: status.visible.map(|i| i.0),
            digest: Digest {
                position: digest.as_ref().and_then(|d| d.position).map(|p| p.index.0),
                value: digest.as_ref().map(|d| hex(&d.value)),
                // Replicas do not exchange digests yet.
                agrees: None,
            },
            replicas: status
                .members
                .iter()
                .map(|member| replica(member, status))
                .collect(),
        }
    }

    fn problems(&self, statuses: &[GroupStatus]) -> Vec<Problem> {
        let mut found: BTreeMap<(&'static str, String), ()> = BTreeMap::new();
        let without: Vec<u32> = statuses
            .iter()
            .filter(|s| s.leader.is_none())
            .map(|s| s.shard.0)
            .collect();
        if !without.is_empty() {
            found.insert(
                (
                    "no_quorum",
                    format!("no leader is known for shards {without:?}"),
                ),
                (),
            );
        }
        if statuses.iter().any(|s| s.gate_closed) {
            found.insert(
                (
                    "site_unreachable",
                    "a second site cannot be reached: changes wait and are then refused".into(),
                ),
                (),
            );
        }
        for hole in self.journal.holes() {
            found.insert(("journal_hole", hole.to_string()), ());
        }
        for damage in self.journal.damages() {
            found.insert(("journal_damage", damage.to_string()), ());
        }
        let mut seen = self.seen.lock();
        let now = SystemClock.now().0;
        let keys: BTreeSet<String> = found
            .keys()
            .map(|(code, text)| format!("{code} {text}"))
            .collect();
        seen.retain(|key, _| keys.contains(key));
        found
            .into_keys()
            .map(|(code, text)| {
                let since = *seen.entry(format!("{code} {text}")).or_insert(now);
                let runbook = format!("docs/runbooks/{}.md", code.replace('_', "-"));
                Problem {
                    code,
                    text,
                    since: rfc3339(engine_types::UnixMillis(since)),
                    runbook,
                }
            })
            .collect()
    }
}

#[async_trait::async_trait]
impl HealthSource for NodeHealth {
    fn ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    async fn replication(&self) -> Health {
        let mut statuses: Vec<GroupStatus> =
            self.groups.values().map(|group| group.status()).collect();
        statuses.sort_by_key(|status| status.shard);
        let mode = statuses
            .iter()
            .map(|s| s.mode)
            .max()
            .unwrap_or(Mode::SingleSite);
        let shards: Vec<ShardHealth> = statuses
            .iter()
            .map(|status| self.shard_health(status))
            .collect();
        let problems = self.problems(&statuses);
        let quorum = statuses.iter().all(|s| s.leader.is_some());
        let bounded = shards
            .iter()
            .all(|shard| shard.replicas.iter().all(within_bounds));
        let status = match (quorum, bounded && problems.is_empty()) {
            (false, _) => "no_quorum",
            (true, true) => "ok",
            (true, false) => "at_risk",
        };
        Health {
            status,
            mode: mode_name(mode),
            on_site_loss: "strict",
            cluster: self.cluster.clone(),
            node: self.node.clone(),
            shards,
            problems,
        }
    }

    fn metrics(&self) -> String {
        let mut out = String::new();
        let stats = self.journal.stats();
        let mut gauge = |name: &str, help: &str, kind: &str, value: u64| {
            let _ = writeln!(
                out,
                "# HELP gotthard_{name} {help}\n# TYPE gotthard_{name} {kind}\ngotthard_{name} {value}"
            );
        };
        gauge(
            "journal_flushes_total",
            "Flushes of journal files.",
            "counter",
            stats.flushes,
        );
        gauge(
            "journal_batches_total",
            "Batches written to the journal.",
            "counter",
            stats.batches,
        );
        gauge(
            "journal_written_bytes_total",
            "Bytes written to the journal.",
            "counter",
            stats.bytes_written,
        );
        gauge(
            "journal_entries_total",
            "Entries written to the journal.",
            "counter",
            stats.entries_written,
        );
        gauge(
            "journal_segments",
            "Segment files with frames.",
            "gauge",
            stats.segments,
        );
        gauge(
            "journal_disk_bytes",
            "Length of all files of the journal.",
            "gauge",
            stats.bytes_on_disk,
        );
        gauge(
            "sessions",
            "Open client sessions.",
            "gauge",
            self.sessions.list().len() as u64,
        );
        gauge(
            "journal_holes",
            "Shards whose log cannot be proven complete here.",
            "gauge",
            self.journal.holes().len() as u64,
        );
        let _ = writeln!(
            out,
            "# HELP gotthard_shard_visible Highest index that may be shown.\n# TYPE gotthard_shard_visible gauge"
        );
        for status in self.groups.values().map(|group| group.status()) {
            if let Some(visible) = status.visible {
                let _ = writeln!(
                    out,
                    "gotthard_shard_visible{{shard=\"{}\"}} {}",
                    status.shard, visible.0
                );
            }
        }
        out
    }
}
