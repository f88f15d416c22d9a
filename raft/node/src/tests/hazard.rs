use super::{Cluster, command};
use raft_api::{Group, LogIndex};
use raft_log::faulty_disk::Chance;
use std::sync::Arc;

/// Followers commit an entry that the leader has not flushed; the leader loses that tail and its views in a power cut
/// and comes back at once. If it went on in its term, it would give the same log id to another payload.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_lost_its_unflushed_tail_does_not_go_on_in_its_term() {
    let mut cluster = Cluster::running(&["a", "a", "a"]).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    let before = cluster.propose(leader, "before").await.log_id;
    cluster.machines[leader].disk.hold_flushes();
    let group = cluster.group(leader);
    let pending = tokio::spawn(async move { group.propose(command("lost here")).await });
    let next = before.index.next();
    let is_committed = |m: &crate::types::Metrics| {
        let committed = m.local_committed.as_ref();
        committed.map(|committed| LogIndex(committed.index)) >= Some(next)
    };
    cluster.wait(leader, "a commit", is_committed).await;
    // Committed by the others, but not flushed by the leader: neither acknowledged nor shown.
    assert!(!pending.is_finished());
    assert_eq!(cluster.group(leader).status().visible, Some(before.index));
    cluster.machines[leader].disk.cut_power();
    cluster.machines[leader].disk.release_flushes();
    cluster.stop(leader).await;
    cluster.machines[leader].disk.power_on(&mut Chance(3));
    cluster.machines[leader].book = Arc::default();
    cluster.start(leader).await;

    let now = cluster.leader(&[0, 1, 2]).await;
    let last = cluster.propose(now, "after").await.log_id;
    assert!(last.term > before.term);
    for node in 0..3 {
        cluster.wait_folded(node, last.index).await;
    }
    let entries = cluster.machines[0].book.entries();
    for node in 0..3 {
        assert_eq!(cluster.machines[node].book.entries(), entries);
        let texts = cluster.machines[node].book.texts();
        assert_eq!(texts, ["before", "lost here", "after"]);
    }
    for node in 0..3 {
        cluster.stop(node).await;
    }
}
