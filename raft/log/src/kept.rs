//! What the journal keeps beside Raft's logs: payloads that came with a snapshot, and the snapshot itself.
//!
//! KEPT-1: a checkpoint is there once its last part is flushed, with every part before it; until then the older one is.
//! KEPT-2: an adopted entry is committed on the cluster. Where the shard's own log has another entry at that index, the
//! adopted one is what a reference means.
//!
//! Neither is read before it is flushed.

use crate::format::FrameKind;
use crate::journal::Journal;
use crate::place::Place;
use crate::queue::{Item, Queued};
use crate::{AppendError, EntryKind, FlushDone, NewEntry, StoredEntry};
use bytes::Bytes;
use raft_api::{EntriesError, LogId, LogIndex, ShardId, Term};
use std::collections::BTreeMap;

/// Where a part stands in its checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointPart {
    pub is_first: bool,
    pub is_last: bool,
}

impl CheckpointPart {
    pub(crate) fn code(self) -> u8 {
        u8::from(self.is_first) | u8::from(self.is_last) << 1
    }

    pub(crate) fn from_code(code: u8) -> CheckpointPart {
        CheckpointPart {
            is_first: code & 1 != 0,
            is_last: code & 2 != 0,
        }
    }
}

/// A shard's state at a position, complete and on stable storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub log_id: LogId,
    pub parts: usize,
}

/// One shard's, in memory.
#[derive(Default)]
pub(crate) struct Kept {
    adopted: BTreeMap<u64, Place>,
    complete: Option<(LogId, Vec<Place>)>,
    unfinished: Option<(LogId, Vec<Place>)>,
}

impl Kept {
    pub fn is_empty(&self) -> bool {
        self.adopted.is_empty() && self.complete.is_none() && self.unfinished.is_none()
    }

    pub fn adopt(&mut self, index: LogIndex, place: Place) {
        self.adopted.insert(index.0, place);
    }

    pub fn adopted(&self, index: LogIndex) -> Option<Place> {
        self.adopted.get(&index.0).copied()
    }

    /// A part that does not go on with the checkpoint that was begun is of one that was given up.
    pub fn part(&mut self, log_id: LogId, part: CheckpointPart, place: Place) {
        if part.is_first {
            self.unfinished = Some((log_id, Vec::new()));
        }
        let Some((_, places)) = self.unfinished.as_mut().filter(|(at, _)| *at == log_id) else {
            return;
        };
        places.push(place);
        if part.is_last {
            self.complete = self.unfinished.take();
        }
    }

    /// Whether the complete checkpoint has a part where `is_here` says. An unfinished one with such a part is given up.
    pub fn part_at(&mut self, is_here: impl Fn(Place) -> bool) -> bool {
        let has = |parts: &(LogId, Vec<Place>)| parts.1.iter().any(|place| is_here(*place));
        self.unfinished = self.unfinished.take().filter(|parts| !has(parts));
        self.complete.as_ref().is_some_and(has)
    }

    pub fn checkpoint(&self) -> Option<Checkpoint> {
        self.complete.as_ref().map(|(log_id, places)| Checkpoint {
            log_id: *log_id,
            parts: places.len(),
        })
    }
}

impl Journal {
    /// Keeps committed entries of another node's log for those who refer to them, in any order. Not part of Raft's log
    /// here. `payload` finds them once `done` has fired. An error means that nothing was accepted.
    pub fn adopt(
        &self,
        shard: ShardId,
        entries: Vec<NewEntry>,
        done: FlushDone,
    ) -> Result<(), AppendError> {
        let item = |entry| Item::Adopted { shard, entry };
        self.keep(shard, entries.into_iter().map(item).collect(), done)
    }

    /// A part of the shard's state at `log_id`. Parts come in order; a first one drops what was begun before.
    pub fn save_checkpoint_part(
        &self,
        shard: ShardId,
        log_id: LogId,
        part: CheckpointPart,
        payload: Bytes,
        done: FlushDone,
    ) -> Result<(), AppendError> {
        let item = Item::Part {
            shard,
            log_id,
            part,
            payload,
        };
        self.keep(shard, vec![item], done)
    }

    fn keep(&self, shard: ShardId, items: Vec<Item>, done: FlushDone) -> Result<(), AppendError> {
        let sizes = items.iter().map(|item| item.payload().len());
        let mut state = self.admit(sizes, |state| state.shard_for_change(shard).map(drop))?;
        for item in items {
            state.enqueue(Queued { item, done: None });
        }
        state.enqueue(Queued {
            item: Item::Nothing,
            done: Some(done),
        });
        self.shared().tell_writer(state);
        Ok(())
    }

    /// The newest one that is complete. `None` as well if the shard has a hole: a part may be missing.
    pub fn checkpoint(&self, shard: ShardId) -> Option<Checkpoint> {
        let state = self.shared().state.lock();
        let log = state.shards.get(&shard)?;
        log.kept.checkpoint().filter(|_| state.is_sound(shard))
    }

    /// Part `part` of the newest complete one, from 0.
    pub fn checkpoint_part(&self, shard: ShardId, part: usize) -> Result<Bytes, EntriesError> {
        let (log_id, place) = {
            let state = self.shared().state.lock();
            let log = state.shards.get(&shard);
            let complete = log.and_then(|log| log.kept.complete.as_ref());
            let index = complete.map_or(LogIndex(0), |(log_id, _)| log_id.index);
            let found = complete.and_then(|(log_id, places)| Some((*log_id, *places.get(part)?)));
            found.ok_or(EntriesError::Missing { shard, index })?
        };
        self.read_place(FrameKind::Part, shard, log_id, place)
    }

    pub fn is_adopted(&self, shard: ShardId, index: LogIndex) -> bool {
        let state = self.shared().state.lock();
        let log = state.shards.get(&shard);
        log.is_some_and(|log| log.kept.adopted(index).is_some())
    }

    /// The entry that a reference to `index` means, with its log id.
    pub fn kept(&self, shard: ShardId, index: LogIndex) -> Result<StoredEntry, EntriesError> {
        let (frame, place, in_memory) = {
            let state = self.shared().state.lock();
            let log = state.shards.get(&shard);
            let log = log.ok_or(EntriesError::Missing { shard, index })?;
            match (log.kept.adopted(index), log.place(index)) {
                (Some(place), _) => (FrameKind::Adopted, place, None),
                (None, Some(place)) => (frame_of(place), place, state.recent.get(shard, index)),
                (None, None) => return Err(EntriesError::Missing { shard, index }),
            }
        };
        let log_id = log_id_of(index, place.term());
        let payload = match in_memory {
            Some(payload) => payload,
            None => self.read_place(frame, shard, log_id, place)?,
        };
        Ok(StoredEntry {
            log_id,
            kind: kind_of(shard, index, place)?,
            payload,
        })
    }

    /// The log id at `index` of the shard's own log, also if it was purged.
    pub fn log_id_at(&self, shard: ShardId, index: LogIndex) -> Option<LogId> {
        let state = self.shared().state.lock();
        let place = state.shards.get(&shard)?.place(index)?;
        Some(log_id_of(index, place.term()))
    }

    /// The newest entry of `kind` at or below `upto` in the shard's own log, also if it was purged. Found without
    /// reading the log.
    pub fn newest_of(
        &self,
        kind: EntryKind,
        shard: ShardId,
        upto: LogIndex,
    ) -> Result<Option<StoredEntry>, EntriesError> {
        let found = {
            let state = self.shared().state.lock();
            state.check_sound(shard, upto)?;
            let log = state.shards.get(&shard);
            log.and_then(|log| log.newest_of(kind, upto))
        };
        let Some(index) = found else {
            return Ok(None);
        };
        let entries = self.history(shard, index.0..index.next().0, usize::MAX)?;
        Ok(entries.into_iter().next())
    }
}

/// What lies at the place of an entry of the log.
pub(crate) fn frame_of(place: Place) -> FrameKind {
    match place.is_stand_in() {
        true => FrameKind::Adopted,
        false => FrameKind::Entry,
    }
}

fn log_id_of(index: LogIndex, term: Term) -> LogId {
    LogId { term, index }
}

pub(crate) fn kind_of(
    shard: ShardId,
    index: LogIndex,
    place: Place,
) -> Result<EntryKind, EntriesError> {
    let unknown = EntriesError::Damaged {
        shard,
        index,
        detail: "its kind is unknown to this version",
    };
    EntryKind::from_code(place.kind()).ok_or(unknown)
}
