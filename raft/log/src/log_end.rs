//! The end of the log on disk: writes batches there, seals a segment that is full, and goes on to the next one.
//! When to write, and whom to tell, is the writer's.

use crate::format::{
    BatchHead, BatchRow, Footer, FooterMark, FrameHead, FrameKind, HEAD_AREA_BYTES, Row, Seed,
    encode_frame, encode_trailer, footer_room, segment_name,
};
use crate::place::Spot;
use crate::queue::{Item, Queued};
use crate::space::Spare;
use crate::state::{Shared, State};
use crate::{DiskFile, JournalBroken};
use raft_api::{LogId, LogIndex, ShardId};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Where the log ends on disk.
pub(crate) struct LogEnd {
    pub current: Option<Current>,
    pub next_batch: u64,
    /// Frames of the last batch, its head not counted.
    pub previous_frames: u32,
    /// Nothing on disk says yet that the last batch was flushed.
    pub unsealed: bool,
    /// Each shard's last log id after all that is written.
    pub last: BTreeMap<ShardId, LogId>,
    /// The newest mark of each shard that is written.
    pub marks: BTreeMap<ShardId, LogIndex>,
}

/// The segment that is being written.
pub(crate) struct Current {
    pub sequence: u64,
    pub path: PathBuf,
    pub file: Arc<dyn DiskFile>,
    pub seed: Seed,
    pub capacity: u64,
    pub end: u64,
    /// For the footer.
    pub rows: Vec<Row>,
    pub first_batch: Option<(u64, u32)>,
    pub may_get_footer: bool,
}

/// A batch as it is put together.
pub(crate) struct Batch {
    pub items: Vec<Queued>,
    pub rows: BTreeMap<ShardId, BatchRow>,
    pub bytes: u64,
    /// What the queue's books promised for it.
    pub cost: u64,
}

impl LogEnd {
    /// Whether so many more bytes and frames, with marks of so many more shards, leave room for the footer.
    pub fn fits(&self, bytes: u64, frames: usize, marks: usize) -> bool {
        self.current.as_ref().is_some_and(|current| {
            let footer = footer_room(current.rows.len() + frames, self.marks.len() + marks);
            current.end + bytes + footer <= current.capacity
        })
    }

    /// One write for the whole batch. Returns where each item's frame lies.
    pub fn write(&mut self, kind: FrameKind, batch: &Batch) -> Result<Vec<Spot>, JournalBroken> {
        let Some(current) = &mut self.current else {
            return Err(JournalBroken::NoRoom);
        };
        let head = BatchHead {
            bytes: batch.bytes as u32,
            frames: batch
                .items
                .iter()
                .filter(|queued| queued.item.shard().is_some())
                .count() as u32,
            flushed_before: self.next_batch - 1,
            previous_frames: self.previous_frames,
            rows: batch.rows.values().copied().collect(),
        };
        let mut out = Vec::with_capacity(batch.bytes as usize);
        let frame = frame_head(kind, self.next_batch);
        encode_frame(&mut out, current.seed, current.end, frame, &head.encode());
        let mut spots = Vec::with_capacity(batch.items.len());
        let mut ordinal = 0;
        for queued in &batch.items {
            let offset = current.end + out.len() as u64;
            let payload = queued.item.payload();
            spots.push(Spot {
                segment: current.sequence as u32,
                offset,
                length: payload.len() as u32,
            });
            let Some(mut frame) = item_head(&queued.item, self.next_batch) else {
                continue;
            };
            ordinal += 1;
            frame.ordinal = ordinal;
            frame.length = payload.len() as u32;
            current.rows.push(Row::of(&frame, offset));
            encode_frame(&mut out, current.seed, offset, frame, payload);
        }
        assert_eq!(
            out.len() as u64,
            batch.bytes,
            "a batch is as long as its head says"
        );
        current
            .file
            .write_at(current.end, &out)
            .map_err(|e| JournalBroken::io("write", &current.path, &e))?;
        current
            .first_batch
            .get_or_insert((self.next_batch, self.previous_frames));
        current.end += batch.bytes;
        self.next_batch += 1;
        self.previous_frames = head.frames;
        self.unsealed = true;
        for row in &head.rows {
            if let Some(mark) = row.mark {
                self.marks.insert(row.shard, mark);
            }
        }
        Ok(spots)
    }

    pub fn flush(&self, shared: &Shared) -> Result<(), JournalBroken> {
        let Some(current) = &self.current else {
            return Ok(());
        };
        current
            .file
            .flush()
            .map_err(|e| JournalBroken::io("flush", &current.path, &e))?;
        shared.state.lock().counters.flushes += 1;
        Ok(())
    }

    pub fn current_left(&self, state: &State) -> u64 {
        self.current.as_ref().map_or(0, |current| {
            let footer = footer_room(current.rows.len(), state.shards.len());
            current.capacity.saturating_sub(current.end + footer)
        })
    }

    /// Writes the footer of the current segment, which seals its last batch, and cuts the file to what it uses.
    pub fn seal_segment(&mut self, shared: &Shared) -> Result<(), JournalBroken> {
        let Some(current) = &self.current else {
            return Ok(());
        };
        let Some((first_batch, first_previous_frames)) = current.first_batch else {
            // Not one batch fits in it: there is no room for a footer to speak of either.
            return Err(JournalBroken::NoRoom);
        };
        let mut marks: Vec<FooterMark> = self
            .marks
            .iter()
            .map(|(shard, mark)| FooterMark {
                shard: *shard,
                mark: *mark,
            })
            .collect();
        let left = current.capacity.saturating_sub(current.end);
        while !marks.is_empty() && footer_room(current.rows.len(), marks.len()) > left {
            // A mark is a hint: those that do not fit come with the next batch of their shard.
            marks.pop();
        }
        if !current.may_get_footer || footer_room(current.rows.len(), 0) > left {
            // Frames in it are damaged, or the file was shortened from outside: the segment stays without a footer and is
            // read in full.
            tracing::warn!(file = %current.path.display(), "the segment gets no footer");
            self.current = None;
            self.unsealed = false;
            return Ok(());
        }
        let footer = Footer {
            first_batch,
            first_previous_frames,
            previous_frames: self.previous_frames,
            rows: current.rows.clone(),
            marks,
        };
        let mut out = Vec::new();
        let frame = frame_head(FrameKind::Footer, self.next_batch);
        encode_frame(&mut out, current.seed, current.end, frame, &footer.encode());
        let trailer_at = current.end + out.len() as u64;
        out.extend_from_slice(&encode_trailer(current.seed, trailer_at, current.end));
        let end = current.end + out.len() as u64;
        let io = |operation| move |e| JournalBroken::io(operation, &current.path, &e);
        current
            .file
            .write_at(current.end, &out)
            .map_err(io("write"))?;
        current.file.flush().map_err(io("flush"))?;
        current.file.truncate(end).map_err(io("truncate"))?;
        current.file.flush().map_err(io("flush"))?;
        let mut state = shared.state.lock();
        state.counters.flushes += 2;
        state.counters.bytes_written += out.len() as u64;
        state.space.used_bytes += out.len() as u64;
        state.space.current_left = 0;
        state.space.current_is_reserve = false;
        state.space.sealed.insert(current.sequence);
        drop(state);
        self.next_batch += 1;
        self.previous_frames = 0;
        self.unsealed = false;
        self.current = None;
        Ok(())
    }

    /// Takes the spare, or makes one, or falls back on the reserve.
    pub fn next_segment(&mut self, shared: &Shared) -> Result<(), JournalBroken> {
        let has_spare = |state: &State| !state.space.spares.is_empty();
        let is_there = has_spare(&shared.state.lock());
        let has_room = is_there || shared.allocate(has_spare)?;
        let from_reserve = if has_room {
            None
        } else {
            Self::spare_from_reserve(shared)?
        };
        let first = shared.state.lock().space.spares.front().copied();
        let Some(spare) = from_reserve.or(first) else {
            return Err(JournalBroken::NoRoom);
        };
        let current = Self::open_spare(shared, spare.sequence, spare.capacity)?;
        self.current = Some(current);
        {
            // In one go, so that an appender sees the segment's room as spare or as current, and never as gone.
            let mut state = shared.state.lock();
            if from_reserve.is_none() {
                state.space.spares.pop_front();
            }
            state.space.used_segments += 1;
            state.space.used_bytes += HEAD_AREA_BYTES;
            state.space.current_left = self.current_left(&state);
            state.space.current_is_reserve = from_reserve.is_some();
        }
        if from_reserve.is_none() {
            // One spare ahead, so that the next change of segments waits for nothing.
            shared.allocate(has_spare)?;
        }
        Ok(())
    }

    /// `None`: an appender was faster, and found room for a spare after all.
    fn spare_from_reserve(shared: &Shared) -> Result<Option<Spare>, JournalBroken> {
        let allocator = shared.allocator.lock();
        let (reserve, sequence) = {
            let mut state = shared.state.lock();
            if !state.space.spares.is_empty() {
                return Ok(None);
            }
            (state.space.reserve.pop(), state.space.next_sequence)
        };
        let reserve = reserve.ok_or(JournalBroken::NoRoom)?;
        let spare = allocator.reserve_to_spare(&reserve, sequence)?;
        shared.state.lock().space.next_sequence = sequence + 1;
        Ok(Some(spare))
    }

    fn open_spare(shared: &Shared, sequence: u64, capacity: u64) -> Result<Current, JournalBroken> {
        let allocator = shared.allocator.lock();
        let path = allocator.dir.join(segment_name(sequence));
        let file = allocator
            .disk
            .open(&path)
            .map_err(|e| JournalBroken::io("open", &path, &e))?;
        Ok(Current {
            sequence,
            path,
            file,
            seed: Seed::new(&allocator.identity, sequence),
            capacity,
            end: HEAD_AREA_BYTES,
            rows: Vec::new(),
            first_batch: None,
            may_get_footer: true,
        })
    }

    pub fn remember_marks(&mut self, rows: &BTreeMap<ShardId, BatchRow>) {
        for row in rows.values() {
            if let Some(mark) = row.mark {
                self.marks.insert(row.shard, mark);
            }
        }
    }
}

fn frame_head(kind: FrameKind, batch: u64) -> FrameHead {
    FrameHead {
        kind,
        entry_kind: 0,
        shard: ShardId(0),
        ordinal: 0,
        batch,
        term: 0,
        index: 0,
        length: 0,
        payload_crc: 0,
    }
}

fn item_head(item: &Item, batch: u64) -> Option<FrameHead> {
    let shard = item.shard()?;
    let (kind, entry_kind, term, index) = match item {
        Item::Entry { entry, .. } => (
            FrameKind::Entry,
            entry.kind as u8,
            entry.log_id.term.0,
            entry.log_id.index.0,
        ),
        Item::Vote { number, copy, .. } => (FrameKind::Vote, 0, u64::from(*copy), *number),
        Item::Truncate {
            first_removed,
            last,
            ..
        } => (
            FrameKind::Truncate,
            0,
            last.map_or(0, |last| last.term.0),
            first_removed.0,
        ),
        Item::Purge { upto, .. } => (FrameKind::Purge, 0, upto.term.0, upto.index.0),
        Item::Adopted { entry, .. } => (
            FrameKind::Adopted,
            entry.kind as u8,
            entry.log_id.term.0,
            entry.log_id.index.0,
        ),
        Item::Part { log_id, part, .. } => {
            (FrameKind::Part, part.code(), log_id.term.0, log_id.index.0)
        }
        Item::Nothing => return None,
    };
    Some(FrameHead {
        entry_kind,
        shard,
        term,
        index,
        ..frame_head(kind, batch)
    })
}
