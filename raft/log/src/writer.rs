//! The one writer: takes what all shards have queued, writes it as a batch, flushes once, completes all of it.
//!
//! WRT-1: a batch is written only after the one before it is flushed.
//! WRT-2: no completion fires before its frames are flushed; a vote's, before both copies are.
//! WRT-3: completions fire in the order of the calls.
//! WRT-4: after the first failed write or flush nothing more is written, and every waiter gets the error.
//!
//! It has no clock and no thread of its own: `step` is told the time, so that a simulation can drive it.

use crate::format::{
    BatchHead, BatchRow, Footer, FooterMark, FrameHead, FrameKind, HEAD_AREA_BYTES, Row, Seed,
    encode_frame, encode_trailer, footer_room, frame_bytes, segment_name,
};
use crate::place::Spot;
use crate::queue::{FlushDone, Item, Queued};
use crate::space::Spare;
use crate::state::{Shared, State};
use crate::{DiskFile, DiskLock, JournalBroken, limits};
use raft_api::{LogId, LogIndex, ShardId};
use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What a step did, or what the next one waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something was written; there may be more to do.
    Worked,
    /// A batch is held back until this time, so that more may join it.
    Gather { until: Duration },
    /// Nothing to do before this time, unless something is queued.
    Wait { until: Duration },
    /// Nothing to do until something is queued.
    Idle,
    /// Closed or broken: there will be no further step.
    Stopped,
}

/// Rules broken on purpose, to prove that the tests see it.
#[cfg(any(test, feature = "testing"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twin {
    /// Breaks WRT-2: completions fire between write and flush.
    AckBeforeFlush,
    /// Breaks WRT-2 for votes only: complete with the first copy.
    AckVoteAfterOneCopy,
    /// Breaks WRT-1: batches are written without ever flushing the one before.
    NeverFlush,
}

pub struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) log: LogEnd,
    /// Second copies of votes, for the next batch.
    second_copies: VecDeque<Item>,
    /// Tickets up to here are in their second copy.
    second_flushed: u64,
    due: VecDeque<Due>,
    idle_since: Option<Duration>,
    gather_until: Option<Duration>,
    stopped: bool,
    #[cfg(any(test, feature = "testing"))]
    twin: Option<Twin>,
    /// Held for as long as somebody may write.
    _lock: Box<dyn DiskLock>,
}

struct Due {
    done: FlushDone,
    /// Set for a vote: its second copy must be flushed too.
    vote_ticket: Option<u64>,
}

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
}

enum Turn {
    Stop,
    Idle,
    Gather(Duration),
    Wait(Duration),
    Seal,
    Batch,
}

/// A batch as it is put together.
struct Batch {
    items: Vec<Queued>,
    rows: BTreeMap<ShardId, BatchRow>,
    bytes: u64,
    /// What the queue's books promised for it.
    cost: u64,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, log: LogEnd, lock: Box<dyn DiskLock>) -> Writer {
        Writer {
            shared,
            log,
            second_copies: VecDeque::new(),
            second_flushed: 0,
            due: VecDeque::new(),
            idle_since: None,
            gather_until: None,
            stopped: false,
            #[cfg(any(test, feature = "testing"))]
            twin: None,
            _lock: lock,
        }
    }

    #[cfg(any(test, feature = "testing"))]
    pub fn break_on_purpose(&mut self, twin: Twin) {
        self.twin = Some(twin);
    }

    #[cfg(any(test, feature = "testing"))]
    fn is_twin(&self, twin: Twin) -> bool {
        self.twin == Some(twin)
    }

    /// One batch, one seal, or the news that there is nothing to do. `now` only rises; its origin is the caller's.
    pub fn step(&mut self, now: Duration) -> Step {
        if self.stopped {
            return Step::Stopped;
        }
        let worked = match self.turn(now) {
            Turn::Idle => return Step::Idle,
            Turn::Gather(until) => return Step::Gather { until },
            Turn::Wait(until) => return Step::Wait { until },
            Turn::Stop => {
                self.stop();
                return Step::Stopped;
            }
            Turn::Seal => self.write_seal(),
            Turn::Batch => self.write_batch(),
        };
        self.gather_until = None;
        self.idle_since = None;
        match worked {
            Ok(()) => Step::Worked,
            Err(broken) => {
                self.shared.poison(broken);
                self.stop();
                Step::Stopped
            }
        }
    }

    /// For the thread that drives it, when an assertion here has failed.
    pub(crate) fn panicked(&mut self) {
        let detail = "an assertion of the writer failed".to_string();
        self.shared.poison(JournalBroken::Io {
            operation: "step",
            file: String::new(),
            detail,
        });
        self.stop();
    }

    fn turn(&mut self, now: Duration) -> Turn {
        let options = &self.shared.options;
        let state = self.shared.state.lock();
        if state.broken.is_some() {
            return Turn::Stop;
        }
        if !self.second_copies.is_empty() {
            return Turn::Batch;
        }
        let marks = state.marks_are_dirty && self.log.current.is_some();
        if state.queue.is_empty() {
            if state.closing {
                return if self.log.unsealed || marks {
                    Turn::Seal
                } else {
                    Turn::Stop
                };
            }
            if !self.log.unsealed && !marks {
                return Turn::Idle;
            }
            let until = *self.idle_since.get_or_insert(now) + options.seal_after_idle;
            return if now >= until {
                Turn::Seal
            } else {
                Turn::Wait(until)
            };
        }
        self.idle_since = None;
        if state.queue.len() >= options.gather_min_in_flight
            && state.queue.len() < limits::MAX_BATCH_FRAMES
            && state.space.queued < limits::MAX_BATCH_BYTES
            && !state.closing
        {
            let until = *self.gather_until.get_or_insert(now + options.gather);
            if now < until {
                return Turn::Gather(until);
            }
        }
        Turn::Batch
    }

    /// Nothing is written after this. Whoever still waits is told why.
    fn stop(&mut self) {
        self.stopped = true;
        let (broken, queue) = {
            let mut state = self.shared.state.lock();
            let broken = state.broken.get_or_insert(JournalBroken::Closed).clone();
            (broken, mem::take(&mut state.queue))
        };
        let waiting = mem::take(&mut self.due).into_iter().map(|due| due.done);
        for done in waiting.chain(queue.into_iter().filter_map(|queued| queued.done)) {
            done(Err(broken.clone()));
        }
        // Files are closed before the lock is given back.
        self.log.current = None;
    }

    fn write_batch(&mut self) -> Result<(), JournalBroken> {
        if self.has_frames_to_write() {
            self.make_room_for_next()?;
        }
        let mut batch = self.take_batch();
        self.queue_completions(&mut batch.items);
        if batch.bytes == 0 {
            self.fire();
            return Ok(());
        }
        let written = self.encode_and_write(FrameKind::BatchHead, &batch)?;
        #[cfg(any(test, feature = "testing"))]
        if self.is_twin(Twin::AckBeforeFlush) {
            return self.complete(batch, written).and_then(|()| self.flush());
        }
        self.flush()?;
        self.complete(batch, written)
    }

    fn write_seal(&mut self) -> Result<(), JournalBroken> {
        let rows = mark_rows(&mut self.shared.state.lock(), &self.log.last);
        let bytes = frame_bytes(BatchHead::payload_bytes(rows.len()));
        if !self.fits(bytes, 0, rows.len()) {
            self.remember_marks(&rows);
            return self.seal_segment();
        }
        let batch = Batch {
            items: Vec::new(),
            rows,
            bytes,
            cost: 0,
        };
        let written = self.encode_and_write(FrameKind::Seal, &batch)?;
        self.flush()?;
        self.shared.state.lock().counters.seals += 1;
        self.complete(batch, written)?;
        self.log.unsealed = false;
        Ok(())
    }

    fn has_frames_to_write(&self) -> bool {
        !self.second_copies.is_empty()
            || self
                .shared
                .state
                .lock()
                .queue
                .iter()
                .any(|queued| queued.item.shard().is_some())
    }

    /// Goes on to the next segment if the next item does not fit in this one.
    fn make_room_for_next(&mut self) -> Result<(), JournalBroken> {
        let (payload, rows) = {
            let state = self.shared.state.lock();
            let next = self.second_copies.front().or_else(|| {
                state
                    .queue
                    .iter()
                    .map(|queued| &queued.item)
                    .find(|item| item.shard().is_some())
            });
            (
                next.map_or(0, |item| item.payload().len()),
                state.shards.len() + 1,
            )
        };
        let bytes = frame_bytes(BatchHead::payload_bytes(rows)) + frame_bytes(payload);
        if self.fits(bytes, 1, rows) {
            return Ok(());
        }
        self.seal_segment()?;
        self.next_segment()?;
        if self.fits(bytes, 1, rows) {
            Ok(())
        } else {
            Err(JournalBroken::NoRoom)
        }
    }

    /// Whether so many more bytes and frames, with marks of so many more shards, leave room for the footer.
    fn fits(&self, bytes: u64, frames: usize, marks: usize) -> bool {
        self.log.current.as_ref().is_some_and(|current| {
            let footer = footer_room(current.rows.len() + frames, self.log.marks.len() + marks);
            current.end + bytes + footer <= current.capacity
        })
    }

    /// Takes second copies, then the queue in order, as far as bounds and segment allow.
    fn take_batch(&mut self) -> Batch {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state.lock();
        let rows = mark_rows(&mut state, &self.log.last);
        let mut batch = Batch {
            items: Vec::new(),
            rows,
            bytes: 0,
            cost: 0,
        };
        let mut frames = 0_u64;
        let mut count = 0;
        loop {
            let second = self.second_copies.front();
            let Some(item) = second.or_else(|| state.queue.front().map(|queued| &queued.item))
            else {
                break;
            };
            if let Some(shard) = item.shard() {
                let rows = batch.rows.len() + usize::from(!batch.rows.contains_key(&shard));
                let bytes = frames + frame_bytes(item.payload().len());
                let total = frame_bytes(BatchHead::payload_bytes(rows)) + bytes;
                let is_full = total > limits::MAX_BATCH_BYTES || count == limits::MAX_BATCH_FRAMES;
                if (count > 0 && is_full) || !self.fits(total, count + 1, rows) {
                    break;
                }
                if second.is_none() {
                    batch.cost += state.cost(item.payload().len());
                }
                note_item(&mut batch.rows, &mut self.log.last, item, shard);
                (frames, batch.bytes, count) = (bytes, total, count + 1);
            }
            let queued = match self.second_copies.pop_front() {
                Some(item) => Some(Queued { item, done: None }),
                None => state.queue.pop_front(),
            };
            batch.items.extend(queued);
        }
        if count == 0 {
            // Marks alone do not make a batch; the seal takes them.
            state.marks_are_dirty |= !batch.rows.is_empty();
            for shard in batch.rows.keys() {
                if let Some(shard) = state.shards.get_mut(shard) {
                    shard.mark_is_dirty = true;
                }
            }
        }
        batch
    }

    /// One write for the whole batch. Returns where each item's frame lies.
    fn encode_and_write(
        &mut self,
        kind: FrameKind,
        batch: &Batch,
    ) -> Result<Vec<Spot>, JournalBroken> {
        let Some(current) = &mut self.log.current else {
            return Err(JournalBroken::NoRoom);
        };
        let head = BatchHead {
            bytes: batch.bytes as u32,
            frames: batch
                .items
                .iter()
                .filter(|queued| queued.item.shard().is_some())
                .count() as u32,
            flushed_before: self.log.next_batch - 1,
            previous_frames: self.log.previous_frames,
            rows: batch.rows.values().copied().collect(),
        };
        let mut out = Vec::with_capacity(batch.bytes as usize);
        let frame = frame_head(kind, self.log.next_batch);
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
            let Some(mut frame) = item_head(&queued.item, self.log.next_batch) else {
                continue;
            };
            ordinal += 1;
            frame.ordinal = ordinal;
            frame.length = payload.len() as u32;
            current.rows.push(row_of(&frame, offset));
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
            .get_or_insert((self.log.next_batch, self.log.previous_frames));
        current.end += batch.bytes;
        self.log.next_batch += 1;
        self.log.previous_frames = head.frames;
        self.log.unsealed = true;
        for row in &head.rows {
            if let Some(mark) = row.mark {
                self.log.marks.insert(row.shard, mark);
            }
        }
        Ok(spots)
    }

    fn flush(&mut self) -> Result<(), JournalBroken> {
        #[cfg(any(test, feature = "testing"))]
        if self.is_twin(Twin::NeverFlush) {
            return Ok(());
        }
        let Some(current) = &self.log.current else {
            return Ok(());
        };
        current
            .file
            .flush()
            .map_err(|e| JournalBroken::io("flush", &current.path, &e))?;
        self.shared.state.lock().counters.flushes += 1;
        Ok(())
    }

    /// Places and durable positions first, then the completions, outside the lock.
    fn complete(&mut self, batch: Batch, spots: Vec<Spot>) -> Result<(), JournalBroken> {
        {
            let mut state = self.shared.state.lock();
            for (queued, spot) in batch.items.iter().zip(&spots) {
                state.counters.payload_bytes_written += queued.item.payload().len() as u64;
                state.complete(&queued.item, *spot);
            }
            state.counters.batches += 1;
            state.counters.bytes_written += batch.bytes;
            state.space.used_bytes += batch.bytes;
            state.space.current_left = self.current_left(&state);
            state.space.settle(batch.cost);
            let flushed = state.flushed_ticket;
            state.recent.shrink(flushed);
        }
        self.fire();
        Ok(())
    }

    pub(crate) fn current_left(&self, state: &State) -> u64 {
        self.log.current.as_ref().map_or(0, |current| {
            let footer = footer_room(current.rows.len(), state.shards.len());
            current.capacity.saturating_sub(current.end + footer)
        })
    }

    /// From here on a failure finds the batch's completions among those that still wait. None fires before the flush.
    fn queue_completions(&mut self, items: &mut [Queued]) {
        for queued in items {
            let mut vote_ticket = None;
            match &queued.item {
                Item::Vote {
                    shard,
                    number,
                    copy: 1,
                    vote,
                    ticket,
                } => {
                    vote_ticket = Some(*ticket);
                    self.second_copies.push_back(Item::Vote {
                        shard: *shard,
                        number: *number,
                        copy: 2,
                        vote: vote.clone(),
                        ticket: *ticket,
                    });
                }
                Item::Vote { ticket, .. } => self.second_flushed = *ticket,
                _ => {}
            }
            #[cfg(any(test, feature = "testing"))]
            if self.is_twin(Twin::AckVoteAfterOneCopy) {
                vote_ticket = None;
            }
            if let Some(done) = queued.done.take() {
                self.due.push_back(Due { done, vote_ticket });
            }
        }
    }

    fn fire(&mut self) {
        while let Some(due) = self.due.front() {
            if due
                .vote_ticket
                .is_some_and(|ticket| ticket > self.second_flushed)
            {
                return;
            }
            if let Some(due) = self.due.pop_front() {
                (due.done)(Ok(()));
            }
        }
    }

    /// Writes the footer of the current segment, which seals its last batch, and cuts the file to what it uses.
    fn seal_segment(&mut self) -> Result<(), JournalBroken> {
        let Some(current) = &self.log.current else {
            return Ok(());
        };
        let Some((first_batch, first_previous_frames)) = current.first_batch else {
            // Not one batch fits in it: there is no room for a footer to speak of either.
            return Err(JournalBroken::NoRoom);
        };
        let mut marks: Vec<FooterMark> = self
            .log
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
        if footer_room(current.rows.len(), 0) > left {
            // Only if the file was shortened from outside: the segment then stays without a footer and is read in full.
            tracing::warn!(file = %current.path.display(), "no room for a footer");
            self.log.current = None;
            return Ok(());
        }
        let footer = Footer {
            first_batch,
            first_previous_frames,
            previous_frames: self.log.previous_frames,
            rows: current.rows.clone(),
            marks,
        };
        let mut out = Vec::new();
        let frame = frame_head(FrameKind::Footer, self.log.next_batch);
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
        let mut state = self.shared.state.lock();
        state.counters.flushes += 2;
        state.counters.bytes_written += out.len() as u64;
        state.space.used_bytes += out.len() as u64;
        state.space.current_left = 0;
        state.space.current_is_reserve = false;
        state.space.sealed.insert(current.sequence);
        drop(state);
        self.log.next_batch += 1;
        self.log.previous_frames = 0;
        self.log.unsealed = false;
        self.log.current = None;
        Ok(())
    }

    /// Takes the spare, or makes one, or falls back on the reserve.
    fn next_segment(&mut self) -> Result<(), JournalBroken> {
        let has_spare = |state: &State| !state.space.spares.is_empty();
        let is_there = has_spare(&self.shared.state.lock());
        let has_room = is_there || self.shared.allocate(has_spare)?;
        let from_reserve = if has_room {
            None
        } else {
            self.spare_from_reserve()?
        };
        let first = self.shared.state.lock().space.spares.front().copied();
        let Some(spare) = from_reserve.or(first) else {
            return Err(JournalBroken::NoRoom);
        };
        let current = self.open_spare(spare.sequence, spare.capacity)?;
        self.log.current = Some(current);
        {
            // In one go, so that an appender sees the segment's room as spare or as current, and never as gone.
            let mut state = self.shared.state.lock();
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
            self.shared.allocate(has_spare)?;
        }
        Ok(())
    }

    /// `None`: an appender was faster, and found room for a spare after all.
    fn spare_from_reserve(&self) -> Result<Option<Spare>, JournalBroken> {
        let allocator = self.shared.allocator.lock();
        let (reserve, sequence) = {
            let mut state = self.shared.state.lock();
            if !state.space.spares.is_empty() {
                return Ok(None);
            }
            (state.space.reserve.pop(), state.space.next_sequence)
        };
        let reserve = reserve.ok_or(JournalBroken::NoRoom)?;
        let spare = allocator.reserve_to_spare(&reserve, sequence)?;
        self.shared.state.lock().space.next_sequence = sequence + 1;
        Ok(Some(spare))
    }

    fn open_spare(&self, sequence: u64, capacity: u64) -> Result<Current, JournalBroken> {
        let allocator = self.shared.allocator.lock();
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
        })
    }

    fn remember_marks(&mut self, rows: &BTreeMap<ShardId, BatchRow>) {
        for row in rows.values() {
            if let Some(mark) = row.mark {
                self.log.marks.insert(row.shard, mark);
            }
        }
    }

    /// For recovery: saves these votes in two fresh copies, in the next two batches.
    pub(crate) fn save_again(&mut self, votes: Vec<Item>) {
        self.second_copies.extend(votes);
    }

    pub(crate) fn has_second_copies(&self) -> bool {
        !self.second_copies.is_empty()
    }

    /// For recovery: what is waiting is written without regard to time.
    pub(crate) fn write_now(&mut self) -> Result<(), JournalBroken> {
        while self.has_second_copies() {
            self.write_batch()?;
        }
        if self.log.unsealed {
            self.write_seal()
        } else {
            Ok(())
        }
    }
}

/// Rows for marks that the disk does not know yet. They count as told once these rows are written.
fn mark_rows(state: &mut State, last: &BTreeMap<ShardId, LogId>) -> BTreeMap<ShardId, BatchRow> {
    if !mem::take(&mut state.marks_are_dirty) {
        return BTreeMap::new();
    }
    let mut rows = BTreeMap::new();
    for (id, shard) in &mut state.shards {
        if mem::take(&mut shard.mark_is_dirty) {
            rows.insert(
                *id,
                BatchRow {
                    shard: *id,
                    frames: 0,
                    last: last.get(id).copied(),
                    mark: shard.mark,
                },
            );
        }
    }
    rows
}

fn note_item(
    rows: &mut BTreeMap<ShardId, BatchRow>,
    last: &mut BTreeMap<ShardId, LogId>,
    item: &Item,
    shard: ShardId,
) {
    let ends_with = match item {
        Item::Entry { entry, .. } => Some(entry.log_id),
        Item::Truncate { last, .. } => *last,
        Item::Purge { last, .. } => Some(*last),
        Item::Vote { .. } | Item::Nothing => last.get(&shard).copied(),
    };
    match ends_with {
        Some(log_id) => last.insert(shard, log_id),
        None => last.remove(&shard),
    };
    let row = rows.entry(shard).or_insert(BatchRow {
        shard,
        frames: 0,
        last: None,
        mark: None,
    });
    row.frames += 1;
    row.last = ends_with;
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

fn row_of(head: &FrameHead, offset: u64) -> Row {
    Row {
        kind: head.kind,
        entry_kind: head.entry_kind,
        shard: head.shard,
        offset,
        length: head.length,
        term: head.term,
        index: head.index,
    }
}
