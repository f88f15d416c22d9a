//! The indexes of a node, one for each shard of mail, and how far each has come.

use crate::generations::Generations;
use crate::limits::{CACHE_BYTES, TAIL_BYTES, TEXT_CACHE_BYTES};
use engine_replica::Shard;
use index_store::{IndexError, Options, SearchStore};
use parking_lot::{Mutex, RwLock};
use raft_api::{LogIndex, ShardId};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

pub struct Indexes {
    pub(crate) by_shard: BTreeMap<ShardId, Index>,
}

pub(crate) struct Index {
    pub shard: Arc<Shard>,
    store: RwLock<Arc<SearchStore>>,
    pub generations: Mutex<Generations>,
    pub progress: Mutex<Progress>,
}

#[derive(Default)]
pub(crate) struct Progress {
    /// All messages up to here are in the index.
    pub indexed: Option<LogIndex>,
    /// Gone through as a whole: how many messages were looked at.
    pub levelling: Option<u64>,
    pub rebuilding: bool,
    /// What could not be read, until it is made anew.
    pub damage: Option<String>,
}

/// For operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexState {
    pub shard: ShardId,
    pub indexed: Option<LogIndex>,
    pub applied: Option<LogIndex>,
    pub levelling: Option<u64>,
    pub rebuilding: bool,
    pub damage: Option<String>,
    pub messages: u64,
    pub text_bytes: u64,
    pub file_bytes: u64,
    pub runs: usize,
}

pub(crate) fn options() -> Options {
    Options {
        tail_bytes_max: 2 * TAIL_BYTES,
        cache_bytes_max: CACHE_BYTES,
        text_cache_bytes_max: TEXT_CACHE_BYTES,
        ..Options::default()
    }
}

impl Indexes {
    /// Under `folder`, for all shards of mail. What is damaged is left out, and made anew by the feeder.
    pub fn open(
        folder: &Path,
        shards: &HashMap<ShardId, Arc<Shard>>,
    ) -> Result<Arc<Indexes>, IndexError> {
        let mut by_shard = BTreeMap::new();
        for (id, shard) in shards.iter().filter(|(id, _)| **id != ShardId::CONTROL) {
            let generations = Generations::open(folder.join(format!("shard-{:04}", id.0)))?;
            let (store, damaged) =
                SearchStore::open(&generations.path(generations.current), options())?;
            let index = Index {
                shard: shard.clone(),
                store: RwLock::new(Arc::new(store)),
                generations: Mutex::new(generations),
                progress: Mutex::default(),
            };
            for error in &damaged {
                index.lost(*id, error);
            }
            by_shard.insert(*id, index);
        }
        Ok(Arc::new(Indexes { by_shard }))
    }

    pub fn states(&self) -> Vec<IndexState> {
        let states = self.by_shard.iter().map(|(id, index)| {
            let size = index.store().size().unwrap_or_default();
            let applied = index.shard.digest().position;
            let progress = index.progress.lock();
            IndexState {
                shard: *id,
                indexed: progress.indexed,
                applied: applied.map(|at| at.index),
                levelling: progress.levelling,
                rebuilding: progress.rebuilding,
                damage: progress.damage.clone(),
                messages: size.messages,
                text_bytes: size.text_bytes,
                file_bytes: size.file_bytes,
                runs: size.runs,
            }
        });
        states.collect()
    }

    /// Cheap: for health.
    pub fn indexed(&self, shard: ShardId) -> Option<LogIndex> {
        self.by_shard.get(&shard)?.progress.lock().indexed
    }

    /// What of the index could not be read, by shard, until it is made anew.
    pub fn damages(&self) -> Vec<(ShardId, String)> {
        let damaged = self.by_shard.iter();
        damaged
            .filter_map(|(id, index)| Some((*id, index.progress.lock().damage.clone()?)))
            .collect()
    }
}

impl Index {
    /// Part of it is gone: it is complete up to nowhere, also after a crash, until it was gone through.
    pub fn lost(&self, shard: ShardId, error: &IndexError) {
        tracing::error!(shard = shard.0, %error, "the search index is damaged: it is made anew");
        {
            let mut progress = self.progress.lock();
            progress.damage = Some(error.to_string());
            progress.indexed = None;
        }
        if let Err(error) = self.store().flush(0) {
            tracing::error!(shard = shard.0, %error, "the search index could not be written");
        }
    }

    pub fn store(&self) -> Arc<SearchStore> {
        self.store.read().clone()
    }

    pub fn replace(&self, store: SearchStore) {
        *self.store.write() = Arc::new(store);
    }
}
