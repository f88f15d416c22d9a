//! A node: its groups, their tasks, and the peers they share.

use crate::admission::Admission;
use crate::change::{Change, ChangeError};
use crate::error::NodeError;
use crate::fold::Folders;
use crate::inbox::Inbox;
use crate::launch::{self, Launcher, Settings};
use crate::limits::FOLD_THREADS_MAX;
use crate::shared::Shared;
use crate::start::{self, Opening};
use crate::{off_thread, repair, wire};
use bytes::Bytes;
use parking_lot::Mutex;
use raft_api::{Group, Inbound, NodeId, NodeInfo, OnSiteLoss, ShardId, SiteName, StateMachine};
use raft_log::Journal;
use raft_transport::{Class, Peers, PeersConfig, TransportError};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

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
    /// A node gives what its log holds at an index for whatever entry was asked for, committed or not.
    MendWithAnything,
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
    /// How long a start waits for shards whose logs must be mended first. Then they start when they are.
    pub repair_wait: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            heartbeat: Duration::from_millis(200),
            election_min: Duration::from_millis(400),
            election_max: Duration::from_millis(700),
            gate_wait: Duration::from_secs(15),
            propose_timeout: Duration::from_secs(15),
            repair_wait: Duration::from_secs(10),
        }
    }
}

pub struct Node {
    pub(crate) inbox: Arc<Inbox>,
    peers: Arc<Peers>,
    tasks: Arc<Mutex<JoinSet<()>>>,
    /// Of shards that start once their log is mended.
    repairs: Mutex<JoinSet<()>>,
    folders: Arc<Folders>,
}

impl Node {
    /// Starts all groups whose log is whole, or can be made so by what peers have, and founds those whose log is empty if this is the member with the lowest id. All members
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
        let opening = Opening::of(&config);
        let mut ready = Vec::new();
        let mut holed = Vec::new();
        for shard in &config.shards {
            let machine = machines.get(shard).cloned();
            let machine = machine.ok_or(NodeError::NoStateMachine(*shard))?;
            if config.journal.has_hole(*shard) {
                holed.push((*shard, machine));
                continue;
            }
            match start::open_with(&opening, *shard, machine.clone(), folders.queue()).await {
                Ok(shared) => ready.push(Arc::new(shared)),
                // It has read a frame that is rotten.
                Err(_) if config.journal.has_hole(*shard) => holed.push((*shard, machine)),
                Err(error) => return Err(error),
            }
        }
        let settings = Settings::of(&config);
        let founders = launch::founders(&config.members, config.id).filter(|_| !config.join);
        let repair_wait = config.timing.repair_wait;
        let inbox = Arc::new(Inbox::default());
        let peers = Peers::new(config.peers, inbox.clone());
        let launcher = Launcher {
            opening,
            inbox: inbox.clone(),
            peers: peers.clone(),
            tasks: Arc::default(),
            fold_queue: folders.queue(),
            admission: Admission::new(),
            settings,
            founders,
        };
        let node = Node {
            inbox,
            peers,
            tasks: launcher.tasks.clone(),
            repairs: Mutex::default(),
            folders,
        };
        match node.launch_all(&launcher, ready, holed, repair_wait).await {
            Ok(()) => Ok(node),
            Err(error) => {
                node.shutdown().await;
                Err(error)
            }
        }
    }

    /// Those that are whole at once; the others once they are mended, and for a while that is waited for.
    async fn launch_all(
        &self,
        launcher: &Launcher,
        ready: Vec<Arc<Shared>>,
        mut holed: Vec<(ShardId, Arc<dyn StateMachine>)>,
        repair_wait: Duration,
    ) -> Result<(), NodeError> {
        let journal = &launcher.opening.journal;
        for shared in ready {
            let (shard, machine) = (shared.shard, shared.machine.clone());
            match launcher.launch(shared).await {
                Err(_) if !journal.missing(shard).is_empty() => holed.push((shard, machine)),
                launched => launched?,
            }
        }
        let mut starting = Vec::new();
        for (shard, machine) in holed {
            // It neither votes nor serves here; health names the frame, and the other shards go on.
            tracing::error!(%shard, "the shard's log has a hole: it does not start on this node as it is");
            if journal.missing(shard).is_empty() {
                continue;
            }
            let (tell, started) = oneshot::channel();
            let task = repair::start_when_whole(launcher.clone(), shard, machine, tell);
            self.repairs.lock().spawn(task);
            starting.push(started);
        }
        // A node that is alone has nobody to wait for.
        let is_alone = self.peers.others().is_empty();
        let deadline = Instant::now()
            + if is_alone {
                Duration::ZERO
            } else {
                repair_wait
            };
        for started in starting {
            if let Ok(Ok(started)) = timeout_at(deadline, started).await {
                started?;
            }
        }
        Ok(())
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
        let mut repairs = std::mem::take(&mut *self.repairs.lock());
        repairs.shutdown().await;
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
