//! Going on from one site: the journal of a survivor, without its node.

use super::sites::switch;
use super::{Book, Cluster, SHARD, command, peers};
use crate::change::Change;
use crate::recover::{Standing, bring_up, go_on_alone, standing};
use crate::{Node, NodeConfig};
use raft_api::{LogId, Mode, NodeId, NodeInfo, OnSiteLoss, SiteName, StateMachine};
use raft_log::faulty_disk::FaultyDisk;
use raft_log::{EntryKind, Identity, Journal, NewEntry, Options};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;

fn identity(incarnation: u32, node: u64) -> Identity {
    Identity {
        cluster: [9; 16],
        incarnation,
        node: NodeId(node),
    }
}

fn options() -> Options {
    Options {
        segment_bytes: 16 << 20,
        reserve_bytes: 1 << 20,
        ..Options::default()
    }
}

fn open(disk: &FaultyDisk, incarnation: u32, node: u64) -> Journal {
    let who = identity(incarnation, node);
    let disk = Arc::new(disk.clone());
    let opened = Journal::open(disk, Path::new("/journal"), who, options());
    opened.unwrap().0
}

/// What the journal on a copy of node 3's disk says.
fn read_survivor(cluster: &Cluster) -> Standing {
    let disk = cluster.machines[2].disk.fork();
    let journal = open(&disk, 1, 3);
    let standing = standing(&journal, SHARD, NodeId(3)).unwrap();
    journal.close();
    standing
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_smaller_site_goes_on_alone_and_gets_a_second_one() {
    let mut cluster = Cluster::running(&["a", "a", "b"]).await;
    for text in ["one", "two"] {
        cluster.propose_soon(2, text).await;
    }
    switch(&cluster, 2, OnSiteLoss::Strict).await.unwrap();
    for node in 0..3 {
        cluster.stop(node).await;
    }
    let said = read_survivor(&cluster);
    assert!(said.is_complete() && said.votes, "{said:?}");
    let of_another = {
        let journal = open(&cluster.machines[2].disk.fork(), 1, 3);
        let said = standing(&journal, SHARD, NodeId(9)).unwrap();
        journal.close();
        said
    };
    assert!(!of_another.is_complete(), "it has not come to vote");
    assert_eq!(said.members.len(), 3);

    let disk = cluster.machines[2].disk.fork();
    let (old, new) = (identity(1, 3), identity(2, 4));
    let shared: Arc<dyn raft_log::Disk> = Arc::new(disk.clone());
    raft_log::succeed(&shared, Path::new("/journal"), old, new, &options()).unwrap();
    let journal = open(&disk, 2, 4);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let info = NodeInfo {
        id: NodeId(4),
        site: SiteName::new("b"),
        peer_addr: listener.local_addr().unwrap().to_string(),
    };
    // It is the command line's, and waits as that does.
    let alone = || go_on_alone(&journal, SHARD, &info, 7, vec![command("recovered")]);
    let end = tokio::task::block_in_place(alone).unwrap();
    assert!(Some(end) > said.last);
    let book = Arc::new(Book::default());
    let config = NodeConfig {
        id: info.id,
        site: info.site.clone(),
        members: vec![info.clone()],
        join: false,
        peers: peers(info.id, listener, vec![info]),
        ..Cluster::config(&journal).await
    };
    let machine: Arc<dyn StateMachine> = book.clone();
    let node = Node::start(config, HashMap::from([(SHARD, machine)]));
    let node = node.await.unwrap();
    let group = node.group(SHARD).unwrap();
    while group.propose(command("three")).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(book.texts(), ["one", "two", "recovered", "three"]);
    let status = group.status();
    assert_eq!(status.mode, Mode::SingleSite);
    assert_eq!(status.on_site_loss, Some(OnSiteLoss::Strict));
    let again = node.change(SHARD, Change::Policy(OnSiteLoss::Strict)).await;
    assert_eq!(again, Ok(()));
    node.shutdown().await;
    journal.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_survivor_says_what_others_could_do_without_it() {
    let mut cluster = Cluster::new(&["a", "a", "b"]).await;
    cluster.policy = OnSiteLoss::Degrade;
    for node in 0..3 {
        cluster.start(node).await;
    }
    cluster.propose_soon(2, "one").await;
    switch(&cluster, 2, OnSiteLoss::Degrade).await.unwrap();
    let said = read_survivor(&cluster);
    assert_eq!(said.others_could, OnSiteLoss::Degrade);
    assert!(!said.is_complete());
    switch(&cluster, 2, OnSiteLoss::Strict).await.unwrap();
    // Until it knows that the switch was agreed on, it can't rule out that it was not.
    let last = cluster.propose(2, "two").await.log_id.index;
    cluster.wait_folded(2, last).await;
    cluster.propose_soon(2, "three").await;
    for node in 0..3 {
        cluster.stop(node).await;
    }
    assert!(read_survivor(&cluster).is_complete());
}

fn journal(entries: &[(u64, u64)]) -> Journal {
    let journal = open(&FaultyDisk::new(4096), 1, 3);
    let entries = entries.iter().map(|(term, index)| NewEntry {
        log_id: LogId::new(*term, *index),
        kind: EntryKind::Normal,
        payload: format!("{index} of term {term}").into(),
    });
    let entries: Vec<NewEntry> = entries.collect();
    if !entries.is_empty() {
        journal.append(SHARD, entries, Box::new(|_| {})).unwrap();
    }
    journal
}

#[test]
fn the_survivor_that_ends_higher_is_believed() {
    let check = |own: &[(u64, u64)], theirs: &[(u64, u64)], expect: Option<&[(u64, u64)]>| {
        let (own, theirs) = (journal(own), journal(theirs));
        let taken = bring_up(&own, &theirs, SHARD);
        assert_eq!(taken.is_ok(), expect.is_some(), "{taken:?}");
        let Some(expect) = expect else { return };
        let entries = own.read(SHARD, 0..99, usize::MAX).unwrap();
        let ids: Vec<(u64, u64)> = entries
            .iter()
            .map(|entry| (entry.log_id.term.0, entry.log_id.index.0))
            .collect();
        assert_eq!(ids, expect);
    };
    let own = [(1, 0), (1, 1), (2, 2)];
    check(&own, &[], Some(&own));
    check(&own, &own, Some(&own));
    check(&own, &own[..2], Some(&own));
    check(&own[..2], &own, Some(&own));
    // A higher term counts more than a longer log.
    check(&[(1, 0), (1, 1), (1, 2), (1, 3)], &own, Some(&own));
    check(&own, &[(1, 0), (1, 1), (1, 2), (1, 3)], Some(&own));
    check(&[], &own, Some(&own));
    // Nothing in common to begin from.
    check(&own, &[(3, 7), (3, 8)], None);
}
