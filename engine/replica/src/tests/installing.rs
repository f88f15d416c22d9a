//! Snapshots: what one replica sends is what the other has, and nothing damaged gets in.

use super::workload::{ALICE, SHARD, clock, log, open, rows};
use crate::Shard;
use crate::dump::{self, DumpError};
use bytes::Bytes;
use engine_store::MemoryStore;
use raft_api::{LogIndex, ShardId, Snapshot, StateMachine};
use std::sync::Arc;

#[test]
fn a_snapshot_carries_the_whole_state() {
    let log = log(80);
    let sender = open(Arc::new(MemoryStore::new()));
    sender.apply(&log[..50]);
    let snapshot = sender.snapshot().unwrap();
    let store = Arc::new(MemoryStore::new());
    let receiver = open(store.clone());
    receiver.apply(&log[..20]);
    let mut watcher = receiver.watch_account(ALICE);
    watcher.borrow_and_update();
    receiver.install(snapshot).unwrap();
    assert_eq!(receiver.digest(), sender.digest());
    assert_eq!(rows(&receiver.view()), rows(&sender.view()));
    assert_eq!(receiver.flushed(), Some(LogIndex(49)));
    assert!(watcher.has_changed().unwrap());
    // On stable storage on return, and the fold goes on from there.
    let left = open(Arc::new(store.after_power_cut()));
    for shard in [&sender, &receiver, &left] {
        shard.apply(&log[50..]);
    }
    assert_eq!(receiver.digest(), sender.digest());
    assert_eq!(left.digest(), sender.digest());
}

#[test]
fn damage_is_refused_and_changes_nothing() {
    let log = log(30);
    let sender = open(Arc::new(MemoryStore::new()));
    sender.apply(&log);
    let good = sender.snapshot().unwrap();
    let receiver = open(Arc::new(MemoryStore::new()));
    receiver.apply(&log[..5]);
    let before = receiver.digest();
    let check = |bytes: Bytes, what: &str| {
        let log_id = good.log_id;
        assert!(
            receiver.install(Snapshot { log_id, bytes }).is_err(),
            "{what}"
        );
        assert_eq!(receiver.digest(), before, "{what}");
    };
    for at in (0..good.bytes.len()).step_by(37) {
        let mut bytes = good.bytes.to_vec();
        bytes[at] ^= 1;
        check(bytes.into(), &format!("bit flip at {at}"));
        check(good.bytes.slice(..at), &format!("cut at {at}"));
    }
    let mut other = good.clone();
    other.log_id.index = LogIndex(7);
    assert!(receiver.install(other).is_err(), "another position");
    let stranger = Shard::open(ShardId(4), Arc::new(MemoryStore::new()), clock()).unwrap();
    assert!(stranger.install(good.clone()).is_err(), "another shard");
    receiver.install(good.clone()).unwrap();
    sender.install(good).unwrap();
}

#[test]
fn an_older_snapshot_is_refused() {
    let log = log(30);
    let shard = open(Arc::new(MemoryStore::new()));
    shard.apply(&log[..10]);
    let old = shard.snapshot().unwrap();
    shard.apply(&log[10..]);
    assert!(shard.install(old).is_err());
    assert_eq!(shard.applied(), log.last().map(|entry| entry.log_id));
}

#[test]
fn bounds() {
    let shard = open(Arc::new(MemoryStore::new()));
    assert!(shard.snapshot().is_err(), "nothing folded");
    shard.apply(&log(10));
    let size = shard.snapshot().unwrap().bytes.len();
    assert!(dump::encode(&shard.view(), size).is_ok());
    assert_eq!(
        dump::encode(&shard.view(), size - 1).unwrap_err(),
        DumpError::TooLarge
    );
    assert_eq!(shard.id(), SHARD);
}
