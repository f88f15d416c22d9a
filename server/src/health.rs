//! What operators see: `/health/replication` and `/metrics`, gathered from groups, shards and the journal.

use crate::clock::{SystemClock, rfc3339};
use crate::clocks_off::clocks;
use crate::config::SiteLoss;
use crate::identity::hex;
use bytes::Bytes;
use engine_replica::{Clock, Shard};
use gateway_http::{
    Cluster, Digest, Health, HealthSource, Node, Problem, ReplicaHealth, ShardHealth,
};
use gateway_session::Sessions;
use index_port::Indexes;
use raft_api::{
    Group, GroupStatus, Inbound, MemberStatus, Mode, NodeId, NodeInfo, OnSiteLoss, Role, ShardId,
};
use raft_log::Journal;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A replica is within bounds if its leader heard from it this recently and it is at most so many events behind.
pub const CONTACT_MS_MAX: u64 = 5_000;
/// What nodes ask each other for a health page, and how long the page waits for an answer.
pub const QUESTION: &[u8] = b"shards";
pub const ASK_MAX: Duration = Duration::from_secs(2);
const LAG_EVENTS_MAX: u64 = 10_000;
/// Mailboxes in quarantine that are named, for each shard; each takes an operator's attention.
const QUARANTINED_SHOWN_MAX: usize = 20;
/// After a start the leaders are waited for, so that the first sessions see what was acknowledged last. An election
/// takes 1.4 s at worst; without a quorum the node is ready all the same, and serves copies.
const LEADERS_WAIT_MAX: Duration = Duration::from_secs(5);

pub struct NodeHealth {
    pub groups: HashMap<ShardId, Arc<dyn Group>>,
    pub shards: HashMap<ShardId, Arc<Shard>>,
    pub journal: Journal,
    pub sessions: Sessions,
    pub cluster_id: String,
    pub incarnation: u32,
    pub node: Node,
    pub asker: raft_node::Asker,
    /// As configured, while no shard's log says it.
    pub on_site_loss: SiteLoss,
    /// True from when listeners are open until shutdown begins.
    pub ready: Arc<AtomicBool>,
    pub opened_at: Instant,
    pub indexes: Arc<Indexes>,
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
            Role::Leader => "leader".to_owned(),
            Role::Follower => "follower".to_owned(),
            Role::Learner => "learner".to_owned(),
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
                // Known once the others have answered: `merge`.
                agrees: None,
            },
            replicas: status
                .members
                .iter()
                .map(|member| {
                    let is_own = member.node.id.0 == self.node.id;
                    let indexed = is_own.then(|| self.indexes.indexed(status.shard));
                    ReplicaHealth {
                        indexed: indexed.flatten().map(|at| at.0),
                        ..replica(member, status)
                    }
                })
                .collect(),
        }
    }

    /// What this node knows of its shards by itself, ordered.
    fn own_shards(&self) -> (Vec<GroupStatus>, Vec<ShardHealth>) {
        let mut statuses: Vec<GroupStatus> =
            self.groups.values().map(|group| group.status()).collect();
        statuses.sort_by_key(|status| status.shard);
        let shards = statuses.iter().map(|s| self.shard_health(s)).collect();
        (statuses, shards)
    }

    /// Every other member's own view, by node; those that do not answer are left out.
    async fn others(&self, members: &BTreeMap<NodeId, NodeInfo>) -> Vec<(u64, Vec<ShardHealth>)> {
        let mut asked = tokio::task::JoinSet::new();
        let others = members.keys().map(|id| id.0);
        for id in others.filter(|id| *id != self.node.id) {
            let asker = self.asker.clone();
            asked.spawn(async move {
                let answer = asker
                    .ask(NodeId(id), Bytes::from_static(QUESTION), ASK_MAX)
                    .await
                    .ok()?;
                Some((id, serde_json::from_slice(&answer).ok()?))
            });
        }
        let answers = asked.join_all().await;
        answers.into_iter().flatten().collect()
    }

    /// What the cluster knows of its shards: the leaders' word and each node's own.
    pub async fn all_shards(&self) -> (Vec<GroupStatus>, Vec<ShardHealth>) {
        let (statuses, mut shards) = self.own_shards();
        let others = self.others(&members_of(&statuses)).await;
        for shard in &mut shards {
            merge(shard, self.node.id, &others);
        }
        (statuses, shards)
    }

    /// The members of any shard, as this node knows them.
    pub fn members(&self) -> BTreeMap<NodeId, NodeInfo> {
        let statuses: Vec<GroupStatus> = self.groups.values().map(|g| g.status()).collect();
        members_of(&statuses)
    }

    fn cluster(&self, statuses: &[GroupStatus]) -> Cluster {
        let members = members_of(statuses);
        let sites: BTreeSet<String> = members.values().map(|m| m.site.to_string()).collect();
        Cluster {
            id: self.cluster_id.clone(),
            incarnation: self.incarnation,
            nodes: members.len(),
            sites: sites.into_iter().collect(),
        }
    }

    /// As this node's replicas have it: all replicas have the same.
    pub fn quarantined(&self) -> Vec<String> {
        let mut texts = Vec::new();
        for (id, shard) in &self.shards {
            match shard.view().quarantined(QUARANTINED_SHOWN_MAX) {
                Ok(found) => texts.extend(found.into_iter().map(|one| {
                    let what = match one.mailbox {
                        Some(mailbox) => {
                            format!("mailbox {} of account {}", mailbox.0, one.account.0)
                        }
                        None => format!("account {}", one.account.0),
                    };
                    let entry = format!("{}.{}", one.term, one.index);
                    format!("{what} in shard {id} takes no changes since entry {entry}")
                })),
                Err(error) => tracing::warn!(shard = id.0, %error, "quarantine cannot be read"),
            }
        }
        texts
    }

    /// What may happen in any shard.
    fn on_site_loss(&self, statuses: &[GroupStatus]) -> &'static str {
        let written: Vec<OnSiteLoss> = statuses.iter().filter_map(|s| s.on_site_loss).collect();
        match (written.is_empty(), written.contains(&OnSiteLoss::Degrade)) {
            (true, _) => self.on_site_loss.name(),
            (false, true) => SiteLoss::Degrade.name(),
            (false, false) => SiteLoss::Strict.name(),
        }
    }

    fn problems(&self, statuses: &[GroupStatus], shards: &[ShardHealth]) -> Vec<Problem> {
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
        let alone = |s: &&GroupStatus| matches!(s.mode, Mode::Degraded | Mode::CatchingUp);
        let shards_alone: Vec<u32> = statuses.iter().filter(alone).map(|s| s.shard.0).collect();
        if !shards_alone.is_empty() {
            let text = format!("shards {shards_alone:?} acknowledge changes that one site holds");
            found.insert(("degraded", text), ());
        }
        if self.journal.is_full() {
            let text = format!(
                "the disk of node {} is full: it takes no changes, and leads no shard that another node can lead",
                self.node.id
            );
            found.insert(("disk_full", text), ());
        }
        for text in clocks(self.node.id, statuses) {
            found.insert(("clock_off", text), ());
        }
        for hole in self.journal.holes() {
            found.insert(("journal_hole", hole.to_string()), ());
        }
        for damage in self.journal.damages() {
            found.insert(("journal_damage", damage.to_string()), ());
        }
        let differ: Vec<u32> = shards
            .iter()
            .filter(|shard| shard.digest.agrees == Some(false))
            .map(|shard| shard.shard)
            .collect();
        if !differ.is_empty() {
            let text = format!("replicas of shards {differ:?} differ at one position");
            found.insert(("digest_mismatch", text), ());
        }
        for (shard, damage) in self.indexes.damages() {
            let text = format!("shard {shard}, node {}: {damage}", self.node.id);
            found.insert(("search_damaged", text), ());
        }
        for text in self.quarantined() {
            found.insert(("mailbox_quarantined", text), ());
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

fn members_of(statuses: &[GroupStatus]) -> BTreeMap<NodeId, NodeInfo> {
    let members = statuses.iter().flat_map(|status| &status.members);
    members
        .map(|member| (member.node.id, member.node.clone()))
        .collect()
}

/// Takes the leader's word for positions and contact, each node's own for what it has folded, and compares digests
/// wherever two nodes stand at the same position.
fn merge(shard: &mut ShardHealth, own: u64, others: &[(u64, Vec<ShardHealth>)]) {
    let told = |id: u64| {
        let shards = &others.iter().find(|(node, _)| *node == id)?.1;
        shards.iter().find(|other| other.shard == shard.shard)
    };
    let own_row = shard.replicas.iter().find(|r| r.node == own).cloned();
    let mut replicas = shard.replicas.clone();
    if let Some(leader) = shard.leader.filter(|leader| *leader != own)
        && let Some(view) = told(leader)
    {
        replicas = view.replicas.clone();
        shard.committed = view.committed;
        shard.visible = view.visible;
    }
    let mut compared = Vec::new();
    for replica in &mut replicas {
        let view = if replica.node == own {
            own_row.clone()
        } else {
            let view = told(replica.node);
            let same = view.filter(|v| v.digest.position == shard.digest.position);
            compared.extend(same.map(|v| v.digest.value == shard.digest.value));
            view.and_then(|v| v.replicas.iter().find(|r| r.node == replica.node).cloned())
        };
        replica.indexed = view.as_ref().and_then(|row| row.indexed);
        replica.applied = view.and_then(|row| row.applied);
        let lag = shard.committed.zip(replica.applied);
        replica.lag_events = lag.map(|(committed, applied)| committed.saturating_sub(applied));
    }
    shard.digest.agrees = (!compared.is_empty()).then(|| compared.iter().all(|same| *same));
    shard.replicas = replicas;
}

#[async_trait::async_trait]
impl Inbound for NodeHealth {
    /// The one question there is; another, of a newer version, gets no answer that can be read.
    async fn ask(&self, _from: NodeId, question: Bytes) -> Bytes {
        if question != QUESTION {
            return Bytes::new();
        }
        serde_json::to_vec(&self.own_shards().1).map_or_else(|_| Bytes::new(), Bytes::from)
    }
}

#[async_trait::async_trait]
impl HealthSource for NodeHealth {
    fn ready(&self) -> bool {
        if !self.ready.load(Ordering::Acquire) {
            return false;
        }
        let waits = self.opened_at.elapsed() < LEADERS_WAIT_MAX;
        self.groups.values().all(|group| {
            let status = group.status();
            let mut ids = status.members.iter().map(|member| member.node.id.0);
            // A node that is not yet let in, or was removed, has nothing to read.
            ids.any(|id| id == self.node.id) && (status.leader.is_some() || !waits)
        })
    }

    async fn replication(&self) -> Health {
        let (statuses, shards) = self.all_shards().await;
        let mode = statuses
            .iter()
            .map(|s| s.mode)
            .max()
            .unwrap_or(Mode::SingleSite);
        let problems = self.problems(&statuses, &shards);
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
            on_site_loss: self.on_site_loss(&statuses),
            cluster: self.cluster(&statuses),
            node: self.node.clone(),
            shards,
            problems,
        }
    }

    fn metrics(&self) -> String {
        crate::metrics::text(self)
    }
}
