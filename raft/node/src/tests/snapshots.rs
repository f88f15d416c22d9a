use super::{Cluster, SHARD};
use crate::{Change, LogKeeping};
use raft_api::{Entries, Group, LogIndex};
use std::sync::Arc;

const SHORT: LogKeeping = LogKeeping {
    look_every: 20,
    keep: 10,
};

impl Cluster {
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

    async fn all_agree(&self, nodes: &[usize]) {
        let mark = self.group(nodes[0]).read_mark().await.unwrap();
        let expect = |node: usize| self.machines[node].book.entries();
        for node in nodes {
            self.wait_folded(*node, mark.index.unwrap()).await;
            assert!(expect(*node) == expect(nodes[0]), "node {node}");
        }
    }

    /// What each entry's reference would find in the node's own journal.
    fn payloads_are_here(&self, node: usize) {
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

async fn far_behind() -> Cluster {
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
