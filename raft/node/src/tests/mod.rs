//! Real journals (on a disk that can lose its power), real sockets, real consensus.

mod conformance;
mod golden;
mod hazard;
mod members;
mod pure;
mod recover;
mod repair;
mod scrub;
mod sites;
mod snapshots;
mod solo;
mod three;

use crate::gate;
use crate::group::RaftGroup;
use crate::node::Twin;
use crate::types::Metrics;
use crate::{LogKeeping, Node, NodeConfig, NodeError, Timing};
use bytes::Bytes;
use parking_lot::Mutex;
use raft_api::{
    Committed, EntriesError, Group, LogId, LogIndex, NodeId, NodeInfo, OnSiteLoss, Proposed,
    Refused, ShardId, SiteName, SnapshotPart, SnapshotSource, StateMachine,
};
use raft_log::faulty_disk::FaultyDisk;
use raft_log::{Journal, Options};
use raft_transport::PeersConfig;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

const SHARD: ShardId = ShardId(3);
/// Only a test that hangs gets here.
const HANG: Duration = Duration::from_secs(60);

/// Plain TCP, all in one cluster.
fn peers(node: NodeId, listener: TcpListener, peers: Vec<NodeInfo>) -> PeersConfig {
    PeersConfig {
        identity: raft_transport::Identity {
            cluster: [9; 16],
            incarnation: 1,
            node,
        },
        way: listener.into(),
        peers,
        tls: None,
    }
}

/// Keeps all entries; an outcome is the payload in capitals.
#[derive(Default)]
struct Book(Mutex<Vec<(LogId, Bytes)>>);

impl Book {
    /// The payloads that were agreed, in order.
    fn texts(&self) -> Vec<String> {
        let entries = self.0.lock();
        let texts = entries.iter().filter(|(_, payload)| !payload.is_empty());
        texts
            .map(|(_, payload)| String::from_utf8_lossy(payload).into_owned())
            .collect()
    }

    fn entries(&self) -> Vec<(LogId, Bytes)> {
        self.0.lock().clone()
    }
}

impl StateMachine for Book {
    fn applied(&self) -> Option<LogId> {
        self.0.lock().last().map(|(log_id, _)| *log_id)
    }

    fn admit(&self, command: Bytes) -> Result<Bytes, Refused> {
        match &command[..] {
            b"bad" => Err(Refused::Malformed),
            _ => Ok(command),
        }
    }

    fn apply(&self, entries: &[Committed]) -> Vec<Bytes> {
        let mut book = self.0.lock();
        let fold = |entry: &Committed| {
            let expected = book.last().map_or(0, |(log_id, _)| log_id.index.0 + 1);
            assert_eq!(entry.log_id.index.0, expected, "gapless");
            book.push((entry.log_id, entry.payload.clone()));
            entry.payload.to_ascii_uppercase().into()
        };
        entries.iter().map(fold).collect()
    }

    /// What a test gives it stays, whatever becomes of the disk.
    fn flushed(&self) -> Option<LogIndex> {
        self.applied().map(|applied| applied.index)
    }

    fn flush(&self) -> Result<(), EntriesError> {
        Ok(())
    }

    fn snapshot(&self) -> Result<Arc<dyn SnapshotSource>, EntriesError> {
        Ok(Arc::new(Pages(self.entries())))
    }

    fn install(
        &self,
        log_id: LogId,
        parts: &mut dyn Iterator<Item = Result<Bytes, EntriesError>>,
    ) -> Result<(), EntriesError> {
        let mut entries = Vec::new();
        for part in parts {
            entries.extend(page_in(part?));
        }
        assert_eq!(entries.last().map(|(last, _)| *last), Some(log_id));
        *self.0.lock() = entries;
        Ok(())
    }
}

/// A snapshot of a `Book`, three entries to a part. Each entry is needed, as a message's body would be.
struct Pages(Vec<(LogId, Bytes)>);

impl SnapshotSource for Pages {
    fn log_id(&self) -> LogId {
        self.0.last().unwrap().0
    }

    fn part(&self, cursor: &[u8], _bytes_max: usize) -> Result<SnapshotPart, EntriesError> {
        let start = std::str::from_utf8(cursor).unwrap().parse().unwrap_or(0);
        let end = self.0.len().min(start + 3);
        let page = &self.0[start..end];
        let lines = page.iter().map(|(log_id, payload)| {
            let text = String::from_utf8_lossy(payload);
            format!("{} {} {text}\n", log_id.term.0, log_id.index.0)
        });
        Ok(SnapshotPart {
            bytes: lines.collect::<String>().into(),
            needs: page.iter().map(|(log_id, _)| log_id.index).collect(),
            next: (end < self.0.len()).then(|| end.to_string().into()),
        })
    }
}

fn page_in(part: Bytes) -> Vec<(LogId, Bytes)> {
    let text = String::from_utf8(part.to_vec()).unwrap();
    let entry = |line: &str| {
        let mut words = line.splitn(3, ' ');
        let mut number = || words.next().unwrap().parse().unwrap();
        let log_id = LogId::new(number(), number());
        (
            log_id,
            Bytes::copy_from_slice(words.next().unwrap().as_bytes()),
        )
    };
    text.lines().map(entry).collect()
}

struct Machine {
    disk: FaultyDisk,
    book: Arc<Book>,
    running: Option<(Node, Journal)>,
}

struct Cluster {
    members: Vec<NodeInfo>,
    machines: Vec<Machine>,
    listeners: Vec<Option<TcpListener>>,
    /// The first so many machines found the group; later ones are added.
    founders: usize,
    log: LogKeeping,
    policy: OnSiteLoss,
    /// This node's clock is an hour ahead.
    hour_ahead: Option<usize>,
    journal: Options,
    twin: Option<Twin>,
}

impl Cluster {
    /// A node for each site name; none runs yet.
    async fn new(sites: &[&str]) -> Cluster {
        let mut cluster = Cluster {
            members: Vec::new(),
            machines: Vec::new(),
            listeners: Vec::new(),
            founders: sites.len(),
            log: LogKeeping::default(),
            policy: OnSiteLoss::Strict,
            hour_ahead: None,
            journal: Options {
                segment_bytes: 16 << 20,
                reserve_bytes: 1 << 20,
                ..Options::default()
            },
            twin: None,
        };
        for site in sites {
            cluster.machine(site).await;
        }
        cluster
    }

    /// One more machine, under the next id, which nobody knows yet.
    async fn machine(&mut self, site: &str) -> usize {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let node = self.members.len();
        self.members.push(NodeInfo {
            id: NodeId(node as u64 + 1),
            site: SiteName::new(site),
            peer_addr: listener.local_addr().unwrap().to_string(),
        });
        self.listeners.push(Some(listener));
        self.machines.push(Machine {
            disk: FaultyDisk::new(4096),
            book: Arc::default(),
            running: None,
        });
        node
    }

    async fn running(sites: &[&str]) -> Cluster {
        let mut cluster = Cluster::new(sites).await;
        for node in 0..sites.len() {
            cluster.start(node).await;
        }
        cluster
    }

    async fn start(&mut self, node: usize) {
        self.try_start(node).await.unwrap();
    }

    async fn try_start(&mut self, node: usize) -> Result<(), NodeError> {
        let member = self.members[node].clone();
        let listener = match self.listeners[node].take() {
            Some(listener) => listener,
            None => TcpListener::bind(&member.peer_addr).await.unwrap(),
        };
        let machine = &mut self.machines[node];
        let identity = raft_log::Identity {
            cluster: [9; 16],
            incarnation: 1,
            node: member.id,
        };
        let options = self.journal.clone();
        let disk = Arc::new(machine.disk.clone());
        let (journal, _) = Journal::open(disk, Path::new("/journal"), identity, options).unwrap();
        let config = NodeConfig {
            id: member.id,
            site: member.site.clone(),
            members: self.members[..self.founders].to_vec(),
            join: node >= self.founders,
            shards: vec![SHARD],
            journal: journal.clone(),
            peers: peers(member.id, listener, self.members[..self.founders].to_vec()),
            wall_clock: match self.hour_ahead == Some(node) {
                true => || std::time::UNIX_EPOCH + Duration::from_secs(1_800_003_600),
                false => || std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
            },
            on_site_loss: self.policy,
            log: self.log,
            twin: self.twin,
            timing: Timing {
                gate_wait: Duration::from_millis(20),
                propose_timeout: HANG,
                repair_wait: Duration::from_millis(200),
                ..Timing::default()
            },
        };
        let book: Arc<dyn StateMachine> = machine.book.clone();
        let started = Node::start(config, HashMap::from([(SHARD, book)])).await;
        match started {
            Ok(started) => machine.running = Some((started, journal)),
            Err(error) => {
                journal.close();
                return Err(error);
            }
        }
        Ok(())
    }

    async fn stop(&mut self, node: usize) {
        if let Some((node, journal)) = self.machines[node].running.take() {
            node.shutdown().await;
            drop(node);
            journal.close();
        }
    }

    fn group(&self, node: usize) -> Arc<RaftGroup> {
        let (node, _) = self.machines[node].running.as_ref().unwrap();
        node.inbox.groups.read()[&SHARD].clone()
    }

    /// Waits until the leader hears from a second site, or no longer does.
    async fn wait_gate(&self, leader: usize, is_open: bool) {
        let own = self.members[leader].id;
        let is_so = |m: &Metrics| gate::is_heard(m, own, &BTreeSet::new()) == is_open;
        self.wait(leader, "the gate", is_so).await;
    }

    /// Waits until `node` sees what `is_so` asks for.
    async fn wait(&self, node: usize, what: &str, is_so: impl Fn(&Metrics) -> bool + Send) {
        let group = self.group(node);
        let waited = group.raft.wait(Some(HANG)).metrics(is_so, what).await;
        waited.unwrap_or_else(|error| panic!("{what}: {error}"));
    }

    /// The leader among `nodes`, once all of them agree on it.
    async fn leader(&self, nodes: &[usize]) -> usize {
        loop {
            let is_among =
                |leader: Option<u64>| nodes.iter().any(|n| Some(*n as u64 + 1) == leader);
            let mut leaders = Vec::new();
            for node in nodes {
                self.wait(*node, "a leader", |m| is_among(m.current_leader))
                    .await;
                leaders.push(self.group(*node).status().leader.unwrap_or_default());
            }
            leaders.dedup();
            if let [leader] = leaders[..]
                && let Some(leader) = nodes.iter().find(|n| **n as u64 + 1 == leader.0)
                && self.group(*leader).raft.is_leader()
            {
                // Until a majority has answered, openraft takes no proposals.
                let is_ready = |m: &Metrics| m.last_quorum_acked.is_some() || !m.state.is_leader();
                self.wait(*leader, "a leader that leads", is_ready).await;
                return *leader;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn propose(&self, node: usize, text: &str) -> Proposed {
        let proposed = self.group(node).propose(command(text)).await;
        let proposed = proposed.unwrap_or_else(|error| panic!("{text} on {node}: {error}"));
        assert_eq!(proposed.outcome, command(&text.to_ascii_uppercase()));
        proposed
    }

    async fn wait_folded(&self, node: usize, index: LogIndex) {
        let mut folded = self.group(node).folded();
        let wait = folded.wait_for(|folded| *folded >= Some(index));
        let waited = tokio::time::timeout(HANG, wait).await;
        waited.expect("folded in time").expect("the group lives");
    }
}

fn command(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Polls, at most for `HANG`: the journal and the disk tell nobody of this.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waited = tokio::time::timeout(HANG, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}: not in time");
}

/// For what must not happen, of which nothing can tell: a mend takes some milliseconds here. Too short a time would let a
/// fault pass, and never fail a sound build.
async fn time_to_mend() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}
