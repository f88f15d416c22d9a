use super::{Cluster, command};
use crate::limits::MAX_PAYLOAD_BYTES;
use bytes::Bytes;
use raft_api::Group;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_nodes_take_proposals_and_fold_the_same() {
    let mut cluster = Cluster::running(&["a", "a", "b"]).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    let own = cluster.members[leader].id;
    let is_open = |m: &crate::types::Metrics| crate::gate::is_heard(m, own);
    cluster.wait(leader, "an open gate", is_open).await;
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
    let own = cluster.members[first].id;
    let is_open = |m: &crate::types::Metrics| crate::gate::is_heard(m, own);
    cluster.wait(first, "an open gate", is_open).await;
    let mut acknowledged = Vec::new();
    for n in 0..30 {
        acknowledged.push(format!("before{n}"));
        cluster.propose(first, &acknowledged[n]).await;
    }
    cluster.stop(first).await;
    let rest: Vec<usize> = (0..3).filter(|node| *node != first).collect();
    let second = cluster.leader(&rest).await;
    let own = cluster.members[second].id;
    let is_open = |m: &crate::types::Metrics| crate::gate::is_heard(m, own);
    cluster.wait(second, "an open gate", is_open).await;
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
