use super::{Cluster, HANG, command};
use crate::change::{Change, ChangeError};
use raft_api::{Group, Mode, OnSiteLoss, ProposeError};

/// Site a has a majority, so consensus alone would commit. Nothing that only site a has may be acknowledged or shown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_second_site_nothing_is_acknowledged_or_shown() {
    let mut cluster = Cluster::new(&["a", "a", "b"]).await;
    cluster.start(0).await;
    cluster.start(1).await;
    let leader = cluster.leader(&[0, 1]).await;
    let closed = Err(ProposeError::SiteGateClosed);
    let alone = cluster.group(leader).propose(command("alone")).await;
    assert_eq!(alone, closed);

    cluster.start(2).await;
    cluster.wait_gate(leader, true).await;
    cluster.propose(0, "both").await;
    cluster.stop(2).await;
    // Nobody knows yet that the site is gone: this is proposed, and has to wait.
    let group = cluster.group(leader);
    let pending = tokio::spawn(async move { group.propose(command("pending")).await });
    cluster.wait_gate(leader, false).await;
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
    cluster.wait_gate(leader, true).await;
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
    cluster.policy = OnSiteLoss::Degrade;
    for node in 0..3 {
        cluster.start(node).await;
    }
    cluster.leader(&[0, 1, 2]).await;
    cluster.propose_soon(0, "in two sites").await;
    // It was founded so; from now on both sites hold that.
    switch(&cluster, 0, OnSiteLoss::Degrade).await.unwrap();
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
    switch(&cluster, 1 - leader, OnSiteLoss::Strict)
        .await
        .unwrap();
    let leader = cluster.leader(&[0, 1]).await;
    let refused = cluster.group(leader).propose(command("refused")).await;
    assert_eq!(refused, Err(ProposeError::SiteGateClosed));
    // Only in sync can it be said to both sites that one may go on.
    let early = switch(&cluster, leader, OnSiteLoss::Degrade).await;
    assert_eq!(early, Err(ChangeError::NotInSync));
    cluster.start(2).await;
    for node in 0..3 {
        wait_mode(&cluster, node, Mode::InSync).await;
    }
    switch(&cluster, 2, OnSiteLoss::Degrade).await.unwrap();
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

pub async fn switch(cluster: &Cluster, node: usize, policy: OnSiteLoss) -> Result<(), ChangeError> {
    loop {
        match cluster.group(node).change(Change::Policy(policy)).await {
            Err(ChangeError::NoLeader | ChangeError::InProgress) => tokio::task::yield_now().await,
            other => return other,
        }
    }
}

/// What a site that is left behind knows of the policy is what the other one may act on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_to_degrade_needs_the_second_site() {
    let mut cluster = Cluster::running(&["a", "a", "b"]).await;
    cluster.leader(&[0, 1, 2]).await;
    cluster.propose_soon(0, "first").await;
    cluster.stop(2).await;
    let leader = cluster.leader(&[0, 1]).await;
    cluster.wait_gate(leader, false).await;
    let refused = switch(&cluster, 1 - leader, OnSiteLoss::Degrade).await;
    assert_eq!(refused, Err(ChangeError::SecondSiteAway));
    let policy = |node: usize| cluster.group(node).status().on_site_loss;
    assert_eq!(policy(leader), Some(OnSiteLoss::Strict));

    cluster.start(2).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    cluster.wait_gate(leader, true).await;
    switch(&cluster, 2, OnSiteLoss::Degrade).await.unwrap();
    switch(&cluster, 2, OnSiteLoss::Degrade).await.unwrap();
    // It holds from then on, on nodes that start too, whatever they were configured with.
    for node in 0..3 {
        cluster.stop(node).await;
    }
    for node in 0..3 {
        cluster.start(node).await;
    }
    cluster.propose_soon(2, "second").await;
    for node in 0..3 {
        let policy = cluster.group(node).status().on_site_loss;
        assert_eq!(policy, Some(OnSiteLoss::Degrade), "node {node}");
        cluster.stop(node).await;
    }
}
