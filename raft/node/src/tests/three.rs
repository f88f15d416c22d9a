use super::{Cluster, command, until};
use crate::change::Change;
use crate::limits::MAX_PAYLOAD_BYTES;
use bytes::Bytes;
use raft_api::{Group, ProposeError, Refused};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_nodes_take_proposals_and_fold_the_same() {
    let mut cluster = Cluster::running(&["a", "a", "b"]).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    cluster.wait_gate(leader, true).await;
    for node in 0..3 {
        for n in 0..20 {
            let proposed = cluster.propose(node, &format!("n{node}-{n}")).await;
            // Read your writes anywhere: the mark covers what was acknowledged.
            let reader = (node + n) % 3;
            let mark = cluster.group(reader).read_mark().await.unwrap();
            assert!(mark.index >= Some(proposed.log_id.index));
            cluster.wait_folded(reader, mark.index.unwrap()).await;
            let texts = cluster.machines[reader].book.texts();
            assert!(texts.contains(&format!("n{node}-{n}")));
        }
    }
    let mark = cluster.group(leader).read_mark().await.unwrap();
    for node in 0..3 {
        cluster.wait_folded(node, mark.index.unwrap()).await;
    }
    let entries = cluster.machines[0].book.entries();
    assert!(entries.len() >= 60);
    for node in 1..3 {
        assert_eq!(cluster.machines[node].book.entries(), entries);
    }
    for node in 0..3 {
        cluster.stop(node).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_is_lost_and_nothing_acknowledged_is() {
    let mut cluster = Cluster::running(&["a", "b", "c"]).await;
    let first = cluster.leader(&[0, 1, 2]).await;
    cluster.wait_gate(first, true).await;
    let mut acknowledged = Vec::new();
    for n in 0..30 {
        acknowledged.push(format!("before{n}"));
        cluster.propose(first, &acknowledged[n]).await;
    }
    cluster.stop(first).await;
    let rest: Vec<usize> = (0..3).filter(|node| *node != first).collect();
    let second = cluster.leader(&rest).await;
    cluster.wait_gate(second, true).await;
    for n in 0..30 {
        acknowledged.push(format!("after{n}"));
        cluster.propose(rest[n % 2], &acknowledged[30 + n]).await;
    }
    cluster.start(first).await;
    let mark = cluster.group(second).read_mark().await.unwrap();
    for node in 0..3 {
        cluster.wait_folded(node, mark.index.unwrap()).await;
        assert_eq!(cluster.machines[node].book.texts(), acknowledged);
        cluster.stop(node).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_entries_fit_the_frames_also_when_a_node_catches_up() {
    let mut cluster = Cluster::new(&["a", "a", "a"]).await;
    cluster.start(0).await;
    cluster.start(1).await;
    let leader = cluster.leader(&[0, 1]).await;
    let sizes = [MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES, 1, 256 << 10].repeat(3);
    let tasks = sizes.iter().map(|size| {
        let (group, payload) = (cluster.group(1 - leader), Bytes::from(vec![b'x'; *size]));
        tokio::spawn(async move { group.propose(payload).await })
    });
    let mut last = None;
    for task in tasks.collect::<Vec<_>>() {
        let proposed = task.await.unwrap().unwrap();
        last = last.max(Some(proposed.log_id.index));
    }
    cluster.start(2).await;
    for node in 0..3 {
        cluster.wait_folded(node, last.unwrap()).await;
    }
    let entries = cluster.machines[0].book.entries();
    for node in 0..3 {
        assert_eq!(cluster.machines[node].book.texts().len(), sizes.len());
        assert!(cluster.machines[node].book.entries() == entries);
        cluster.stop(node).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_alone_shows_what_it_had_shown_and_no_more() {
    let mut cluster = Cluster::running(&["a", "a", "a"]).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    let shown = cluster.propose(leader, "shown").await.log_id.index;
    cluster.wait_folded(0, shown).await;
    for node in 0..3 {
        cluster.stop(node).await;
    }
    cluster.machines[0].book = Arc::default();
    cluster.start(0).await;
    cluster.wait_folded(0, shown).await;
    assert_eq!(cluster.machines[0].book.texts(), ["shown"]);
    let group = cluster.group(0);
    assert!(group.read_mark().await.is_err());
    assert!(group.propose(command("x")).await.is_err());
    drop(group);
    cluster.stop(0).await;
}

fn is_full(cluster: &Cluster, node: usize) -> bool {
    let (_, journal) = cluster.machines[node].running.as_ref().unwrap();
    journal.is_full()
}

/// Design §6: a node whose disk is full stays, says so, and goes on once there is room; nothing is acknowledged that its
/// site does not hold.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_with_a_full_disk_waits_for_room() {
    let mut cluster = Cluster::new(&["a", "a", "b"]).await;
    cluster.journal.segment_bytes = 2 << 20;
    for node in 0..3 {
        cluster.start(node).await;
    }
    cluster.leader(&[0, 1, 2]).await;
    cluster.propose_soon(0, "first").await;
    cluster.machines[2].disk.set_free_bytes(0);
    let leader = cluster.leader(&[0, 1]).await;
    let group = cluster.group(leader);
    let refused = loop {
        let payload = Bytes::from(vec![b'x'; 512 << 10]);
        match tokio::time::timeout(Duration::from_secs(1), group.propose(payload)).await {
            // Proposed before anybody knew: it waits.
            Err(_) | Ok(Ok(_) | Err(ProposeError::NotLeader { .. })) => {}
            Ok(Err(error)) => break error,
        }
    };
    assert_eq!(refused, ProposeError::SiteGateClosed);
    assert!(is_full(&cluster, 2) && !is_full(&cluster, leader));
    assert_eq!(cluster.group(2).shared.failed.borrow().clone(), None);
    // What it has can be read, and it votes: another leader comes to be, and is told too.
    drop(group);
    cluster.stop(leader).await;
    cluster.leader(&[1 - leader, 2]).await;
    cluster.start(leader).await;
    cluster.machines[2].disk.set_free_bytes(u64::MAX);
    cluster.propose_soon(1 - leader, "last").await;
    let mark = cluster.group(2).read_mark().await.unwrap();
    for node in 0..3 {
        cluster.wait_folded(node, mark.index.unwrap()).await;
        assert_eq!(cluster.machines[node].book.texts().last().unwrap(), "last");
    }
    // Nothing that needs more room has to come before that is noticed.
    until("room", || !is_full(&cluster, 2)).await;
    for node in 0..3 {
        cluster.stop(node).await;
    }
}

/// The others go on, so that entries keep coming: small ones, of which most is what each costs beside its payload.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_in_the_larger_site_holds_nobody_up_and_ends_nothing() {
    let mut cluster = Cluster::new(&["a", "a", "b"]).await;
    cluster.journal.segment_bytes = 2 << 20;
    for node in 0..3 {
        cluster.start(node).await;
    }
    let leader = cluster.leader(&[0, 1]).await;
    let full = 1 - leader;
    cluster.propose_soon(leader, "first").await;
    cluster.machines[full].disk.set_free_bytes(0);
    let group = cluster.group(leader);
    let last = || {
        cluster.machines[full]
            .running
            .as_ref()
            .unwrap()
            .1
            .log_state(super::SHARD)
            .last
    };
    let mut before = None;
    // Until it takes nothing more.
    while !is_full(&cluster, full) || before != last() {
        before = last();
        let propose = |n: usize| group.propose(command(&format!("small {n}")));
        let all = futures_util::future::join_all((0..1000).map(propose)).await;
        assert!(all.iter().any(Result::is_ok), "{:?}", all[0]);
    }
    let failed = cluster.group(full).shared.failed.borrow().clone();
    assert_eq!(failed, None);
    cluster.machines[full].disk.set_free_bytes(u64::MAX);
    drop(group);
    let last = cluster.propose(leader, "last").await.log_id.index;
    cluster.wait_folded(full, last).await;
    for node in 0..3 {
        cluster.stop(node).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_with_a_full_disk_hands_over() {
    let mut cluster = Cluster::running(&["a", "a", "b"]).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    cluster.propose_soon(0, "first").await;
    cluster.machines[leader].disk.set_free_bytes(0);
    let group = cluster.group(leader);
    while !is_full(&cluster, leader) {
        let payload = Bytes::from(vec![b'x'; 512 << 10]);
        let _ = tokio::time::timeout(Duration::from_secs(1), group.propose(payload)).await;
    }
    let own = cluster.members[leader].id.0;
    let moved = |m: &crate::types::Metrics| m.current_leader.is_some_and(|now| now != own);
    cluster.wait(leader, "another leader", moved).await;
    // More than fits on the full one, and it stays a member.
    for _ in 0..40 {
        let payload = Bytes::from(vec![b'y'; 512 << 10]);
        while group.propose(payload.clone()).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
    let failed = cluster.group(leader).shared.failed.borrow().clone();
    assert_eq!(failed, None);
    drop(group);
    for node in 0..3 {
        cluster.stop(node).await;
    }
}

/// Log time follows the leader's clock and never goes back: so whoever is an hour off does not stamp anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_clock_is_off_refuses_and_hands_over() {
    let mut cluster = Cluster::new(&["a", "a", "b"]).await;
    cluster.hour_ahead = Some(0);
    for node in 0..3 {
        cluster.start(node).await;
    }
    cluster.leader(&[0, 1, 2]).await;
    let first = cluster.members[0].id;
    while cluster
        .group(1)
        .change(Change::Transfer(first))
        .await
        .is_err()
    {
        tokio::task::yield_now().await;
    }
    let group = cluster.group(0);
    let refused = loop {
        match group.propose(command("stamped")).await {
            Err(ProposeError::Refused(refused)) => break refused,
            _ => tokio::task::yield_now().await,
        }
    };
    assert_eq!(refused, Refused::ClockSkew);
    let moved = |m: &crate::types::Metrics| m.current_leader.is_some_and(|now| now != 1);
    cluster.wait(0, "another leader", moved).await;
    cluster.propose_soon(0, "by another one").await;
    drop(group);
    for node in 0..3 {
        cluster.stop(node).await;
    }
}
