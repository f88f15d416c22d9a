//! Lexicons, tables and texts of the accounts that were searched last, within a bound of bytes.

use crate::lexicon::Lexicon;
use crate::run::RunId;
use crate::section::{Half, Slot, Tables};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub run: RunId,
    pub account: u64,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    Tables,
    Lexicon(Slot),
    /// A block of texts, by number.
    Texts(Half, usize),
}

#[derive(Clone)]
pub enum Cached {
    Tables(Arc<Tables>),
    Lexicon(Arc<Lexicon>),
    Texts(Arc<Vec<u8>>),
}

struct Item {
    value: Cached,
    bytes: usize,
    used: u64,
}

#[derive(Default)]
struct Items {
    items: HashMap<Key, Item>,
    bytes: usize,
    clock: u64,
}

pub struct Cache {
    bytes_max: usize,
    items: Mutex<Items>,
}

impl Cache {
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            items: Mutex::default(),
        }
    }

    pub fn get(&self, key: &Key) -> Option<Cached> {
        let mut items = self.items.lock();
        items.clock += 1;
        let now = items.clock;
        let item = items.items.get_mut(key)?;
        item.used = now;
        Some(item.value.clone())
    }

    pub fn put(&self, key: Key, value: Cached, bytes: usize) {
        if bytes > self.bytes_max {
            return;
        }
        let mut items = self.items.lock();
        items.clock += 1;
        let used = items.clock;
        items.bytes += bytes;
        let before = items.items.insert(key, Item { value, bytes, used });
        items.bytes -= before.map_or(0, |item| item.bytes);
        if items.bytes > self.bytes_max {
            items.keep(self.bytes_max / 2);
        }
    }

    /// Drops what belongs to a run that is no more.
    pub fn forget(&self, run: RunId) {
        let mut items = self.items.lock();
        items.items.retain(|key, _| key.run != run);
        items.bytes = items.items.values().map(|item| item.bytes).sum();
    }

    /// Drops all: what is searched again is read again.
    pub fn clear(&self) {
        *self.items.lock() = Items::default();
    }

    pub fn bytes(&self) -> usize {
        self.items.lock().bytes
    }
}

impl Items {
    /// Keeps what was used last, so that no more than `bytes_max` stay; half at once, so that this is rare.
    fn keep(&mut self, bytes_max: usize) {
        let mut order: Vec<(u64, Key, usize)> = self
            .items
            .iter()
            .map(|(key, item)| (item.used, *key, item.bytes))
            .collect();
        order.sort_unstable_by_key(|(used, ..)| *used);
        for (_, key, bytes) in order {
            if self.bytes <= bytes_max {
                break;
            }
            self.items.remove(&key);
            self.bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_stays() {
        let cache = Cache::new(100);
        let key = |account| Key {
            run: RunId(1),
            account,
            what: What::Tables,
        };
        let value = || Cached::Lexicon(Arc::default());
        cache.put(key(1), value(), 40);
        cache.put(key(2), value(), 40);
        assert!(cache.get(&key(1)).is_some());
        cache.put(key(3), value(), 30);
        assert!(cache.get(&key(2)).is_none());
        assert!(cache.get(&key(3)).is_some());
        assert_eq!(cache.bytes(), 30);
        cache.forget(RunId(1));
        assert_eq!(cache.bytes(), 0);
    }
}
