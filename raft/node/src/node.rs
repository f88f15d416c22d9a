//! A node: its groups, their tasks, and the peers they share.

use crate::admission::Admission;
use crate::error::NodeError;
use crate::group::RaftGroup;
use crate::inbox::Inbox;
use crate::limits::{MAX_APPEND_ENTRIES, MAX_READ_BYTES};
use crate::log_store::LogStore;
use crate::machine::Machine;
use crate::network::Network;
use crate::shared::Shared;
use crate::types::{Place, Raft, RaftStoredMembership, to_raft};
use crate::{fold, mark, prefer, wire};
use bytes::Bytes;
use openraft::SnapshotPolicy;
use parking_lot::Mutex;
use raft_api::{
    Group, Inbound, LogId, LogIndex, NodeId, NodeInfo, ShardId, SiteName, StateMachine,
};
use raft_log::{EntryKind, Journal};
use raft_transport::{Class, Peers, PeersConfig};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub struct NodeConfig {
    pub id: NodeId,
    pub site: SiteName,
    /// All members, this node among them: the founding membership of every group.
    pub members: Vec<NodeInfo>,
    pub shards: Vec<ShardId>,
    pub journal: Journal,
    pub peers: PeersConfig,
    pub timing: Timing,
}

/// The defaults are design §3's.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    pub heartbeat: Duration,
    pub election_min: Duration,
    pub election_max: Duration,
    /// How long a change waits at the door while no second site can be reached.
    pub gate_wait: Duration,
    /// How long a proposal waits for its outcome before that is unknown.
    pub propose_timeout: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            heartbeat: Duration::from_millis(200),
            election_min: Duration::from_millis(400),
            election_max: Duration::from_millis(700),
            gate_wait: Duration::from_secs(15),
            propose_timeout: Duration::from_secs(15),
        }
    }
}

pub struct Node {
    pub(crate) inbox: Arc<Inbox>,
    peers: Arc<Peers>,
    tasks: Mutex<JoinSet<()>>,
}

impl Node {
    /// Starts all groups whose log is whole, and founds those whose log is empty if this is the member with the lowest id. All members
    /// would found the same, so it is safe that only this one does; a node that has lost its disk must not come back
    /// under its old id.
    pub async fn start(
        config: NodeConfig,
        machines: HashMap<ShardId, Arc<dyn StateMachine>>,
    ) -> Result<Node, NodeError> {
        let own = config.members.iter().find(|member| member.id == config.id);
        if own.is_none_or(|own| own.site != config.site) {
            return Err(NodeError::NotAMember);
        }
        let mut groups = Vec::new();
        for shard in &config.shards {
            if config.journal.has_hole(*shard) {
                // It neither votes nor serves here; health names the frame, and the other shards go on.
                tracing::error!(%shard, "the shard's log has a hole: it does not start on this node");
                continue;
            }
            let machine = machines.get(shard).cloned();
            let machine = machine.ok_or(NodeError::NoStateMachine(*shard))?;
            groups.push(Arc::new(open(&config, *shard, machine)?));
        }
        let inbox = Arc::new(Inbox::default());
        let peers = Peers::new(config.peers, inbox.clone());
        let node = Node {
            inbox,
            peers,
            tasks: Mutex::default(),
        };
        let admission = Admission::new();
        let founders = founders(&config.members, config.id);
        for shared in groups {
            let shard = shared.shard;
            let started = match node.run(shared, config.timing, admission.clone()).await {
                Ok(raft) => found(&raft, shard, &founders).await,
                Err(error) => Err(error),
            };
            if let Err(error) = started {
                node.shutdown().await;
                return Err(error);
            }
        }
        Ok(node)
    }

    async fn run(
        &self,
        shared: Arc<Shared>,
        timing: Timing,
        admission: Admission,
    ) -> Result<Raft, NodeError> {
        let shard = shared.shard;
        let failed = |detail: String| NodeError::Raft { shard, detail };
        let raft_config = raft_config(timing).map_err(|error| failed(error.to_string()))?;
        let network = Network {
            shared: shared.clone(),
            peers: self.peers.clone(),
        };
        let log = LogStore {
            journal: shared.journal.clone(),
            shard,
        };
        let own = shared.own;
        let machine = Machine(shared.clone());
        let raft = Raft::new(own.0, Arc::new(raft_config), network, log, machine)
            .await
            .map_err(|error| failed(error.to_string()))?;
        {
            let mut tasks = self.tasks.lock();
            tasks.spawn(fold::run(shared.clone()));
            tasks.spawn(mark::run(shared.clone(), raft.clone()));
            tasks.spawn(prefer::run(shared.clone(), raft.clone()));
            for peer in self.peers.others() {
                let (shared, raft) = (shared.clone(), raft.clone());
                tasks.spawn(mark::push(shared, raft, self.peers.clone(), peer));
            }
        }
        let group = RaftGroup {
            shared,
            raft: raft.clone(),
            peers: self.peers.clone(),
            admission,
            timing,
        };
        self.inbox.groups.write().insert(shard, Arc::new(group));
        Ok(raft)
    }

    /// `None`: the shard does not run here (its log has a hole), or the node is shut down.
    pub fn group(&self, shard: ShardId) -> Option<Arc<dyn Group>> {
        let group = self.inbox.groups.read().get(&shard).cloned()?;
        Some(group)
    }

    /// Changes once when the shard's fold or its consensus has stopped for good: the process must stop.
    pub fn failed(&self, shard: ShardId) -> Option<watch::Receiver<Option<String>>> {
        let groups = self.inbox.groups.read();
        Some(groups.get(&shard)?.shared.failed.subscribe())
    }

    /// From now on `answerer` answers what peers `ask`.
    pub fn answer_with(&self, answerer: Arc<dyn Inbound>) {
        *self.inbox.asked.write() = Some(answerer);
    }

    /// A way to ask other nodes that outlives no shutdown.
    pub fn asker(&self) -> Asker {
        Asker {
            peers: self.peers.clone(),
        }
    }

    /// Ends all groups. Proposals that are under way become unknown. The journal stays open for its owner.
    pub async fn shutdown(&self) {
        *self.inbox.asked.write() = None;
        let groups: Vec<_> = self.inbox.groups.write().drain().collect();
        self.peers.shutdown().await;
        for (shard, group) in groups {
            if let Err(error) = group.raft.shutdown().await {
                tracing::warn!(%shard, %error, "consensus did not end well");
            }
        }
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        tasks.shutdown().await;
    }
}

/// Asks what is not about consensus: health, sessions. Cheap to clone.
#[derive(Clone)]
pub struct Asker {
    peers: Arc<Peers>,
}

impl Asker {
    /// `None`: the node did not answer within `limit`.
    pub async fn ask(&self, node: NodeId, question: Bytes, limit: Duration) -> Option<Bytes> {
        let shard = ShardId::CONTROL;
        let answer =
            self.peers
                .request(node, Class::Other, shard, wire::kind::ASK, question, limit);
        answer.await.ok()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.inbox.groups.write().clear();
    }
}

fn founders(members: &[NodeInfo], own: NodeId) -> Option<BTreeMap<u64, Place>> {
    let lowest = members.iter().map(|member| member.id).min();
    let members = members
        .iter()
        .map(|member| (member.id.0, Place::from(member)));
    (lowest == Some(own)).then(|| members.collect())
}

async fn found(
    raft: &Raft,
    shard: ShardId,
    founders: &Option<BTreeMap<u64, Place>>,
) -> Result<(), NodeError> {
    let failed = |detail: String| NodeError::Raft { shard, detail };
    let is_founded = raft.is_initialized().await;
    let is_founded = is_founded.map_err(|error| failed(error.to_string()))?;
    let Some(founders) = founders.as_ref().filter(|_| !is_founded) else {
        return Ok(());
    };
    let founded = raft.initialize(founders.clone()).await;
    match founded {
        // Another member's vote or entries came first: then there is nothing left to found.
        Ok(()) | Err(openraft::errors::RaftError::APIError(_)) => Ok(()),
        Err(error) => Err(failed(error.to_string())),
    }
}

fn raft_config(timing: Timing) -> Result<openraft::Config, openraft::ConfigError> {
    let ms = |duration: Duration| duration.as_millis() as u64;
    openraft::Config {
        cluster_name: "gotthard".into(),
        heartbeat_interval: ms(timing.heartbeat),
        election_timeout_min: ms(timing.election_min),
        election_timeout_max: ms(timing.election_max),
        max_payload_entries: MAX_APPEND_ENTRIES,
        snapshot_policy: SnapshotPolicy::Never,
        // A leader that lost its unflushed tail must not go on in the same term (design §3, seen).
        enable_leader_restore: Some(false),
        enable_pre_vote: Some(true),
        allow_log_reversion: Some(false),
        ..Default::default()
    }
    .validate()
}

/// Checks the views against the journal, and finds the membership at the fold's position.
fn open(
    config: &NodeConfig,
    shard: ShardId,
    machine: Arc<dyn StateMachine>,
) -> Result<Shared, NodeError> {
    let journal = config.journal.clone();
    let position = machine.applied();
    let mut memberships = VecDeque::new();
    if let Some(applied) = position {
        memberships.extend(membership_at(&journal, shard, applied)?);
    }
    let folded = position.map(|position| position.index);
    Ok(Shared {
        shard,
        own: config.id,
        machine,
        told: watch::Sender::new(journal.log_state(shard).mark.max(folded)),
        handed: watch::Sender::new(position),
        mark: watch::Sender::new(folded),
        folded: watch::Sender::new(folded),
        position: Mutex::new(position),
        responders: Mutex::default(),
        memberships: Mutex::new(memberships),
        failed: watch::Sender::new(None),
        journal,
    })
}

/// Reads the shard's log up to `applied`; once, at start.
fn membership_at(
    journal: &Journal,
    shard: ShardId,
    applied: LogId,
) -> Result<Option<RaftStoredMembership>, NodeError> {
    let unreadable = |detail: String| NodeError::Journal { shard, detail };
    let end = applied.index.0 + 1;
    let mut next = 0;
    let mut found = None;
    let mut last = None;
    while next < end {
        let entries = journal
            .read(shard, next..end, MAX_READ_BYTES)
            .map_err(|error| unreadable(error.to_string()))?;
        let Some(entry) = entries.last() else { break };
        next = entry.log_id.index.0 + 1;
        last = Some(entry.log_id);
        let newest = entries
            .into_iter()
            .rfind(|entry| entry.kind == EntryKind::Membership);
        if let Some(entry) = newest {
            let membership = wire::membership_in(entry.payload);
            let membership = membership.map_err(|error| unreadable(error.to_string()))?;
            let log_id = Some(to_raft(entry.log_id));
            found = Some(RaftStoredMembership::new(log_id, membership));
        }
    }
    if last != Some(applied) {
        let LogId { index, .. } = applied;
        return Err(views_ahead(shard, index));
    }
    Ok(found)
}

fn views_ahead(shard: ShardId, applied: LogIndex) -> NodeError {
    NodeError::ViewsAhead { shard, applied }
}
