//! One node in memory: the control group and two mail shards.

use crate::clock::HandClock;
use crate::group::{SoloGroup, Trouble};
use bytes::Bytes;
use engine_replica::Shard;
use engine_store::{MemoryStore, ViewStore};
use raft_api::{Entries, EntriesError, Group, LogIndex, ShardId};
use std::collections::HashMap;
use std::sync::Arc;

/// The control group and the mail shards.
const SHARDS: [ShardId; 3] = [ShardId::CONTROL, ShardId(1), ShardId(2)];

pub struct Solo {
    clock: Arc<HandClock>,
    shards: HashMap<ShardId, Arc<Shard>>,
    groups: HashMap<ShardId, Arc<SoloGroup>>,
}

struct SoloEntries {
    groups: HashMap<ShardId, Arc<SoloGroup>>,
}

impl Default for Solo {
    fn default() -> Solo {
        Solo::new()
    }
}

impl Solo {
    pub fn new() -> Solo {
        Solo::on(Arc::new(MemoryStore::new()))
    }

    /// Over `store`, which must be empty: the log begins here.
    pub fn on(store: Arc<dyn ViewStore>) -> Solo {
        let clock = Arc::new(HandClock::default());
        let shards: HashMap<ShardId, Arc<Shard>> = SHARDS
            .into_iter()
            .map(|id| {
                let shard = Shard::open(id, store.clone(), clock.clone());
                (id, shard.expect("an empty store opens"))
            })
            .collect();
        let groups = shards
            .iter()
            .map(|(id, shard)| (*id, SoloGroup::new(shard.clone())))
            .collect();
        Solo {
            clock,
            shards,
            groups,
        }
    }

    pub fn clock(&self) -> Arc<HandClock> {
        self.clock.clone()
    }

    pub fn groups(&self) -> HashMap<ShardId, Arc<dyn Group>> {
        self.groups
            .iter()
            .map(|(id, group)| (*id, group.clone() as Arc<dyn Group>))
            .collect()
    }

    pub fn shards(&self) -> HashMap<ShardId, Arc<Shard>> {
        self.shards.clone()
    }

    pub fn entries(&self) -> Arc<dyn Entries> {
        Arc::new(SoloEntries {
            groups: self.groups.clone(),
        })
    }

    /// For `shard`, from now on.
    pub fn set_trouble(&self, shard: ShardId, trouble: Trouble) {
        if let Some(group) = self.groups.get(&shard) {
            group.set_trouble(trouble);
        }
    }
}

impl Entries for SoloEntries {
    fn payload(&self, shard: ShardId, index: LogIndex) -> Result<Bytes, EntriesError> {
        match self.groups.get(&shard) {
            Some(group) => group.payload(index),
            None => Err(EntriesError::Missing { shard, index }),
        }
    }
}
