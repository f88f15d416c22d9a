//! SHD-1 and SHD-2: after a crash at any batch, the replay from the position found ends in the same state.

use super::workload::{clock, log, open, rows};
use crate::limits::FLUSH_WAIT_MS_MAX;
use crate::{Digest, Shard};
use engine_store::{MemoryStore, RocksStore, ViewStore};
use raft_api::{Committed, LogId, LogIndex, StateMachine};
use std::path::Path;
use std::sync::Arc;

const LEN: u64 = 60;
const BATCH: usize = 4;

/// A shard's digest and rows.
type Whole = (Digest, Vec<(Vec<u8>, Vec<u8>)>);

fn whole(log: &[Committed]) -> Whole {
    let shard = open(Arc::new(MemoryStore::new()));
    shard.apply(log);
    (shard.digest(), rows(&shard.view()))
}

/// Opens what the crash left, replays the rest, and compares.
#[track_caller]
fn replay(left: Arc<dyn ViewStore>, flushed: Option<LogIndex>, log: &[Committed], expect: &Whole) {
    let shard = open(left);
    let applied = shard.applied().map(|log_id| log_id.index);
    assert!(applied >= flushed, "SHD-2: {applied:?} < {flushed:?}");
    assert_eq!(shard.flushed(), applied);
    assert_eq!(shard.digest(), shard.view().recompute_digest().unwrap());
    let from = applied.map_or(0, |index| index.0 as usize + 1);
    shard.apply(&log[from..]);
    assert_eq!(shard.digest(), expect.0);
    assert_eq!(rows(&shard.view()), expect.1);
}

/// Batches `0..flush_at` are flushed, those up to `crash_at` only written.
fn run(shard: &Shard, log: &[Committed], flush_at: usize, crash_at: usize) {
    for (number, batch) in log.chunks(BATCH).take(crash_at).enumerate() {
        if number == flush_at {
            shard.flush().unwrap();
        }
        shard.apply(batch);
    }
}

#[test]
fn a_crash_at_any_batch_loses_nothing() {
    let log = log(LEN);
    let expect = whole(&log);
    let batches = log.len().div_ceil(BATCH);
    for crash_at in 0..=batches {
        for flush_at in 0..=crash_at {
            let store = Arc::new(MemoryStore::new());
            let shard = open(store.clone());
            run(&shard, &log, flush_at, crash_at);
            let left = Arc::new(store.after_power_cut());
            replay(left, shard.flushed(), &log, &expect);
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// The files of a store that is still open are what `kill -9` leaves.
#[test]
fn rocksdb_killed_between_batches_loses_nothing() {
    let log = log(LEN);
    let expect = whole(&log);
    for (flush_at, crash_at) in [(0, 0), (0, 3), (3, 9), (9, 9), (14, 15)] {
        let folder = tempfile::tempdir().unwrap();
        let shard = open(Arc::new(RocksStore::open(folder.path()).unwrap()));
        run(&shard, &log, flush_at, crash_at);
        let left = tempfile::tempdir().unwrap();
        copy_folder(folder.path(), left.path());
        let reopened = Arc::new(RocksStore::open(left.path()).unwrap());
        replay(reopened, shard.flushed(), &log, &expect);
    }
}

#[test]
fn what_was_closed_in_order_is_there() {
    let log = log(LEN);
    let folder = tempfile::tempdir().unwrap();
    let digest = {
        let shard = open(Arc::new(RocksStore::open(folder.path()).unwrap()));
        shard.apply(&log);
        shard.flush().unwrap();
        assert_eq!(shard.flushed(), Some(LogIndex(LEN - 1)));
        shard.digest()
    };
    let shard = open(Arc::new(RocksStore::open(folder.path()).unwrap()));
    assert_eq!(shard.applied(), Some(LogId::new(2, LEN - 1)));
    assert_eq!(shard.digest(), digest);
}

#[test]
fn time_makes_a_flush_due() {
    let log = log(10);
    let clock = clock();
    let store = Arc::new(MemoryStore::new());
    let shard = Shard::open(super::workload::SHARD, store.clone(), clock.clone()).unwrap();
    shard.apply(&log[..4]);
    assert_eq!(shard.flushed(), None);
    *clock.0.lock() += FLUSH_WAIT_MS_MAX;
    shard.apply(&log[4..5]);
    assert_eq!(shard.flushed(), Some(LogIndex(4)));
    let left = open(Arc::new(store.after_power_cut()));
    assert_eq!(left.applied(), Some(LogId::new(2, 4)));
}

/// Rows whose position is gone belong to no position: they are not believed.
#[test]
fn rows_without_a_position_are_refused() {
    let store = Arc::new(MemoryStore::new());
    open(store.clone()).apply(&log(10));
    let key = crate::keys::position_key(super::workload::SHARD);
    store.write(vec![(key.clone(), None)]).unwrap();
    assert!(Shard::open(super::workload::SHARD, store.clone(), clock()).is_err());
    store.write(vec![(key, Some(vec![0xff]))]).unwrap();
    assert!(Shard::open(super::workload::SHARD, store, clock()).is_err());
}
