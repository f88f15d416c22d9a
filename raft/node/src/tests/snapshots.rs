use super::{Book, Cluster, Pages, SHARD, command, peers};
use crate::{Change, LogKeeping, NodeConfig, Timing};
use bytes::Bytes;
use raft_api::{
    Committed, Entries, EntriesError, Group, LogId, LogIndex, NodeId, OnSiteLoss, Refused,
    SiteName, SnapshotSource, StateMachine,
};
use raft_log::faulty_disk::FaultyDisk;
use raft_log::{AppendError, CheckpointPart, EntryKind, FlushDone, Journal, NewEntry, Options};
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;

const SHORT: LogKeeping = LogKeeping {
    look_every: 20,
    keep: 10,
};

impl Cluster {
    /// Of a node that nothing is asked of but its journal.
    pub async fn config(journal: &Journal) -> NodeConfig {
        NodeConfig {
            id: NodeId(1),
            site: SiteName::new("a"),
            members: Vec::new(),
            join: true,
            shards: vec![SHARD],
            journal: journal.clone(),
            peers: peers(
                NodeId(1),
                TcpListener::bind("127.0.0.1:0").await.unwrap(),
                Vec::new(),
            ),
            timing: Timing::default(),
            wall_clock: || std::time::UNIX_EPOCH,
            on_site_loss: OnSiteLoss::Strict,
            log: SHORT,
            twin: None,
        }
    }

    /// Proposes until `node` has purged its log beyond `index`.
    async fn purge_beyond(&self, node: usize, index: LogIndex) {
        let journal = || self.machines[node].running.as_ref().unwrap().1.clone();
        let mut n = 0;
        while journal()
            .log_state(SHARD)
            .purged
            .is_none_or(|purged| purged.index <= index)
        {
            n += 1;
            self.propose_soon(node, &format!("purge{n}")).await;
        }
    }

    pub(super) async fn all_agree(&self, nodes: &[usize]) {
        let mark = self.group(nodes[0]).read_mark().await.unwrap();
        let expect = |node: usize| self.machines[node].book.entries();
        for node in nodes {
            self.wait_folded(*node, mark.index.unwrap()).await;
            assert!(expect(*node) == expect(nodes[0]), "node {node}");
        }
    }

    /// What each entry's reference would find in the node's own journal.
    pub(super) fn payloads_are_here(&self, node: usize) {
        let (_, journal) = self.machines[node].running.as_ref().unwrap();
        for (log_id, payload) in self.machines[node].book.entries() {
            let kept = journal.payload(SHARD, log_id.index);
            // Consensus' own entries have a payload that the fold does not see.
            if !payload.is_empty() {
                assert_eq!(kept, Ok(payload), "entry {log_id} on {node}");
            }
        }
    }
}

/// Installs only over a log that begins behind the checkpoint.
struct Ordered(Journal, Book);

impl StateMachine for Ordered {
    fn applied(&self) -> Option<LogId> {
        self.1.applied()
    }

    fn admit(&self, command: Bytes) -> Result<Bytes, Refused> {
        self.1.admit(command)
    }

    fn apply(&self, entries: &[Committed]) -> Vec<Bytes> {
        self.1.apply(entries)
    }

    fn flushed(&self) -> Option<LogIndex> {
        self.1.flushed()
    }

    fn flush(&self) -> Result<(), EntriesError> {
        self.1.flush()
    }

    fn snapshot(&self) -> Result<Arc<dyn SnapshotSource>, EntriesError> {
        self.1.snapshot()
    }

    fn install(
        &self,
        log_id: LogId,
        parts: &mut dyn Iterator<Item = Result<Bytes, EntriesError>>,
    ) -> Result<(), EntriesError> {
        assert_eq!(
            self.0.log_state(SHARD).purged,
            Some(log_id),
            "a crash now must find this"
        );
        self.1.install(log_id, parts)
    }
}

/// A crash between the checkpoint's last part and the rest: the log still ends in what was never committed.
#[tokio::test]
async fn a_start_cuts_the_log_before_it_installs_the_checkpoint() {
    let identity = raft_log::Identity {
        cluster: [9; 16],
        incarnation: 1,
        node: NodeId(1),
    };
    let options = Options {
        segment_bytes: 16 << 20,
        reserve_bytes: 1 << 20,
        ..Options::default()
    };
    let disk = Arc::new(FaultyDisk::new(4096));
    let (journal, _) = Journal::open(disk, Path::new("/journal"), identity, options).unwrap();
    let wait = |call: &dyn Fn(FlushDone) -> Result<(), AppendError>| {
        let (sender, flushed) = std::sync::mpsc::sync_channel(1);
        call(Box::new(move |result| sender.send(result).unwrap())).unwrap();
        flushed.recv().unwrap().unwrap();
    };
    let entry = |index| NewEntry {
        log_id: LogId::new(1, index),
        kind: EntryKind::Normal,
        payload: command("old"),
    };
    wait(&|done| journal.append(SHARD, (0..9).map(entry).collect(), done));
    let at = LogId::new(2, 5);
    let entries: Vec<(LogId, Bytes)> = (0..=5)
        .map(|n| (LogId::new(2, n), command("new")))
        .collect();
    let page = Pages(entries.clone()).part(b"3", usize::MAX).unwrap();
    let head = crate::wire::head_out(&Default::default(), Default::default());
    for (is_first, is_last, payload) in [(true, false, head), (false, true, page.bytes)] {
        let part = CheckpointPart { is_first, is_last };
        wait(&|done| journal.save_checkpoint_part(SHARD, at, part, payload.clone(), done));
    }
    let config = Cluster::config(&journal).await;
    let machine = Arc::new(Ordered(journal.clone(), Book::default()));
    let shared = crate::start::open(&config, SHARD, machine.clone(), Arc::default())
        .await
        .unwrap();
    assert_eq!(*shared.position.lock(), Some(at));
    assert_eq!(journal.log_state(SHARD).last, Some(at));
    // And a second start finds nothing to do.
    crate::start::open(&config, SHARD, machine, Arc::default())
        .await
        .unwrap();
    drop((shared, config));
    journal.close();
}

pub(super) async fn far_behind() -> Cluster {
    let mut cluster = Cluster::new(&["a", "a", "a"]).await;
    cluster.log = SHORT;
    for node in 0..3 {
        cluster.start(node).await;
    }
    cluster.leader(&[0, 1, 2]).await;
    cluster.propose_soon(0, "seen by all").await;
    cluster.stop(2).await;
    let leader = cluster.leader(&[0, 1]).await;
    let last = cluster.propose(leader, "not seen by the third").await;
    cluster.purge_beyond(leader, last.log_id.index).await;
    cluster.purge_beyond(1 - leader, last.log_id.index).await;
    cluster
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_far_behind_gets_a_snapshot() {
    let mut cluster = far_behind().await;
    cluster.start(2).await;
    cluster.all_agree(&[0, 1, 2]).await;
    cluster.payloads_are_here(2);
    let checkpoint = |cluster: &Cluster| {
        let (_, journal) = cluster.machines[2].running.as_ref().unwrap();
        journal.checkpoint(SHARD)
    };
    assert!(checkpoint(&cluster).is_some(), "it came by a snapshot");
    cluster.propose_soon(2, "after").await;
    cluster.all_agree(&[0, 1, 2]).await;
    // Its views are lost: the journal's checkpoint, and what came after it, rebuild them.
    cluster.stop(2).await;
    cluster.machines[2].book = Arc::default();
    cluster.start(2).await;
    cluster.all_agree(&[0, 1, 2]).await;
    cluster.payloads_are_here(2);
    for node in 0..3 {
        cluster.stop(node).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_are_rebuilt_from_what_was_purged() {
    let mut cluster = far_behind().await;
    cluster.stop(0).await;
    cluster.machines[0].book = Arc::default();
    cluster.start(0).await;
    cluster.start(2).await;
    cluster.leader(&[0, 1, 2]).await;
    cluster.propose_soon(0, "after").await;
    cluster.all_agree(&[0, 1, 2]).await;
    for node in 0..3 {
        cluster.stop(node).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_added_gets_all_and_survives_alone() {
    let mut cluster = far_behind().await;
    let fourth = cluster.machine("a").await;
    cluster.start(fourth).await;
    let added = cluster.members[fourth].clone();
    cluster
        .change(0, Change::AddLearner(added.clone()))
        .await
        .unwrap();
    cluster.change(0, Change::Promote(added.id)).await.unwrap();
    cluster.all_agree(&[0, 1, fourth]).await;
    cluster.payloads_are_here(fourth);
    // A power cut: the disk keeps only what was flushed, the views are gone.
    cluster.stop(fourth).await;
    cluster.machines[fourth].book = Arc::default();
    cluster.start(fourth).await;
    cluster.all_agree(&[0, 1, fourth]).await;
    cluster.payloads_are_here(fourth);
    for node in [0, 1, fourth] {
        cluster.stop(node).await;
    }
}
