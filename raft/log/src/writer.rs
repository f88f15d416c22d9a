//! The one writer: takes what all shards have queued, writes it as a batch, flushes once, completes all of it.
//!
//! WRT-1: a batch is written only after the one before it is flushed.
//! WRT-2: no completion fires before its frames are flushed; a vote's, before both copies are.
//! WRT-3: completions fire in the order of the calls.
//! WRT-4: after the first failed write or flush nothing more is written, and every waiter gets the error.
//!
//! It has no clock and no thread of its own: `step` is told the time, so that a simulation can drive it.

use crate::format::{BatchHead, BatchRow, FrameKind, frame_bytes};
use crate::log_end::{Batch, LogEnd};
use crate::place::Spot;
use crate::queue::{FlushDone, Item, Queued};
use crate::state::{Shared, State};
use crate::{DiskLock, JournalBroken, limits};
use raft_api::{LogId, ShardId};
use std::collections::{BTreeMap, VecDeque};
use std::mem;
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
    /// Breaks KEPT-1: a checkpoint is believed when its last part is written, before that is flushed.
    BelieveUnflushedCheckpoint,
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

enum Turn {
    Stop,
    Idle,
    Gather(Duration),
    Wait(Duration),
    Seal,
    Batch,
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
        let written = self.log.write(FrameKind::BatchHead, &batch)?;
        #[cfg(any(test, feature = "testing"))]
        if self.completes_before_flush(&batch) {
            return self.complete(batch, written).and_then(|()| self.flush());
        }
        self.flush()?;
        self.complete(batch, written)
    }

    #[cfg(any(test, feature = "testing"))]
    fn completes_before_flush(&self, batch: &Batch) -> bool {
        let is_last =
            |queued: &Queued| matches!(&queued.item, Item::Part { part, .. } if part.is_last);
        match self.twin {
            Some(Twin::AckBeforeFlush) => true,
            Some(Twin::BelieveUnflushedCheckpoint) => batch.items.iter().any(is_last),
            _ => false,
        }
    }

    fn write_seal(&mut self) -> Result<(), JournalBroken> {
        let rows = mark_rows(&mut self.shared.state.lock(), &self.log.last);
        let bytes = frame_bytes(BatchHead::payload_bytes(rows.len()));
        if !self.log.fits(bytes, 0, rows.len()) {
            self.log.remember_marks(&rows);
            return self.log.seal_segment(&self.shared);
        }
        let batch = Batch {
            items: Vec::new(),
            rows,
            bytes,
            cost: 0,
        };
        let written = self.log.write(FrameKind::Seal, &batch)?;
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
        if self.log.fits(bytes, 1, rows) {
            return Ok(());
        }
        self.log.seal_segment(&self.shared)?;
        self.log.next_segment(&self.shared)?;
        if self.log.fits(bytes, 1, rows) {
            Ok(())
        } else {
            Err(JournalBroken::NoRoom)
        }
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
                if (count > 0 && is_full) || !self.log.fits(total, count + 1, rows) {
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

    fn flush(&mut self) -> Result<(), JournalBroken> {
        #[cfg(any(test, feature = "testing"))]
        if self.is_twin(Twin::NeverFlush) {
            return Ok(());
        }
        self.log.flush(&self.shared)
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
            state.space.current_left = self.log.current_left(&state);
            state.space.settle(batch.cost);
            let flushed = state.flushed_ticket;
            state.recent.shrink(flushed);
        }
        self.fire();
        Ok(())
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
        Item::Vote { .. } | Item::Adopted { .. } | Item::Part { .. } | Item::Nothing => {
            last.get(&shard).copied()
        }
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
