//! Payloads of recent entries in memory: all that is not flushed, and as much of the rest as the bound allows.
//! The first in is the first out. openraft reads back what it has just appended, and the fold reads what has just
//! become visible: neither then touches the disk.

use crate::limits::CACHED_ENTRY_OVERHEAD;
use bytes::Bytes;
use raft_api::{LogIndex, ShardId};
use std::collections::{BTreeMap, VecDeque};

pub(crate) struct Recent {
    bytes_max: usize,
    bytes: usize,
    entries: BTreeMap<(ShardId, LogIndex), (u64, Bytes)>,
    /// By ticket, so oldest first. May name entries that are gone or were replaced; their tickets tell.
    order: VecDeque<(u64, ShardId, LogIndex)>,
}

impl Recent {
    pub fn new(bytes_max: usize) -> Recent {
        Recent {
            bytes_max,
            bytes: 0,
            entries: BTreeMap::new(),
            order: VecDeque::new(),
        }
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn insert(&mut self, shard: ShardId, index: LogIndex, ticket: u64, payload: Bytes) {
        self.bytes += cost(&payload);
        if let Some((_, old)) = self.entries.insert((shard, index), (ticket, payload)) {
            self.bytes -= cost(&old);
        }
        self.order.push_back((ticket, shard, index));
        // Entries that were truncated leave their order behind; this bounds it to a few times what is cached.
        if self.order.len() > 2 * self.entries.len() + 1024 {
            let entries = &self.entries;
            self.order.retain(|(ticket, shard, index)| {
                entries
                    .get(&(*shard, *index))
                    .is_some_and(|(t, _)| t == ticket)
            });
        }
    }

    pub fn get(&self, shard: ShardId, index: LogIndex) -> Option<Bytes> {
        self.entries
            .get(&(shard, index))
            .map(|(_, payload)| payload.clone())
    }

    /// Forgets the shard's entries from `first` on.
    pub fn remove_from(&mut self, shard: ShardId, first: LogIndex) {
        let gone: Vec<LogIndex> = self
            .entries
            .range((shard, first)..=(shard, LogIndex(u64::MAX)))
            .map(|((_, index), _)| *index)
            .collect();
        for index in gone {
            if let Some((_, payload)) = self.entries.remove(&(shard, index)) {
                self.bytes -= cost(&payload);
            }
        }
    }

    /// Gives back what is above the bound, never an entry whose ticket is above `flushed`.
    pub fn shrink(&mut self, flushed: u64) {
        while self.bytes > self.bytes_max {
            match self.order.front() {
                Some((ticket, ..)) if *ticket <= flushed => {}
                _ => return,
            }
            let Some((ticket, shard, index)) = self.order.pop_front() else {
                return;
            };
            if self
                .entries
                .get(&(shard, index))
                .is_some_and(|(t, _)| *t == ticket)
                && let Some((_, payload)) = self.entries.remove(&(shard, index))
            {
                self.bytes -= cost(&payload);
            }
        }
    }
}

fn cost(payload: &Bytes) -> usize {
    payload.len() + CACHED_ENTRY_OVERHEAD
}
