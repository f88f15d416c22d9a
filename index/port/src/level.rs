//! A whole shard held against its index: after a start, after damage, after a snapshot, and to make it anew.

use crate::feeder::Writer;
use crate::finder::give_up;
use crate::limits::DAMAGES_MAX;
use crate::places::{Index, options};
use crate::queue::Work;
use engine_domain::RowsError;
use engine_domain::read::{each_of_account, next_account};
use engine_replica::View;
use engine_types::{AccountId, EmailId};
use index_store::{IndexError, SearchStore};
use raft_api::{LogIndex, ShardId};
use thiserror::Error;

#[derive(Debug, Error)]
pub(crate) enum LevelError {
    #[error(transparent)]
    Rows(#[from] RowsError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("the folder of the search index: {0}")]
    Io(#[from] std::io::Error),
    #[error("the node stops")]
    Stopping,
}

impl Writer {
    pub(crate) fn whole(&mut self, shard: ShardId, anew: bool) {
        let indexes = self.indexes.clone();
        let Some(index) = indexes.by_shard.get(&shard) else {
            return;
        };
        {
            let mut progress = index.progress.lock();
            progress.levelling = Some(0);
            progress.rebuilding = anew;
        }
        let done = match anew {
            false => self.level(index, shard, &index.store()),
            true => self.rebuild(index, shard),
        };
        let is_level = done.is_ok();
        {
            let mut progress = index.progress.lock();
            progress.levelling = None;
            progress.rebuilding = false;
            match done {
                Ok(position) => {
                    progress.indexed = progress.indexed.max(position);
                    progress.damage = None;
                }
                Err(LevelError::Stopping) => {}
                Err(error) => {
                    tracing::error!(shard = shard.0, %error, "the search index could not be brought level: what it lacks is scanned");
                    progress.damage = Some(error.to_string());
                }
            }
        }
        if is_level {
            self.flush(shard);
        }
    }

    fn rebuild(&mut self, index: &Index, shard: ShardId) -> Result<Option<LogIndex>, LevelError> {
        let (next, path) = {
            let generations = index.generations.lock();
            let next = generations.current + 1;
            (next, generations.path(next))
        };
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        let (store, _) = SearchStore::open(&path, options())?;
        let position = self.level(index, shard, &store)?;
        store.flush(position.map_or(0, |at| at.0))?;
        index.replace(store);
        index.generations.lock().switch(next)?;
        // What came meanwhile went to the old one.
        self.level(index, shard, &index.store())
    }

    /// Adds to `store` what it lacks of the rows of this moment, and takes out what they lack. What comes meanwhile goes to
    /// the index in use, and is found missing in another one afterwards.
    fn level(
        &mut self,
        index: &Index,
        shard: ShardId,
        store: &SearchStore,
    ) -> Result<Option<LogIndex>, LevelError> {
        // Each time a run less.
        for _ in 0..DAMAGES_MAX {
            match self.level_once(index, shard, store) {
                Err(LevelError::Index(error @ IndexError::Damaged { .. })) => {
                    index.lost(shard, &error);
                    give_up(shard, store, &error);
                }
                done => return done,
            }
        }
        self.level_once(index, shard, store)
    }

    fn level_once(
        &mut self,
        index: &Index,
        shard: ShardId,
        store: &SearchStore,
    ) -> Result<Option<LogIndex>, LevelError> {
        let view = index.shard.view();
        let mut messages = 0_u64;
        let mut last = AccountId(0);
        while let Some(account) = next_account(&view, shard.0, last)? {
            last = account;
            messages += self.level_account(&view, index, shard, account, store)?;
            index.progress.lock().levelling = Some(messages);
        }
        Ok(view.position()?.map(|at| at.index))
    }

    fn level_account(
        &mut self,
        view: &View,
        index: &Index,
        shard: ShardId,
        account: AccountId,
        store: &SearchStore,
    ) -> Result<u64, LevelError> {
        let held = held(store, account)?;
        let live = live(view, shard, account)?;
        let missing: Vec<EmailId> = live
            .iter()
            .filter(|id| held.binary_search(id).is_err())
            .copied()
            .collect();
        for id in held.iter().filter(|id| live.binary_search(id).is_err()) {
            store.delete(account, *id);
        }
        if missing.is_empty() {
            return Ok(live.len() as u64);
        }
        let mut stopping = false;
        let mut looked = 0_u64;
        each_of_account(view, shard.0, account, &mut |row| {
            looked += 1;
            if missing.binary_search(&row.email).is_ok() {
                self.add(store, shard, account, &row);
            }
            if looked.is_multiple_of(256) {
                stopping = self.queue.is_stopping();
                *index.progress.lock().levelling.get_or_insert(0) += 256;
                self.take_what_came();
            }
            !stopping
        })?;
        match stopping {
            true => Err(LevelError::Stopping),
            false => Ok(live.len() as u64),
        }
    }

    /// Mail goes on, and is to be found at once.
    fn take_what_came(&mut self) {
        for _ in 0..64 {
            let Some(Work::Moved(shard, at, moved)) = self.queue.next_moved() else {
                return;
            };
            self.moved(shard, at, moved);
        }
    }
}

/// Ids of an account's messages in the index, ascending.
pub(crate) fn held(store: &SearchStore, account: AccountId) -> Result<Vec<EmailId>, IndexError> {
    let mut reader = store.reader(account)?;
    if let Some(error) = reader.damaged.pop() {
        return Err(error);
    }
    let mut ids: Vec<EmailId> = reader.tail.iter().map(|message| message.id).collect();
    for live in &reader.sections {
        for ordinal in live.live.iter() {
            ids.push(live.section.id(ordinal)?);
        }
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// Ids of an account's messages in its mailboxes, ascending.
pub(crate) fn live(
    view: &View,
    shard: ShardId,
    account: AccountId,
) -> Result<Vec<EmailId>, RowsError> {
    let mut ids = Vec::new();
    each_of_account(view, shard.0, account, &mut |row| {
        ids.push(row.email);
        true
    })?;
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// An account that is gone as a whole leaves its messages to this too.
pub(crate) fn remove_gone(index: &Index, shard: ShardId, account: AccountId, held: &[EmailId]) {
    let view = index.shard.view();
    match live(&view, shard, account) {
        Ok(live) => {
            let store = index.store();
            for id in held.iter().filter(|id| live.binary_search(id).is_err()) {
                store.delete(account, *id);
            }
        }
        Err(error) => tracing::debug!(shard = shard.0, %error, "rows could not be read"),
    }
}
