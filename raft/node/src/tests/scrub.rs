//! A byte rots while its node runs: the scrub finds it, or a read does; a peer gives it back, and meanwhile the node does
//! not vote.

use super::repair::{HEAD, PAYLOAD, is_entry, others};
use super::{Cluster, SHARD, until};
use crate::types::{RaftVote, TypeConfig};
use crate::wire::{self, kind};
use bytes::Bytes;
use openraft::raft::VoteRequest;
use raft_api::{LogIndex, NodeId};
use raft_log::{Disk, scan};
use raft_transport::Handler;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

impl Cluster {
    /// As a candidate of a term that is over.
    async fn ask_for_vote(&self, node: usize, kind: u8) -> Result<Bytes, String> {
        let request = VoteRequest::<TypeConfig>::new(RaftVote::new(1, 9), None);
        let body = wire::bytes(&wire::vote_request_out(&request));
        let (running, _) = self.machines[node].running.as_ref().unwrap();
        running.inbox.handle(NodeId(9), SHARD, kind, body).await
    }
}

/// Segments of 64 KiB, scrubbed all the time.
async fn scrubbed() -> (Cluster, LogIndex) {
    let mut cluster = Cluster::new(&["a", "a", "a"]).await;
    cluster.journal.segment_bytes = 64 << 10;
    cluster.journal.reserve_bytes = 64 << 10;
    cluster.journal.cache_bytes = 4096;
    cluster.journal.scrub_every = Duration::from_millis(50);
    cluster.journal.scrub_bytes_per_s = 64 << 20;
    for node in 0..3 {
        cluster.start(node).await;
    }
    let leader = cluster.leader(&[0, 1, 2]).await;
    let mut at = LogIndex(0);
    for n in 0..40 {
        let text = format!("{n} {}", "x".repeat(4000));
        at = cluster.propose(leader, &text).await.log_id.index;
    }
    for node in 0..3 {
        cluster.wait_folded(node, at).await;
    }
    (cluster, LogIndex(at.0 - 35))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_rots_while_it_runs_is_found_and_mended() {
    let (mut cluster, at) = scrubbed().await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    for node in [leader, (leader + 1) % 3] {
        let spot = spot(&cluster, node, at);
        let before = cluster.journal(node).stats();
        let byte = [HEAD, PAYLOAD][usize::from(node == leader)];
        let byte = spot.1.strict_add_signed(byte);
        cluster.machines[node].disk.flip(&spot.0, byte, 1);
        let is_mended = || cluster.journal(node).stats().mended > before.mended;
        until("mended", is_mended).await;
        let after = cluster.journal(node).stats();
        assert_eq!(after.scrub_damages, before.scrub_damages + 1);
        assert_eq!(cluster.journal(node).damages(), []);
        cluster.agree(&[0, 1, 2], "it goes on").await;
        assert_eq!(
            cluster.log(node)[at.0 as usize],
            cluster.log((node + 2) % 3)[at.0 as usize]
        );
    }
    cluster.stop_all().await;
}

/// Where the entry's frame lies, in a copy of the disk of a node that runs.
fn spot(cluster: &Cluster, node: usize, at: LogIndex) -> (PathBuf, u64) {
    let disk = cluster.machines[node].disk.fork();
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let mut found = None;
    scan(&disk, Path::new("/journal"), |file, offset, frame| {
        if is_entry(at)(&frame) {
            found = Some((Path::new("/journal").join(file), offset));
        }
    })
    .unwrap();
    found.unwrap()
}

/// The fold meets the rotten entry before the scrub does, and waits for it instead of ending the group.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fold_that_meets_a_rotten_entry_waits_for_it() {
    let (mut cluster, at) = scrubbed().await;
    cluster.journal.check_at_open_bytes = 0;
    cluster.journal.scrub_bytes_per_s = 0;
    cluster.stop(2).await;
    cluster.machines[2].book = Arc::default();
    cluster.rot(2, PAYLOAD, is_entry(at));
    cluster.start(2).await;
    cluster.agree(&[0, 1, 2], "after").await;
    assert_eq!(cluster.journal(2).stats().mended, 1);
    let entries = cluster.machines[2].book.entries();
    assert!(entries == cluster.machines[0].book.entries());
    cluster.stop_all().await;
}

/// While an entry is missing and nobody gives it, the node does not vote.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_misses_an_entry_does_not_vote() {
    let (mut cluster, at) = scrubbed().await;
    let node = (cluster.leader(&[0, 1, 2]).await + 1) % 3;
    for other in others(node) {
        cluster.stop(other).await;
    }
    let (path, offset) = spot(&cluster, node, at);
    cluster.machines[node]
        .disk
        .flip(&path, offset + PAYLOAD as u64, 1);
    until("found", || cluster.journal(node).has_hole(SHARD)).await;
    // The same entry of one other: the third is down, so nobody can give it, and nobody is elected.
    let other = others(node)[0];
    cluster.rot(other, PAYLOAD, is_entry(at));
    cluster.start(other).await;
    assert!(cluster.is_out(other));
    for kind in [kind::VOTE, kind::PRE_VOTE] {
        let refused = cluster.ask_for_vote(node, kind).await;
        assert!(refused.unwrap_err().contains("it does not vote"), "{kind}");
    }
    cluster.start(others(node)[1]).await;
    cluster.wait_whole(node).await;
    cluster.wait_whole(other).await;
    cluster.leader(&[0, 1, 2]).await;
    cluster.agree(&[0, 1, 2], "after").await;
    for kind in [kind::VOTE, kind::PRE_VOTE] {
        cluster.ask_for_vote(node, kind).await.unwrap();
    }
    cluster.stop_all().await;
}
