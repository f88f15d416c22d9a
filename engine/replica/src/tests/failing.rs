//! The store fails at its n-th call, for each n, until a run passes clean: the shard stops, and a restart is whole.

use super::workload::{SHARD, clock, log, open, rows};
use crate::{Shard, Stopped};
use bytes::Bytes;
use engine_store::{Batch, MemoryStore, StoreError, ViewSnapshot, ViewStore, Visit};
use raft_api::StateMachine;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub struct FailingStore {
    pub inner: MemoryStore,
    /// Calls that still succeed; the one after fails, and all that follow.
    left: AtomicU64,
}

impl FailingStore {
    pub fn new(calls: u64) -> FailingStore {
        FailingStore {
            inner: MemoryStore::new(),
            left: AtomicU64::new(calls),
        }
    }

    /// From now on.
    pub fn fail_after(&self, calls: u64) {
        self.left.store(calls, Ordering::SeqCst);
    }

    fn fails(&self) -> bool {
        let left = self.left.load(Ordering::SeqCst);
        self.left.store(left.saturating_sub(1), Ordering::SeqCst);
        left == 0
    }

    fn read(&self) -> Result<(), StoreError> {
        let detail = "on purpose".to_owned();
        if self.fails() {
            Err(StoreError::Read { detail })
        } else {
            Ok(())
        }
    }
}

impl ViewStore for FailingStore {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.read()?;
        self.inner.get(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        self.read()?;
        self.inner.scan(from, to, visit)
    }

    fn scan_back(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        self.read()?;
        self.inner.scan_back(from, to, visit)
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let detail = "on purpose".to_owned();
        if self.fails() {
            return Err(StoreError::Write { detail });
        }
        self.inner.write(batch)
    }

    fn flush(&self) -> Result<(), StoreError> {
        let detail = "on purpose".to_owned();
        if self.fails() {
            return Err(StoreError::Flush { detail });
        }
        self.inner.flush()
    }

    fn snapshot(&self) -> Box<dyn ViewSnapshot> {
        self.inner.snapshot()
    }
}

#[test]
fn each_call_may_fail() {
    let log = log(40);
    let whole = open(Arc::new(MemoryStore::new()));
    whole.apply(&log);
    let mut stops = 0;
    for calls in 0.. {
        let store = Arc::new(FailingStore::new(calls));
        let Ok(shard) = Shard::open(SHARD, store.clone(), clock()) else {
            continue;
        };
        for batch in log.chunks(6) {
            let outcomes = shard.apply(batch);
            assert_eq!(outcomes.len(), batch.len());
        }
        let stopped = shard.stopped().borrow().clone();
        // What is in the store is what the shard says, whether it stopped or not.
        let restarted = open(Arc::new({
            store.inner.flush().unwrap();
            store.inner.after_power_cut()
        }));
        assert_eq!(restarted.digest(), shard.digest(), "after {calls} calls");
        let from = restarted
            .applied()
            .map_or(0, |log_id| log_id.index.0 as usize + 1);
        restarted.apply(&log[from..]);
        assert_eq!(restarted.digest(), whole.digest(), "after {calls} calls");
        assert_eq!(rows(&restarted.view()), rows(&whole.view()));
        match stopped {
            None => break,
            Some(why) => assert!(matches!(why, Stopped::Store { .. }), "{why:?}"),
        }
        stops += 1;
    }
    assert!(stops > 100, "the store is asked often: {stops}");
}
