//! Rows in memory, for tests: copied on the first write after a snapshot, and able to lose what was not flushed.

use crate::{Batch, StoreError, ViewSnapshot, ViewStore, Visit};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

type Rows = BTreeMap<Vec<u8>, Bytes>;

#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rows: Arc<Rows>,
    flushed: Arc<Rows>,
}

struct MemorySnapshot {
    rows: Arc<Rows>,
}

impl MemoryStore {
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// What a power cut leaves: the rows of the last flush.
    pub fn after_power_cut(&self) -> MemoryStore {
        let flushed = self.state.lock().flushed.clone();
        MemoryStore {
            state: Mutex::new(State {
                rows: flushed.clone(),
                flushed,
            }),
        }
    }

    /// No lock is held while rows are visited, so that a visitor may read and write the store.
    fn now(&self) -> MemorySnapshot {
        MemorySnapshot {
            rows: self.state.lock().rows.clone(),
        }
    }
}

impl ViewStore for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.state.lock().rows.get(key).cloned())
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        self.now().scan(from, to, visit)
    }

    fn scan_back(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        self.now().scan_back(from, to, visit)
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        let rows = Arc::make_mut(&mut state.rows);
        for (key, value) in batch {
            match value {
                Some(value) => rows.insert(key, value.into()),
                None => rows.remove(&key),
            };
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        state.flushed = state.rows.clone();
        Ok(())
    }

    fn snapshot(&self) -> Box<dyn ViewSnapshot> {
        Box::new(self.now())
    }
}

impl MemorySnapshot {
    fn range(
        &self,
        from: &[u8],
        to: &[u8],
    ) -> impl DoubleEndedIterator<Item = (&Vec<u8>, &Bytes)> + use<'_> {
        // `BTreeMap::range` panics on an inverted range; an empty one is what the caller means.
        let to = to.max(from);
        self.rows.range(from.to_vec()..to.to_vec())
    }
}

impl ViewSnapshot for MemorySnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.rows.get(key).cloned())
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        for (key, value) in self.range(from, to) {
            if !visit(key, value) {
                break;
            }
        }
        Ok(())
    }

    fn scan_back(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        for (key, value) in self.range(from, to).rev() {
            if !visit(key, value) {
                break;
            }
        }
        Ok(())
    }
}
