use super::{Cluster, HANG, command};
use raft_api::{Group, Mode, OnSiteLoss, ProposeError};

/// Site a has a majority, so consensus alone would commit. Nothing that only site a has may be acknowledged or shown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_second_site_nothing_is_acknowledged_or_shown() {
    let mut cluster = Cluster::new(&["a", "a", "b"]).await;
    cluster.start(0).await;
    cluster.start(1).await;
    let leader = cluster.leader(&[0, 1]).await;
    let own = cluster.members[leader].id;
    let is_open = |m: &crate::types::Metrics| crate::gate::is_heard(m, own);
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

async fn wait_mode(cluster: &Cluster, node: usize, mode: Mode) {
    let mut now = cluster.group(node).shared.mode.subscribe();
    let waited = tokio::time::timeout(HANG, now.wait_for(|now| now.mode == mode)).await;
    waited.expect("the mode in time").expect("the group lives");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_degrade_one_site_goes_on_and_says_so() {
    let mut cluster = Cluster::new(&["a", "a", "b"]).await;
    cluster.policy.send_replace(OnSiteLoss::Degrade);
    for node in 0..3 {
        cluster.start(node).await;
    }
    cluster.leader(&[0, 1, 2]).await;
    cluster.propose_soon(0, "in two sites").await;
    cluster.stop(2).await;
    cluster.propose_soon(0, "in one site").await;
    for node in [0, 1] {
        wait_mode(&cluster, node, Mode::Degraded).await;
        assert_eq!(cluster.group(node).status().mode, Mode::Degraded);
    }
    let leader = cluster.leader(&[0, 1]).await;
    assert!(!cluster.group(leader).status().gate_closed);
    // Whoever starts now finds the mode in its log.
    cluster.stop(1 - leader).await;
    cluster.start(1 - leader).await;
    cluster.leader(&[0, 1]).await;
    wait_mode(&cluster, 1 - leader, Mode::Degraded).await;
    cluster.propose_soon(1 - leader, "still in one site").await;
    // Strict again, while the site is still away: changes are refused.
    cluster.policy.send_replace(OnSiteLoss::Strict);
    let leader = cluster.leader(&[0, 1]).await;
    let refused = cluster.group(leader).propose(command("refused")).await;
    assert_eq!(refused, Err(ProposeError::SiteGateClosed));
    cluster.policy.send_replace(OnSiteLoss::Degrade);
    cluster.start(2).await;
    for node in 0..3 {
        wait_mode(&cluster, node, Mode::InSync).await;
    }
    cluster.propose_soon(2, "in two sites again").await;
    let mark = cluster.group(2).read_mark().await.unwrap();
    let expect = [
        "in two sites",
        "in one site",
        "still in one site",
        "in two sites again",
    ];
    for node in 0..3 {
        cluster.wait_folded(node, mark.index.unwrap()).await;
        let mut texts = cluster.machines[node].book.texts();
        texts.dedup();
        assert_eq!(texts, expect, "node {node}");
        cluster.stop(node).await;
    }
}
