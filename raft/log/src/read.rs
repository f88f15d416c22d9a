//! Reading frames back. Every byte that is given out has passed both checksums and is the entry that was asked for.

use crate::format::{FRAME_HEAD_BYTES, FrameHead, FrameKind, Row, frame_bytes};
use crate::journal::Journal;
use crate::judge::{Concern, meaning_of};
use crate::kept::{frame_of, kind_of};
use crate::place::{Place, Spot};
use crate::segments::Readers;
use crate::shard_log::ShardState;
use crate::{Damage, EntryKind, limits};
use bytes::Bytes;
use raft_api::{EntriesError, LogId, LogIndex, ShardId};
use std::ops::Range;

/// An entry as it was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    pub log_id: LogId,
    pub kind: EntryKind,
    pub payload: Bytes,
}

/// Why a frame cannot be given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReadFault {
    Damaged(&'static str),
    Io(String),
}

/// What a frame must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub kind: FrameKind,
    pub shard: ShardId,
    pub term: u64,
    pub index: u64,
}

/// Where a payload is.
enum Found {
    Memory(Bytes),
    Disk(Place),
}

impl Journal {
    /// Raft's entries in `range`, as far as there are any, up to `max_bytes` of payload, but at least one if there is
    /// one. What is purged or not there yet is left out at either end.
    pub fn read(
        &self,
        shard: ShardId,
        range: Range<u64>,
        max_bytes: usize,
    ) -> Result<Vec<StoredEntry>, EntriesError> {
        self.read_clamped(shard, max_bytes, |log| log.clamp(range))
    }

    /// The same, unless it would have to read the disk: then `None`.
    pub fn read_cached(
        &self,
        shard: ShardId,
        range: Range<u64>,
        max_bytes: usize,
    ) -> Result<Option<Vec<StoredEntry>>, EntriesError> {
        let plan = self.plan(shard, max_bytes, |log| log.clamp(range))?;
        let entries = plan.into_iter().map(|(log_id, kind, found)| match found {
            Found::Memory(payload) => Some(StoredEntry {
                log_id,
                kind,
                payload,
            }),
            Found::Disk(_) => None,
        });
        Ok(entries.collect())
    }

    /// The same as `read` with purged entries: from the first one in `range` that is here to the last one without a gap.
    pub fn history(
        &self,
        shard: ShardId,
        range: Range<u64>,
        max_bytes: usize,
    ) -> Result<Vec<StoredEntry>, EntriesError> {
        self.read_clamped(shard, max_bytes, |log| log.clamp_history(range))
    }

    fn read_clamped(
        &self,
        shard: ShardId,
        max_bytes: usize,
        clamp: impl FnOnce(&ShardState) -> Range<u64>,
    ) -> Result<Vec<StoredEntry>, EntriesError> {
        let mut entries = Vec::new();
        for (log_id, kind, found) in self.plan(shard, max_bytes, clamp)? {
            let payload = match found {
                Found::Memory(payload) => payload,
                Found::Disk(place) => self.read_place(frame_of(place), shard, log_id, place)?,
            };
            entries.push(StoredEntry {
                log_id,
                kind,
                payload,
            });
        }
        Ok(entries)
    }

    /// What to read, and where it is: found under the lock, which is not held while reading.
    fn plan(
        &self,
        shard: ShardId,
        max_bytes: usize,
        clamp: impl FnOnce(&ShardState) -> Range<u64>,
    ) -> Result<Vec<(LogId, EntryKind, Found)>, EntriesError> {
        let mut plan = Vec::new();
        let state = self.shared().state.lock();
        let Some(log) = state.shards.get(&shard) else {
            return Ok(plan);
        };
        let range = clamp(log);
        state.check_sound(shard, LogIndex(range.start))?;
        let mut bytes = 0_usize;
        for index in range.take(limits::MAX_READ_ENTRIES).map(LogIndex) {
            let place = log.place(index);
            let place = place.ok_or(EntriesError::Missing { shard, index })?;
            let found = match state.recent.get(shard, index) {
                Some(payload) => Found::Memory(payload),
                None => Found::Disk(place),
            };
            bytes = bytes.saturating_add(match &found {
                Found::Memory(payload) => payload.len(),
                Found::Disk(place) => place.spot().map_or(0, |spot| spot.length as usize),
            });
            if bytes > max_bytes && !plan.is_empty() {
                break;
            }
            let term = place.term();
            plan.push((LogId { term, index }, kind_of(shard, index, place)?, found));
        }
        Ok(plan)
    }

    pub(crate) fn read_place(
        &self,
        kind: FrameKind,
        shard: ShardId,
        log_id: LogId,
        place: Place,
    ) -> Result<Bytes, EntriesError> {
        let index = log_id.index;
        let Some(spot) = place.spot() else {
            return Err(EntriesError::Io {
                shard,
                detail: format!("entry {index} is neither in memory nor flushed"),
            });
        };
        let wanted = Wanted {
            kind,
            shard,
            term: log_id.term.0,
            index: index.0,
        };
        match read_frame(&self.shared().readers, spot, wanted) {
            Ok(payload) => Ok(payload),
            Err(ReadFault::Io(detail)) => Err(EntriesError::Io { shard, detail }),
            Err(ReadFault::Damaged(detail)) => {
                let damage = Damage {
                    file: Readers::name(spot.segment),
                    offset: spot.offset,
                    bytes: crate::format::frame_bytes(spot.length as usize),
                    batch: None,
                    shard: Some(shard),
                    log_id: Some(log_id),
                    meaning: meaning_of(kind),
                };
                let row = Row {
                    kind,
                    entry_kind: place.kind(),
                    shard,
                    offset: spot.offset,
                    length: spot.length,
                    term: log_id.term.0,
                    index: index.0,
                };
                self.shared().note(vec![(damage, Concern::Frame(row))]);
                match self
                    .stand_in(shard, log_id)
                    .filter(|_| !place.is_stand_in())
                {
                    Some(stand_in) if kind == FrameKind::Entry => {
                        self.read_place(FrameKind::Adopted, shard, log_id, stand_in)
                    }
                    _ => Err(EntriesError::Damaged {
                        shard,
                        index,
                        detail,
                    }),
                }
            }
        }
    }

    fn stand_in(&self, shard: ShardId, log_id: LogId) -> Option<Place> {
        let state = self.shared().state.lock();
        let place = state.shards.get(&shard)?.place(log_id.index)?;
        let is_it = place.is_stand_in() && place.term() == log_id.term;
        is_it.then_some(place)
    }
}

impl raft_api::Entries for Journal {
    fn payload(&self, shard: ShardId, index: LogIndex) -> Result<Bytes, EntriesError> {
        self.kept(shard, index).map(|entry| entry.payload)
    }
}

pub(crate) fn read_frame(
    readers: &Readers,
    spot: Spot,
    wanted: Wanted,
) -> Result<Bytes, ReadFault> {
    let io = |error: std::io::Error| ReadFault::Io(error.to_string());
    let file = readers.file(spot.segment).map_err(io)?;
    let mut bytes = vec![0; frame_bytes(spot.length as usize) as usize];
    file.read_at(spot.offset, &mut bytes)
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => ReadFault::Damaged("the file ends before it"),
            _ => io(error),
        })?;
    let seed = readers.seed(spot.segment);
    let head = FrameHead::decode(seed, spot.offset, &bytes)
        .map_err(|_| ReadFault::Damaged("its head's checksum is wrong"))?;
    let is_it = head.kind == wanted.kind
        && head.shard == wanted.shard
        && head.term == wanted.term
        && head.index == wanted.index;
    if !is_it || head.length != spot.length {
        return Err(ReadFault::Damaged("another frame is in its place"));
    }
    if !head.body_is_sound(seed, spot.offset, &bytes[FRAME_HEAD_BYTES..]) {
        return Err(ReadFault::Damaged("its payload's checksum is wrong"));
    }
    let payload = FRAME_HEAD_BYTES..FRAME_HEAD_BYTES + head.length as usize;
    Ok(Bytes::from(bytes).slice(payload))
}
