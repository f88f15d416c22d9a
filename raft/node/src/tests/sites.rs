use super::{Cluster, command};
use raft_api::{Group, ProposeError};

/// Site a has a majority, so consensus alone would commit. Nothing that only site a has may be acknowledged or shown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_second_site_nothing_is_acknowledged_or_shown() {
    let mut cluster = Cluster::new(&["a", "a", "b"]).await;
    cluster.start(0).await;
    cluster.start(1).await;
    let leader = cluster.leader(&[0, 1]).await;
    let own = cluster.members[leader].id;
    let is_open = |m: &crate::types::Metrics| crate::gate::is_open(m, own);
    let closed = Err(ProposeError::SiteGateClosed);
    let alone = cluster.group(leader).propose(command("alone")).await;
    assert_eq!(alone, closed);

    cluster.start(2).await;
    cluster.wait(leader, "an open gate", is_open).await;
    cluster.propose(0, "both").await;
    cluster.stop(2).await;
    // Nobody knows yet that the site is gone: this is proposed, and has to wait.
    let group = cluster.group(leader);
    let pending = tokio::spawn(async move { group.propose(command("pending")).await });
    cluster.wait(leader, "a closed gate", |m| !is_open(m)).await;
    let refused = cluster.group(1 - leader).propose(command("refused")).await;
    assert_eq!(refused, closed, "also when it is forwarded");
    assert!(cluster.group(leader).status().gate_closed);
    assert!(!pending.is_finished());
    for node in 0..2 {
        let texts = cluster.machines[node].book.texts();
        assert_eq!(texts, ["both"], "node {node}");
    }

    cluster.start(2).await;
    let proposed = pending.await.unwrap().unwrap();
    assert_eq!(proposed.outcome, command("PENDING"));
    cluster.wait(leader, "an open gate", is_open).await;
    let last = cluster.propose(1 - leader, "again").await;
    for node in 0..3 {
        cluster.wait_folded(node, last.log_id.index).await;
        let texts = cluster.machines[node].book.texts();
        assert_eq!(texts, ["both", "pending", "again"]);
    }
    for node in 0..3 {
        cluster.stop(node).await;
    }
}
