//! A byte of one replica rots, in each class of frame: what the others have comes back from them, before the shard starts
//! and while it runs; what they cannot have keeps it out, by name.

use super::hazard::lose_power;
use super::snapshots::far_behind;
use super::{Cluster, SHARD, command, time_to_mend, until};
use crate::node::Twin;
use raft_api::{Group, LogId, LogIndex};
use raft_log::{Disk, Journal, Meaning, Scanned, StoredEntry, scan};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Of a frame: the head is 56 bytes, its checksum covers the log id; then the payload.
pub(super) const HEAD: i64 = 33;
pub(super) const PAYLOAD: i64 = 56;
/// Of the batch's head before it.
const BEFORE: i64 = -20;

type IsIt<'a> = &'a dyn Fn(&Scanned) -> bool;

impl Cluster {
    pub(super) fn journal(&self, node: usize) -> &Journal {
        &self.machines[node].running.as_ref().unwrap().1
    }

    /// The frames of a stopped node, in order.
    fn frames(&self, node: usize) -> Vec<(PathBuf, u64, Scanned)> {
        let disk: Arc<dyn Disk> = Arc::new(self.machines[node].disk.clone());
        let dir = Path::new("/journal");
        let mut frames = Vec::new();
        let report = scan(&disk, dir, |file, offset, frame| {
            frames.push((dir.join(file), offset, frame));
        });
        report.unwrap();
        frames
    }

    /// Rots a byte of the last frame that `is_it` describes.
    pub(super) fn rot(&self, node: usize, byte: i64, is_it: impl Fn(&Scanned) -> bool) {
        let frames = self.frames(node);
        let found = frames.iter().rfind(|(_, _, frame)| is_it(frame));
        let (path, offset, _) = found.expect("there is such a frame");
        let at = offset.strict_add_signed(byte);
        self.machines[node].disk.flip(path, at, 0x20);
    }

    /// Until nothing is missing, and the shard runs.
    pub(super) async fn wait_whole(&self, node: usize) {
        let is_whole = || {
            let (running, journal) = self.machines[node].running.as_ref().unwrap();
            !journal.has_hole(SHARD) && running.group(SHARD).is_some()
        };
        until("whole", is_whole).await;
    }

    pub(super) fn is_out(&self, node: usize) -> bool {
        let (running, journal) = self.machines[node].running.as_ref().unwrap();
        running.group(SHARD).is_none() && journal.has_hole(SHARD)
    }

    pub(super) fn log(&self, node: usize) -> Vec<StoredEntry> {
        let log = self.journal(node).history(SHARD, 0..u64::MAX, usize::MAX);
        log.unwrap()
    }

    /// Something more is agreed on, and folded by these nodes.
    pub(super) async fn agree(&self, nodes: &[usize], text: &str) {
        self.propose_soon(nodes[0], text).await;
        let mark = loop {
            match self.group(nodes[0]).read_mark().await {
                Ok(mark) => break mark.index.unwrap(),
                Err(_) => tokio::task::yield_now().await,
            }
        };
        for node in nodes {
            self.wait_folded(*node, mark).await;
        }
    }

    pub(super) async fn stop_all(&mut self) {
        for node in 0..self.machines.len() {
            self.stop(node).await;
        }
    }
}

pub(super) fn is_entry(at: LogIndex) -> impl Fn(&Scanned) -> bool {
    move |frame| matches!(frame, Scanned::Entry { log_id, .. } if log_id.index == at)
}

async fn cluster() -> (Cluster, LogIndex) {
    cluster_with(None).await
}

async fn cluster_with(twin: Option<Twin>) -> (Cluster, LogIndex) {
    let mut cluster = Cluster::new(&["a", "a", "a"]).await;
    cluster.twin = twin;
    for node in 0..3 {
        cluster.start(node).await;
    }
    let leader = cluster.leader(&[0, 1, 2]).await;
    let mut at = LogIndex(0);
    for n in 0..6 {
        let text = format!("entry {n}");
        at = cluster.propose(leader, &text).await.log_id.index;
        // So that each is in a batch of its own: of several heads that a batch loses, nobody can say what they were.
        cluster.wait_folded(2, at).await;
    }
    (cluster, LogIndex(at.0 - 3))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_mends_itself_at_start() {
    let (mut cluster, at) = cluster().await;
    let entry = |n: u64| is_entry(LogIndex(at.0 + n));
    let (membership, head, payload, batch) = (is_entry(LogIndex(0)), entry(0), entry(1), entry(2));
    let vote = |frame: &Scanned| matches!(frame, Scanned::Vote { .. });
    let rows: [(&str, i64, IsIt, u64); 5] = [
        ("an entry's payload", PAYLOAD, &payload, 1),
        ("an entry's head", HEAD, &head, 1),
        ("a membership", PAYLOAD, &membership, 1),
        ("a copy of a vote", PAYLOAD, &vote, 0),
        ("a batch's head", BEFORE, &batch, 0),
    ];
    for (what, byte, is_it, mended) in rows {
        let before = cluster.log(0);
        cluster.stop(2).await;
        cluster.machines[2].book = Arc::default();
        cluster.rot(2, byte, is_it);
        cluster.start(2).await;
        cluster.wait_whole(2).await;
        assert_eq!(cluster.journal(2).stats().mended, mended, "{what}");
        cluster.agree(&[0, 1, 2], what).await;
        assert_eq!(cluster.log(2)[..before.len()], before, "{what}");
        let book = cluster.machines[0].book.entries();
        assert_eq!(cluster.machines[2].book.entries(), book, "{what}");
        // The next start needs nobody.
        cluster.stop(2).await;
        cluster.start(2).await;
        assert!(!cluster.journal(2).has_hole(SHARD), "{what}");
        assert_eq!(cluster.journal(2).stats().mended, 0, "{what}");
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nobody_has_it_the_shard_stays_out() {
    let (mut cluster, at) = cluster().await;
    cluster.stop_all().await;
    cluster.rot(2, PAYLOAD, is_entry(at));
    cluster.rot(1, PAYLOAD, is_entry(at));
    cluster.start(1).await;
    cluster.start(2).await;
    assert!(cluster.is_out(1) && cluster.is_out(2));
    let holes = cluster.journal(2).holes();
    let damage = &holes[0].damage;
    assert_eq!(
        (damage.shard, damage.log_id.unwrap().index),
        (Some(SHARD), at)
    );
    assert_eq!(damage.meaning, Meaning::Entry);
    // One has it, and starts alone: the others come in late.
    cluster.start(0).await;
    cluster.wait_whole(1).await;
    cluster.wait_whole(2).await;
    cluster.leader(&[0, 1, 2]).await;
    cluster.agree(&[0, 1, 2], "after").await;
    for node in 1..3 {
        assert_eq!(cluster.log(node), cluster.log(0));
    }
    cluster.stop_all().await;
}

/// A vote is a promise of this node: nobody else can give it back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_lost_its_vote_stays_out() {
    let (mut cluster, _) = cluster().await;
    cluster.stop(2).await;
    let frames = cluster.frames(2);
    let newest = frames.iter().rev().find_map(|(_, _, frame)| match frame {
        Scanned::Vote { vote, .. } => Some(vote.clone()),
        _ => None,
    });
    for (path, offset, frame) in &frames {
        if matches!(frame, Scanned::Vote { vote, .. } if Some(vote) == newest.as_ref()) {
            cluster.machines[2]
                .disk
                .flip(path, offset + PAYLOAD as u64, 1);
        }
    }
    cluster.start(2).await;
    cluster.propose_soon(0, "without it").await;
    time_to_mend().await;
    assert!(cluster.is_out(2));
    assert!(cluster.journal(2).missing(SHARD).is_empty());
    let hole = cluster.journal(2).holes().remove(0);
    assert_eq!(hole.damage.meaning, Meaning::Vote);
    cluster.stop_all().await;
}

const NEVER: &str = "never committed";

/// A leader alone has some entries that never were committed: the others lose their power before they flush them. Returns it
/// and the index of the first. All are stopped.
async fn uncommitted(twin: Option<Twin>) -> (Cluster, usize, LogIndex) {
    let (mut cluster, _) = cluster_with(twin).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    for node in others(leader) {
        cluster.machines[node].disk.hold_flushes();
    }
    for _ in 0..6 {
        let group = cluster.group(leader);
        tokio::spawn(async move { group.propose(command(NEVER)).await });
    }
    let never = || {
        let log = cluster.log(leader).into_iter();
        let never = log.filter(|entry| entry.payload == NEVER);
        never.map(|entry| entry.log_id).collect::<Vec<LogId>>()
    };
    let flushed = || cluster.journal(leader).flushed(SHARD);
    until("flushed", || {
        never().get(5).is_some_and(|last| flushed() >= Some(*last))
    })
    .await;
    let first = never()[0].index;
    cluster.stop(leader).await;
    for node in others(leader) {
        lose_power(&mut cluster, node).await;
    }
    (cluster, leader, first)
}

pub(super) fn others(node: usize) -> [usize; 2] {
    [(node + 1) % 3, (node + 2) % 3]
}

/// The others go on without it. Returns the index of "committed", which the old leader holds another entry at.
async fn go_on(cluster: &mut Cluster, old: usize, first: LogIndex) -> LogIndex {
    let [a, b] = others(old);
    cluster.start(a).await;
    cluster.start(b).await;
    cluster.leader(&[a, b]).await;
    for text in ["committed", "and more"] {
        cluster.agree(&[a, b], text).await;
    }
    let entries = cluster.machines[a].book.entries();
    let committed = entries.iter().find(|(_, payload)| payload == "committed");
    let at = committed.unwrap().0.index;
    assert!(first <= at && at.0 < first.0 + 6, "{first} {at}");
    at
}

/// What rots was never committed, and the cluster has another entry there: the log is cut as consensus would.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotten_entry_that_never_was_committed_is_cut() {
    let (mut cluster, old, first) = uncommitted(None).await;
    go_on(&mut cluster, old, first).await;
    cluster.rot(old, PAYLOAD, is_entry(first));
    cluster.start(old).await;
    cluster.wait_whole(old).await;
    assert_eq!(cluster.journal(old).stats().mended, 1);
    cluster.agree(&[0, 1, 2], "after").await;
    let texts = cluster.machines[old].book.texts();
    assert!(!texts.contains(&NEVER.to_owned()), "{texts:?}");
    cluster.stop_all().await;
}

/// The only node that answers holds something else at the index, which never was committed. Returns the texts of the node
/// that asked it, and of one that has the truth, once both run.
async fn asks_the_wrong_one(twin: Option<Twin>) -> (Vec<String>, Vec<String>) {
    let (mut cluster, old, first) = uncommitted(twin).await;
    let at = go_on(&mut cluster, old, first).await;
    let [a, b] = others(old);
    cluster.stop(a).await;
    cluster.stop(b).await;
    cluster.rot(a, HEAD, is_entry(at));
    cluster.machines[a].book = Arc::default();
    cluster.start(old).await;
    cluster.start(a).await;
    if twin.is_none() {
        time_to_mend().await;
        assert!(cluster.is_out(a));
    }
    cluster.start(b).await;
    cluster.wait_whole(a).await;
    cluster.leader(&[0, 1, 2]).await;
    cluster.agree(&[a, b], "after").await;
    let texts = [a, b].map(|node| cluster.machines[node].book.texts());
    cluster.stop_all().await;
    texts.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_committed_mends() {
    let (asked, truth) = asks_the_wrong_one(None).await;
    assert!(truth.contains(&"committed".to_owned()));
    assert_eq!(asked, truth);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_twin_that_mends_with_anything_is_caught() {
    let (asked, truth) = asks_the_wrong_one(Some(Twin::MendWithAnything)).await;
    assert!(asked.contains(&NEVER.to_owned()), "{asked:?}");
    assert_ne!(asked, truth);
}

/// A node that lives on a snapshot: what it adopted comes back, a part of the checkpoint does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_with_a_snapshot_rots() {
    let mut cluster = far_behind().await;
    cluster.start(2).await;
    cluster.all_agree(&[0, 1, 2]).await;
    cluster.stop(2).await;
    let adopted = |frame: &Scanned| matches!(frame, Scanned::Adopted { .. });
    cluster.rot(2, PAYLOAD, adopted);
    cluster.start(2).await;
    cluster.wait_whole(2).await;
    assert_eq!(cluster.journal(2).stats().mended, 1);
    cluster.agree(&[0, 1, 2], "after").await;
    cluster.payloads_are_here(2);
    cluster.stop(2).await;
    let part = |frame: &Scanned| matches!(frame, Scanned::CheckpointPart { .. });
    cluster.rot(2, PAYLOAD, part);
    cluster.start(2).await;
    assert!(cluster.is_out(2));
    let hole = cluster.journal(2).holes().remove(0);
    assert_eq!(hole.damage.meaning, Meaning::CheckpointPart);
    cluster.agree(&[0, 1], "without it").await;
    cluster.stop_all().await;
}

/// The only node of the second site has lost what nothing was acknowledged without. The gate stays shut until it is back, so
/// the mark does not get to the entry: that it is committed must do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_the_gate_waits_for_is_mended() {
    let mut cluster = Cluster::new(&["a", "a", "b"]).await;
    cluster.start(0).await;
    cluster.start(1).await;
    let leader = cluster.leader(&[0, 1]).await;
    cluster.start(2).await;
    cluster.wait_gate(leader, true).await;
    cluster.propose(leader, "before").await;
    cluster.machines[2].disk.hold_flushes();
    let group = cluster.group(leader);
    tokio::spawn(async move { group.propose(command("rots")).await });
    // Committed by the first site, and on its way to the second one's disk.
    let last = || cluster.journal(2).log_state(SHARD).last;
    let is_on_its_way = || {
        let handed = *cluster.group(leader).shared.handed.borrow();
        handed > *cluster.group(leader).shared.position.lock() && last() == handed
    };
    until("committed", is_on_its_way).await;
    let last = last().unwrap();
    cluster.stop(0).await;
    cluster.stop(1).await;
    cluster.machines[2].disk.release_flushes();
    until("flushed", || {
        cluster.journal(2).flushed(SHARD) >= Some(last)
    })
    .await;
    cluster.stop(2).await;
    cluster.rot(2, PAYLOAD, is_entry(last.index));
    for node in 0..3 {
        cluster.start(node).await;
    }
    cluster.wait_whole(2).await;
    cluster.leader(&[0, 1, 2]).await;
    cluster.agree(&[0, 1, 2], "after").await;
    for node in 0..3 {
        let texts = cluster.machines[node].book.texts();
        assert_eq!(texts, ["before", "rots", "after"], "node {node}");
    }
    cluster.stop_all().await;
}
