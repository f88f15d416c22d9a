//! What a young consensus core can do to a log when the power goes (design §7.2), and that our settings prevent it.

use super::{Cluster, command};
use crate::NodeError;
use crate::node::Twin;
use raft_api::{Group, LogId, LogIndex};
use std::sync::Arc;

async fn cluster_with(twin: Option<Twin>) -> Cluster {
    let mut cluster = Cluster::new(&["a", "a", "a"]).await;
    cluster.twin = twin;
    for node in 0..3 {
        cluster.start(node).await;
    }
    cluster
}

/// The disk keeps what was flushed, and nothing else.
pub(super) async fn lose_power(cluster: &mut Cluster, node: usize) {
    cluster.machines[node].disk.cut_power();
    cluster.machines[node].disk.release_flushes();
    cluster.stop(node).await;
    cluster.machines[node].disk.power_on_without_luck();
}

/// Followers commit an entry that the leader has not flushed; the leader loses that tail and its views in a power cut
/// and comes back at once. If it goes on in its term, it gives the same log id to another payload.
async fn leader_loses_its_unflushed_tail(twin: Option<Twin>) -> (Cluster, LogId) {
    let mut cluster = cluster_with(twin).await;
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
    lose_power(&mut cluster, leader).await;
    cluster.machines[leader].book = Arc::default();
    cluster.start(leader).await;

    let now = cluster.leader(&[0, 1, 2]).await;
    cluster.propose_soon(now, "after").await;
    let last = cluster.group(now).read_mark().await.unwrap();
    for node in 0..3 {
        cluster.wait_folded(node, last.index.unwrap()).await;
    }
    (cluster, before)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_lost_its_unflushed_tail_does_not_go_on_in_its_term() {
    let (mut cluster, before) = leader_loses_its_unflushed_tail(None).await;
    let entries = cluster.machines[0].book.entries();
    assert!(entries.last().unwrap().0.term > before.term);
    for node in 0..3 {
        assert_eq!(cluster.machines[node].book.entries(), entries);
        let texts = cluster.machines[node].book.texts();
        assert_eq!(texts, ["before", "lost here", "after"]);
    }
    for node in 0..3 {
        cluster.stop(node).await;
    }
}

/// The hazard itself, which openraft's own setting allows: one log id, two payloads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_twin_that_restores_leaders_is_caught() {
    let (mut cluster, _) = leader_loses_its_unflushed_tail(Some(Twin::LeaderRestore)).await;
    let books: Vec<_> = cluster.machines.iter().map(|m| m.book.entries()).collect();
    assert!(books.iter().any(|book| *book != books[0]), "{books:?}");
    for node in 0..3 {
        cluster.stop(node).await;
    }
}

/// openraft applies what a follower has not flushed. Its views must wait, or after a power cut they are ahead of the
/// journal beneath them. Returns what the follower has folded, and how it starts with the views that it kept.
async fn follower_loses_its_unflushed_tail(
    twin: Option<Twin>,
) -> (Vec<String>, Result<(), NodeError>) {
    let mut cluster = cluster_with(twin).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    let follower = (leader + 1) % 3;
    let before = cluster.propose(leader, "before").await.log_id;
    cluster.wait_folded(follower, before.index).await;
    cluster.machines[follower].disk.hold_flushes();
    let proposed = cluster.propose(leader, "lost here").await.log_id;
    {
        let group = cluster.group(follower);
        let mut handed = group.shared.handed.subscribe();
        let is_handed = |handed: &Option<LogId>| *handed >= Some(proposed);
        handed.wait_for(is_handed).await.unwrap();
    }
    if twin.is_some() {
        cluster.wait_folded(follower, proposed.index).await;
    }
    lose_power(&mut cluster, follower).await;
    let kept = cluster.machines[follower].book.texts();
    let started = cluster.try_start(follower).await;
    if started.is_ok() {
        cluster.wait_folded(follower, proposed.index).await;
        let texts = cluster.machines[follower].book.texts();
        assert_eq!(texts, ["before", "lost here"]);
    }
    for node in 0..3 {
        cluster.stop(node).await;
    }
    (kept, started)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_are_never_ahead_of_their_own_journal() {
    let (kept, started) = follower_loses_its_unflushed_tail(None).await;
    assert_eq!(kept, ["before"]);
    assert_eq!(started, Ok(()));
}

/// The second net: such a node does not start, so it cannot be elected and give the log id away again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_twin_whose_views_run_ahead_is_caught() {
    let (kept, started) = follower_loses_its_unflushed_tail(Some(Twin::MarkAheadOfFlush)).await;
    assert_eq!(kept, ["before", "lost here"]);
    let is_refused = matches!(started, Err(NodeError::ViewsAhead { .. }));
    assert!(is_refused, "{started:?}");
}
