use super::{Cluster, command};
use crate::limits::MAX_PAYLOAD_BYTES;
use bytes::Bytes;
use raft_api::{Group, Mode, ProposeError, Refused};
use raft_log::faulty_disk::Chance;
use std::collections::BTreeSet;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_power_cut_with_and_without_views() {
    let mut cluster = Cluster::running(&["a"]).await;
    cluster.leader(&[0]).await;
    let group = cluster.group(0);
    let tasks = (0..300).map(|n| {
        let group = group.clone();
        tokio::spawn(async move { group.propose(command(&format!("c{n}"))).await })
    });
    let mut acknowledged = BTreeSet::new();
    for (n, task) in tasks.collect::<Vec<_>>().into_iter().enumerate() {
        let proposed = task.await.unwrap().unwrap();
        assert_eq!(proposed.outcome, command(&format!("C{n}")));
        acknowledged.insert(format!("c{n}"));
    }
    drop(group);
    for loses_views in [false, true] {
        cluster.machines[0].disk.cut_power();
        cluster.stop(0).await;
        cluster.machines[0].disk.power_on(&mut Chance(7));
        let before = cluster.machines[0].book.entries();
        if loses_views {
            cluster.machines[0].book = Arc::default();
        }
        cluster.start(0).await;
        cluster.leader(&[0]).await;
        let text = format!("after {loses_views}");
        cluster.propose(0, &text).await;
        acknowledged.insert(text);
        let texts = cluster.machines[0].book.texts();
        assert_eq!(texts.len(), acknowledged.len());
        assert_eq!(texts.into_iter().collect::<BTreeSet<_>>(), acknowledged);
        assert!(cluster.machines[0].book.entries().starts_with(&before));
    }
    cluster.stop(0).await;
}

#[tokio::test]
async fn refusals_are_true_and_the_status_tells_the_position() {
    let mut cluster = Cluster::running(&["a"]).await;
    cluster.leader(&[0]).await;
    let group = cluster.group(0);
    let malformed = Err(ProposeError::Refused(Refused::Malformed));
    assert_eq!(group.propose(command("bad")).await, malformed);
    let large = Bytes::from(vec![b'x'; MAX_PAYLOAD_BYTES + 1]);
    assert_eq!(group.propose(large).await, malformed);
    let proposed = cluster.propose(0, "good").await;
    assert_eq!(cluster.machines[0].book.texts(), ["good"]);
    let mark = group.read_mark().await.unwrap();
    assert_eq!(mark.index, Some(proposed.log_id.index));
    let status = group.status();
    assert_eq!(status.visible, mark.index);
    assert_eq!(status.mode, Mode::SingleSite);
    assert!(!status.gate_closed);
    assert_eq!(status.members.len(), 1);
    drop(group);
    cluster.stop(0).await;
}

/// Design §6: a full disk refuses changes before it stops anything, and lets them in again once there is room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_refused_at_the_door_and_ends_nothing() {
    let mut cluster = Cluster::running(&["a"]).await;
    cluster.leader(&[0]).await;
    let group = cluster.group(0);
    cluster.machines[0].disk.set_free_bytes(0);
    let full = Err(ProposeError::Refused(Refused::DiskFull));
    let mut taken = 0;
    // Side by side, so that each asks for room while others are under way.
    'filling: loop {
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let group = group.clone();
                let payload = Bytes::from(vec![b'x'; 32 << 10]);
                tokio::spawn(async move { group.propose(payload).await })
            })
            .collect();
        let mut refused = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => taken += 1,
                other => {
                    assert_eq!(other, full);
                    refused += 1;
                }
            }
        }
        if refused == 16 {
            break 'filling;
        }
        assert!(taken < 100_000, "the disk is never full");
    }
    assert_eq!(cluster.machines[0].book.texts().len(), taken);
    cluster.machines[0].disk.set_free_bytes(u64::MAX);
    cluster.propose(0, "there is room again").await;
    assert_eq!(cluster.machines[0].book.texts().len(), taken + 1);
    drop(group);
    cluster.stop(0).await;
}
