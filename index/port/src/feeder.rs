//! The index's one writer: a thread that adds what comes, looks for what is gone, flushes, and has runs merged.
//!
//! FED-1: no answer depends on it. FED-2: what a flush says is complete up to a position holds every message that came up to
//! there and is still in a mailbox.

use crate::finder::{Searcher, folded};
use crate::limits::{
    FLUSH_AFTER, FORGET_AFTER, GONE_MIN, GONE_SHARE, NEWEST_MAX, REST_TIMES, TAIL_BYTES,
};
use crate::places::{Index, Indexes};
use crate::queue::{Queue, Work};
use engine_domain::read::{MessageMoved, MessageRow};
use engine_service::{BodyHandle, read_body};
use engine_types::{AccountId, EmailId};
use index_store::{IndexError, SearchStore};
use parking_lot::Mutex;
use raft_api::{Entries, LogIndex, ShardId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Ends when told to, with all that was added flushed.
pub struct Feeder {
    pub(crate) indexes: Arc<Indexes>,
    pub(crate) queue: Arc<Queue>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// A message that cannot be read is not indexed: a search that wants it says so.
pub(crate) struct Writer {
    pub indexes: Arc<Indexes>,
    pub queue: Arc<Queue>,
    pub entries: Arc<dyn Entries>,
    /// By shard: since when something is not flushed.
    unflushed: BTreeMap<ShardId, Instant>,
    /// Messages that left a mailbox and were not looked for yet.
    gone: BTreeMap<(ShardId, AccountId), usize>,
    merge: SyncSender<ShardId>,
    /// The highest id of an account that was added since the start: one above it is new.
    newest: HashMap<AccountId, EmailId>,
}

impl Feeder {
    /// Follows the shards from now on, and gets level with them in the background.
    pub fn start(indexes: Arc<Indexes>, entries: Arc<dyn Entries>) -> io::Result<Feeder> {
        let queue = Arc::new(Queue::default());
        for (id, index) in &indexes.by_shard {
            index.shard.follow(queue.clone());
            let applied = index.shard.digest().position.map(|at| at.index);
            let at = LogIndex(index.store().position());
            let is_level = applied.is_none_or(|applied| applied == at);
            if is_level && index.progress.lock().damage.is_none() {
                index.progress.lock().indexed = applied;
            } else {
                queue.ask_whole(*id, false);
            }
        }
        // One request for each shard is enough: a merge goes on until nothing is due.
        let (merge, merges) = sync_channel(indexes.by_shard.len().max(1));
        let writer = Writer {
            indexes: indexes.clone(),
            queue: queue.clone(),
            entries,
            unflushed: BTreeMap::new(),
            gone: BTreeMap::new(),
            newest: HashMap::new(),
            merge,
        };
        let named = |name: &str| thread::Builder::new().name(name.to_owned());
        let merging = (indexes.clone(), queue.clone());
        let threads = vec![
            named("search-feed").spawn(move || writer.run())?,
            named("search-merge").spawn(move || merge_all(&merging.0, &merging.1, &merges))?,
        ];
        Ok(Feeder {
            indexes,
            queue,
            threads: Mutex::new(threads),
        })
    }

    pub fn searcher(&self) -> Searcher {
        Searcher {
            indexes: self.indexes.clone(),
            queue: self.queue.clone(),
        }
    }

    /// Makes a shard's index anew beside the one that there is; searches go on. False: it is not here.
    pub fn rebuild(&self, shard: ShardId) -> bool {
        let is_here = self.indexes.by_shard.contains_key(&shard);
        if is_here {
            self.queue.ask_whole(shard, true);
        }
        is_here
    }

    /// Waits for the threads.
    pub fn stop(&self) {
        self.queue.stop();
        for thread in self.threads.lock().drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.stop();
    }
}

fn merge_all(indexes: &Indexes, queue: &Queue, merges: &Receiver<ShardId>) {
    for shard in merges {
        let Some(index) = indexes.by_shard.get(&shard) else {
            continue;
        };
        loop {
            match index.store().merge() {
                Ok(true) if !queue.is_stopping() => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::error!(shard = shard.0, %error, "runs of the search index could not be merged");
                    break;
                }
            }
        }
    }
}

impl Writer {
    fn run(mut self) {
        let mut idle_since = Instant::now();
        loop {
            let work = self.queue.next(Duration::from_secs(1));
            let begun = Instant::now();
            match work {
                Work::Stop => break,
                Work::Nothing => {
                    self.flush_old();
                    if idle_since.elapsed() > FORGET_AFTER {
                        self.forget();
                        idle_since = Instant::now();
                    }
                    continue;
                }
                Work::Moved(shard, at, moved) => self.moved(shard, at, moved),
                Work::Whole { shard, anew } => self.whole(shard, anew),
            }
            self.flush_old();
            idle_since = Instant::now();
            // Mail comes first: an answer does not wait for what is not indexed yet. Not by a low priority, since the journal's
            // locks would be held at it.
            self.queue.rest_while_busy(begun.elapsed() * REST_TIMES);
        }
        let shards: Vec<ShardId> = self.indexes.by_shard.keys().copied().collect();
        for shard in shards {
            self.flush(shard);
        }
    }

    pub(crate) fn moved(&mut self, shard: ShardId, at: LogIndex, moved: Vec<MessageMoved>) {
        let indexes = self.indexes.clone();
        let Some(index) = indexes.by_shard.get(&shard) else {
            return;
        };
        let store = index.store();
        let came: BTreeSet<(AccountId, EmailId)> = moved
            .iter()
            .filter(|one| one.row.is_some())
            .map(|one| (one.account, one.email))
            .collect();
        for one in &moved {
            match &one.row {
                Some(row) => self.add(&store, shard, one.account, row),
                // Moved to another mailbox.
                None if came.contains(&(one.account, one.email)) => {}
                None => *self.gone.entry((shard, one.account)).or_default() += 1,
            }
        }
        {
            let mut progress = index.progress.lock();
            if progress.levelling.is_none() && !self.queue.is_whole_due(shard) {
                progress.indexed = progress.indexed.max(Some(at));
            }
        }
        if !moved.is_empty() {
            self.unflushed.entry(shard).or_insert_with(Instant::now);
            self.look_for_gone(index, shard);
        }
    }

    /// Unless the index holds it.
    pub(crate) fn add(
        &mut self,
        store: &SearchStore,
        shard: ShardId,
        account: AccountId,
        row: &MessageRow,
    ) {
        let is_new = self.newest.get(&account) < Some(&row.email);
        let is_above = is_new && self.newest.contains_key(&account);
        // Where that cannot be told: twice is better than not at all, an answer names it once.
        if !is_above && holds(store, account, row.email).unwrap_or(false) {
            return;
        }
        if is_new {
            if self.newest.len() >= NEWEST_MAX {
                self.newest.clear();
            }
            self.newest.insert(account, row.email);
        }
        let Ok(content) = read_body(self.entries.as_ref(), &BodyHandle::of(shard, row)) else {
            return;
        };
        let text = folded(&content);
        self.unflushed.entry(shard).or_insert_with(Instant::now);
        if store.tail_bytes() + text.bytes() > TAIL_BYTES {
            self.flush_store(store, shard);
        }
        if store.add(account, row.email, text).is_err() {
            tracing::error!(
                shard = shard.0,
                "the search index takes nothing: what it lacks is scanned"
            );
        }
    }

    fn look_for_gone(&mut self, index: &Index, shard: ShardId) {
        let due: Vec<AccountId> = self
            .gone
            .iter()
            .filter(|((of, _), count)| *of == shard && **count >= GONE_MIN)
            .map(|((_, account), _)| *account)
            .collect();
        for account in due {
            let count = self.gone.get(&(shard, account)).copied().unwrap_or(0);
            let held = crate::level::held(&index.store(), account).unwrap_or_default();
            if count * GONE_SHARE >= held.len() {
                self.gone.remove(&(shard, account));
                crate::level::remove_gone(index, shard, account, &held);
            }
        }
    }

    fn flush_old(&mut self) {
        let is_old = |since: &Instant| since.elapsed() >= FLUSH_AFTER;
        let old: Vec<ShardId> = self
            .unflushed
            .iter()
            .filter(|(_, since)| is_old(since))
            .map(|(shard, _)| *shard)
            .collect();
        for shard in old {
            self.flush(shard);
        }
    }

    pub(crate) fn flush(&mut self, shard: ShardId) {
        let indexes = self.indexes.clone();
        if let Some(index) = indexes.by_shard.get(&shard) {
            self.flush_store(&index.store(), shard);
        }
    }

    /// While a shard is gone through nothing is known of the messages that were not looked at: the position stays.
    pub(crate) fn flush_store(&mut self, store: &SearchStore, shard: ShardId) {
        let Some(index) = self.indexes.by_shard.get(&shard) else {
            return;
        };
        let at = {
            let progress = index.progress.lock();
            match (progress.levelling, progress.indexed) {
                (None, Some(at)) => at.0,
                _ => store.position(),
            }
        };
        match store.flush(at) {
            Ok(()) => {
                self.unflushed.remove(&shard);
                // Full: it will be merged soon.
                let _ = self.merge.try_send(shard);
            }
            Err(error) => {
                tracing::error!(shard = shard.0, %error, "the search index could not be written: what it lacks is scanned");
                self.unflushed.insert(shard, Instant::now());
            }
        }
    }

    fn forget(&self) {
        for index in self.indexes.by_shard.values() {
            index.store().forget_searches();
        }
    }
}

pub(crate) fn holds(
    store: &SearchStore,
    account: AccountId,
    id: EmailId,
) -> Result<bool, IndexError> {
    let reader = store.reader(account)?;
    if reader.tail.iter().any(|message| message.id == id) {
        return Ok(true);
    }
    for live in &reader.sections {
        let mut at = live.section.ordinals(&[id])?;
        at.intersect(&live.live);
        if !at.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
