//! A node of the simulated cluster: the real journal on a faulty disk, the real consensus, fold and service, and what is
//! left of them when it dies.

use crate::chance::{is_lucky, millis, stream};
use crate::clock::{self, NodeClock};
use crate::net::Net;
use crate::twins::Twin;
use engine_replica::Shard;
use engine_service::{Parts, Service};
use engine_store::{MemoryStore, ViewStore};
use parking_lot::Mutex;
use raft_api::{Entries, NodeInfo, OnSiteLoss, ShardId, StateMachine};
use raft_log::faulty_disk::{Chance, FaultyDisk};
use raft_log::{Disk, Identity, Journal, Options, Step, Writer};
use raft_node::{LogKeeping, Node, NodeConfig, Timing};
use raft_transport::PeersConfig;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

const CLUSTER: [u8; 16] = *b"simulated-mails!";
/// A part of a snapshot must fit into a frame, and a frame into a quarter of this.
const SEGMENT_BYTES: u64 = 2 << 20;
const MESSAGE_BYTES_MAX: u64 = 32 << 10;
/// Far more often than a server does: a crash then finds views at many positions.
const FLUSH_VIEWS_EVERY: Duration = Duration::from_millis(150);
/// A node that is told to end gets this long; what is left of it then is cut off anyway.
const SHUTDOWN_MAX: Duration = Duration::from_secs(5);

/// What all nodes of a run have in common.
#[derive(Clone)]
pub struct Common {
    pub members: Vec<NodeInfo>,
    pub shards: Vec<ShardId>,
    pub policy: OnSiteLoss,
    pub log: LogKeeping,
    pub twin: Option<Twin>,
    /// A node that stops by itself says so here: which start, and why.
    pub stopped: mpsc::Sender<(usize, u64, String)>,
}

pub struct SimNode {
    pub number: usize,
    pub info: NodeInfo,
    pub disk: FaultyDisk,
    pub clock: Arc<NodeClock>,
    /// How long flushes take, in ms: from, to.
    pub flush_ms: Arc<Mutex<(u64, u64)>>,
    views: Arc<MemoryStore>,
    chance: Chance,
    pub starts: u64,
    pub running: Option<Running>,
    /// It was not there at the founding.
    pub joins: bool,
}

pub struct Running {
    pub service: Arc<Service>,
    pub shards: BTreeMap<ShardId, Arc<Shard>>,
    pub node: Arc<Node>,
    pub journal: Journal,
    tasks: JoinSet<()>,
    /// False from its death on.
    alive: watch::Sender<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// The process ends; the machine keeps what was written.
    Kill,
    /// Of what was not flushed, any subset of pages is lost.
    PowerCut,
}

impl SimNode {
    pub fn new(number: usize, info: NodeInfo, seed: u64) -> SimNode {
        SimNode {
            number,
            info,
            disk: FaultyDisk::default(),
            clock: Arc::default(),
            flush_ms: Arc::new(Mutex::new((1, 3))),
            views: Arc::new(MemoryStore::new()),
            chance: stream(seed, 100 + number as u64),
            starts: 0,
            running: None,
            joins: false,
        }
    }

    /// Another machine, with nothing, under another id.
    pub fn replace(&mut self, info: NodeInfo) {
        self.info = info;
        self.disk = FaultyDisk::default();
        self.lose_views();
        self.joins = true;
    }

    pub async fn start(&mut self, common: &Common, net: &Arc<Net>) -> Result<(), String> {
        self.starts += 1;
        let identity = Identity {
            cluster: CLUSTER,
            incarnation: 1,
            node: self.info.id,
        };
        let options = Options {
            segment_bytes: SEGMENT_BYTES,
            reserve_bytes: SEGMENT_BYTES,
            ..Options::default()
        };
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let opened = Journal::open_stepped(disk, Path::new("/journal"), identity, options);
        let (journal, mut writer, _) = opened.map_err(|error| format!("journal: {error}"))?;
        if let Some(twin) = common.twin.and_then(Twin::of_journal) {
            writer.break_on_purpose(twin);
        }
        let mut tasks = JoinSet::new();
        let pace = Chance(self.chance.draw());
        tasks.spawn(step(journal.clone(), writer, self.flush_ms.clone(), pace));
        let mut shards = BTreeMap::new();
        for id in &common.shards {
            let store: Arc<dyn ViewStore> = self.views.clone();
            let shard = Shard::open(*id, store, self.clock.clone());
            shards.insert(*id, shard.map_err(|error| format!("views: {error}"))?);
        }
        let machines = shards
            .iter()
            .map(|(id, shard)| (*id, shard.clone() as Arc<dyn StateMachine>));
        let mut members = common.members.clone();
        if self.joins {
            members.push(self.info.clone());
        }
        let config = NodeConfig {
            id: self.info.id,
            site: self.info.site.clone(),
            members: members.clone(),
            join: self.joins,
            shards: common.shards.clone(),
            journal: journal.clone(),
            peers: PeersConfig {
                identity: raft_transport::Identity {
                    cluster: CLUSTER,
                    incarnation: 1,
                    node: self.info.id,
                },
                way: raft_transport::Way::Carried(net.port(self.info.id)),
                peers: members,
                tls: None,
            },
            timing: Timing::default(),
            wall_clock: clock::wall,
            on_site_loss: common.policy,
            log: common.log,
        };
        let node = Node::start(config, machines.collect()).await;
        let node = Arc::new(node.map_err(|error| format!("consensus: {error}"))?);
        let groups = common.shards.iter();
        let groups = groups.filter_map(|id| Some((*id, node.group(*id)?)));
        let service = Service::new(Parts {
            groups: groups.collect(),
            shards: shards.iter().map(|(id, s)| (*id, s.clone())).collect(),
            finder: Arc::new(engine_service::NoFinder),
            entries: Arc::new(journal.clone()) as Arc<dyn Entries>,
            clock: self.clock.clone(),
            cluster_id: "51515151".to_owned(),
            incarnation: 1,
            hostname: "mail.example.org".to_owned(),
            run: self.chance.draw(),
            chance: clock::draw,
            message_bytes_max: MESSAGE_BYTES_MAX,
            submit_wait_max: engine_service::limits::SUBMIT_WAIT_MAX,
            postmaster: None,
        });
        for shard in shards.values() {
            tasks.spawn(flush_views(shard.clone()));
        }
        let reason = watch_for_end(&journal, &node, &shards);
        let (number, start, stopped) = (self.number, self.starts, common.stopped.clone());
        tasks.spawn(async move {
            let reason = reason.await;
            let _ = stopped.send((number, start, reason)).await;
        });
        self.running = Some(Running {
            service,
            shards,
            node,
            journal,
            tasks,
            alive: watch::Sender::new(true),
        });
        Ok(())
    }

    pub fn die(&mut self, how: Death, net: &Net) {
        net.down(self.info.id);
        let running = self.running.take();
        if let Some(running) = &running {
            running.alive.send_replace(false);
        }
        match how {
            Death::Kill => self.disk.kill_process(),
            Death::PowerCut => {
                self.disk.cut_power();
                self.disk.power_on(&mut self.chance);
            }
        }
        // RocksDB without its own log loses in either case what it has not flushed.
        self.views = Arc::new(self.views.after_power_cut());
        let Some(mut running) = running else {
            return;
        };
        running.tasks.abort_all();
        tokio::spawn(async move {
            let _ = timeout(SHUTDOWN_MAX, running.node.shutdown()).await;
            drop(running);
        });
    }

    /// Loses what is derived. The journal brings it back.
    pub fn lose_views(&mut self) {
        self.views = Arc::new(MemoryStore::new());
    }
}

impl Running {
    pub fn alive(&self) -> watch::Receiver<bool> {
        self.alive.subscribe()
    }
}

/// The journal's writer: each step is a write and a flush, and takes its time first.
async fn step(
    journal: Journal,
    mut writer: Writer,
    flush_ms: Arc<Mutex<(u64, u64)>>,
    mut chance: Chance,
) {
    let mut until = None;
    loop {
        match until {
            None => journal.wait_for_news().await,
            Some(until) => tokio::select! {
                biased;
                () = journal.wait_for_news() => {}
                () = sleep_until(until) => {}
            },
        }
        loop {
            let (from, to) = *flush_ms.lock();
            let slow = is_lucky(&mut chance, 2);
            let takes = millis(&mut chance, from, to) * if slow { 10 } else { 1 };
            sleep(takes).await;
            let now = clock::elapsed();
            match writer.step(now) {
                Step::Worked => {}
                Step::Stopped => return,
                Step::Idle => {
                    until = None;
                    break;
                }
                Step::Gather { until: at } | Step::Wait { until: at } => {
                    let left = at.saturating_sub(now).max(Duration::from_millis(1));
                    until = Some(Instant::now() + left);
                    break;
                }
            }
        }
    }
}

async fn flush_views(shard: Arc<Shard>) {
    loop {
        sleep(FLUSH_VIEWS_EVERY).await;
        // The shard says itself that it stops.
        let _ = shard.flush();
    }
}

/// As the server does: the process ends when the journal breaks or a fold or consensus stops.
fn watch_for_end(
    journal: &Journal,
    node: &Node,
    shards: &BTreeMap<ShardId, Arc<Shard>>,
) -> impl Future<Output = String> + Send + 'static {
    let mut broken = journal.broken();
    let mut reasons: JoinSet<String> = JoinSet::new();
    reasons.spawn(async move {
        let broken = broken.wait_for(Option::is_some).await;
        let broken = broken.ok().and_then(|broken| broken.clone());
        broken.map_or_else(String::new, |broken| format!("journal: {broken}"))
    });
    for (id, shard) in shards {
        if let Some(mut failed) = node.failed(*id) {
            reasons.spawn(async move {
                let failed = failed.wait_for(Option::is_some).await;
                failed.ok().and_then(|why| why.clone()).unwrap_or_default()
            });
        }
        let mut stopped = shard.stopped();
        reasons.spawn(async move {
            let stopped = stopped.wait_for(Option::is_some).await;
            let why = stopped.ok().and_then(|why| why.clone());
            why.map_or_else(String::new, |why| format!("fold: {why}"))
        });
    }
    async move {
        let first = reasons.join_next().await;
        first.and_then(Result::ok).unwrap_or_default()
    }
}
