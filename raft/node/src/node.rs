//! A node: its groups, their tasks, and the peers they share.

use crate::admission::Admission;
use crate::change::{Change, ChangeError};
use crate::error::NodeError;
use crate::fold::Folders;
use crate::group::RaftGroup;
use crate::inbox::Inbox;
use crate::limits::{FOLD_THREADS_MAX, MAX_APPEND_ENTRIES, SNAPSHOT_OFFER_TIMEOUT};
use crate::log_store::LogStore;
use crate::machine::Machine;
use crate::network::Network;
use crate::shared::Shared;
use crate::types::{Place, Raft};
use crate::{mark, members, mode, off_thread, prefer, start, wire};
use bytes::Bytes;
use openraft::SnapshotPolicy;
use parking_lot::Mutex;
use raft_api::{Group, Inbound, NodeId, NodeInfo, OnSiteLoss, ShardId, SiteName, StateMachine};
use raft_log::Journal;
use raft_transport::{Class, Peers, PeersConfig, TransportError};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub struct NodeConfig {
    pub id: NodeId,
    pub site: SiteName,
    /// The founding membership of every group, this node among them. Later members come by `change`.
    pub members: Vec<NodeInfo>,
    /// This node is to be added to groups that others have founded: it founds none.
    pub join: bool,
    pub shards: Vec<ShardId>,
    pub journal: Journal,
    pub peers: PeersConfig,
    pub timing: Timing,
    /// For what humans read; never for a decision.
    pub wall_clock: fn() -> SystemTime,
    /// What a new cluster begins with; later ones are asked for with `Change::Policy`.
    pub on_site_loss: OnSiteLoss,
    pub log: LogKeeping,
    #[cfg(test)]
    pub twin: Option<Twin>,
}

/// Rules broken on purpose, to prove that the tests see it.
#[cfg(any(test, feature = "testing"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twin {
    /// A leader that restarts within its lease goes on in its term.
    LeaderRestore,
    /// The mark does not ask what this node's own journal has flushed.
    MarkAheadOfFlush,
    /// The mark does not ask for a second site.
    SkipSiteGate,
    /// A leader answers reads without making sure that it still leads.
    StaleReads,
    /// A leader degrades while a sync lease may still hold.
    DegradeWithoutLease,
}

#[cfg(any(test, feature = "testing"))]
thread_local! {
    static TWIN: std::cell::Cell<Option<Twin>> = const { std::cell::Cell::new(None) };
}

#[cfg(any(test, feature = "testing"))]
static EVERYWHERE: std::sync::OnceLock<Twin> = std::sync::OnceLock::new();

/// What all nodes of the process break that start from now on. The first call counts.
#[cfg(any(test, feature = "testing"))]
pub fn break_everywhere(twin: Twin) {
    let _ = EVERYWHERE.set(twin);
}

/// What nodes break that start on this thread. Not a part of `NodeConfig`: features of one package must not ask others
/// for more.
#[cfg(any(test, feature = "testing"))]
pub fn break_on_purpose(twin: Option<Twin>) {
    TWIN.set(twin);
}

impl NodeConfig {
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn twin(&self) -> Option<Twin> {
        #[cfg(test)]
        if self.twin.is_some() {
            return self.twin;
        }
        TWIN.get().or(EVERYWHERE.get().copied())
    }
}

/// How much of Raft's log is kept, in entries of a group. What leaves it is still in the journal, but a member that
/// needs it gets a snapshot.
#[derive(Clone, Copy, Debug)]
pub struct LogKeeping {
    /// The log is looked at after so many entries.
    pub look_every: u64,
    /// So many entries stay, although the views hold them on stable storage.
    pub keep: u64,
}

impl Default for LogKeeping {
    fn default() -> LogKeeping {
        LogKeeping {
            look_every: 10_000,
            keep: 50_000,
        }
    }
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
    folders: Arc<Folders>,
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
        if !config.join && own.is_none_or(|own| own.site != config.site) {
            return Err(NodeError::NotAMember);
        }
        let folders = Arc::new(Folders::start(fold_threads()));
        let mut groups = Vec::new();
        for shard in &config.shards {
            if config.journal.has_hole(*shard) {
                // It neither votes nor serves here; health names the frame, and the other shards go on.
                tracing::error!(%shard, "the shard's log has a hole: it does not start on this node");
                continue;
            }
            let machine = machines.get(shard).cloned();
            let machine = machine.ok_or(NodeError::NoStateMachine(*shard))?;
            let shared = start::open(&config, *shard, machine, folders.queue()).await?;
            groups.push(Arc::new(shared));
        }
        let settings = Settings {
            timing: config.timing,
            log: config.log,
            #[cfg(any(test, feature = "testing"))]
            twin: config.twin(),
        };
        let inbox = Arc::new(Inbox::default());
        let peers = Peers::new(config.peers, inbox.clone());
        let node = Node {
            inbox,
            peers,
            tasks: Mutex::default(),
            folders,
        };
        let admission = Admission::new();
        let founders = founders(&config.members, config.id).filter(|_| !config.join);
        for shared in groups {
            let shard = shared.shard;
            let started = match node.run(shared, &settings, admission.clone()).await {
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
        settings: &Settings,
        admission: Admission,
    ) -> Result<Raft, NodeError> {
        let shard = shared.shard;
        let failed = |detail: String| NodeError::Raft { shard, detail };
        let raft_config = raft_config(settings).map_err(|error| failed(error.to_string()))?;
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
            tasks.spawn(mark::run(shared.clone(), raft.clone()));
            tasks.spawn(prefer::run(shared.clone(), raft.clone()));
            let peers = || self.peers.clone();
            tasks.spawn(members::run(shared.clone(), raft.clone(), peers()));
            tasks.spawn(mode::run(shared.clone(), raft.clone()));
            tasks.spawn(mode::ask(shared.clone(), raft.clone(), peers()));
        }
        let group = RaftGroup {
            shared,
            raft: raft.clone(),
            peers: self.peers.clone(),
            admission,
            timing: settings.timing,
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

    /// Changes a shard's membership or leadership, wherever its leader is.
    pub async fn change(&self, shard: ShardId, change: Change) -> Result<(), ChangeError> {
        let group = self.inbox.groups.read().get(&shard).cloned();
        let group = group.ok_or(ChangeError::NotRunning(shard))?;
        group.change(change).await
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
        let groups = std::mem::take(&mut *self.inbox.groups.write());
        self.peers.shutdown().await;
        for (shard, group) in groups {
            if let Err(error) = group.raft.shutdown().await {
                tracing::warn!(%shard, %error, "consensus did not end well");
            }
        }
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        tasks.shutdown().await;
        let folders = self.folders.clone();
        let _ = off_thread::run(move || folders.stop()).await;
    }
}

/// As many as can run, and two at least: one waits for the disk now and then.
fn fold_threads() -> usize {
    std::thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, FOLD_THREADS_MAX))
}

/// What all groups of a node have in common.
struct Settings {
    timing: Timing,
    log: LogKeeping,
    #[cfg(any(test, feature = "testing"))]
    twin: Option<Twin>,
}

impl Settings {
    /// Never: a leader that lost its unflushed tail must not go on in the same term (design §3, seen).
    fn restores_leaders(&self) -> bool {
        #[cfg(any(test, feature = "testing"))]
        if self.twin == Some(Twin::LeaderRestore) {
            return true;
        }
        false
    }
}

/// Asks what is not about consensus: health, sessions. Cheap to clone.
#[derive(Clone)]
pub struct Asker {
    peers: Arc<Peers>,
}

impl Asker {
    pub async fn ask(
        &self,
        node: NodeId,
        question: Bytes,
        limit: Duration,
    ) -> Result<Bytes, TransportError> {
        let shard = ShardId::CONTROL;
        let answer =
            self.peers
                .request(node, Class::Other, shard, wire::kind::ASK, question, limit);
        answer.await
    }

    /// The same of a node that may belong to no group yet: from now on it is known at this address.
    pub async fn ask_at(
        &self,
        node: NodeInfo,
        question: Bytes,
        limit: Duration,
    ) -> Result<Bytes, TransportError> {
        let id = node.id;
        self.peers.know(node);
        self.ask(id, question, limit).await
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

fn raft_config(settings: &Settings) -> Result<openraft::Config, openraft::ConfigError> {
    let Settings { timing, log, .. } = settings;
    let ms = |duration: Duration| duration.as_millis() as u64;
    openraft::Config {
        cluster_name: "gotthard".into(),
        heartbeat_interval: ms(timing.heartbeat),
        election_timeout_min: ms(timing.election_min),
        election_timeout_max: ms(timing.election_max),
        max_payload_entries: MAX_APPEND_ENTRIES,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(log.look_every),
        max_in_snapshot_log_to_keep: log.keep,
        purge_batch_size: log.look_every.div_ceil(2),
        // A snapshot's own bounds are ours (`snapshot_out.rs`).
        install_snapshot_timeout: ms(SNAPSHOT_OFFER_TIMEOUT),
        enable_leader_restore: Some(settings.restores_leaders()),
        enable_pre_vote: Some(true),
        allow_log_reversion: Some(false),
        ..Default::default()
    }
    .validate()
}
