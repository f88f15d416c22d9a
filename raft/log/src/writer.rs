//! The one writer: takes what all shards have queued, writes it as a batch, flushes once, completes all of it.
//!
//! WRT-1: a batch is written only after the one before it is flushed.
//! WRT-2: no completion fires before its frames are flushed; a vote's, before both copies are.
//! WRT-3: completions fire in the order of the calls.
//! WRT-4: after the first failed write or flush nothing more is written, and every waiter gets the error.
//!
//! It has no clock and no thread of its own: `step` is told the time, so that a simulation can drive it.

use crate::format::{BatchHead, FrameKind, frame_bytes};
use crate::gather::mark_rows;
use crate::log_end::{Batch, LogEnd};
use crate::place::Spot;
use crate::queue::{FlushDone, Item, Queued};
use crate::state::Shared;
use crate::{DiskLock, JournalBroken, limits};
use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
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
    /// Breaks WRT-2 for as long as a flush takes: completions fire with the write, the flush comes with the next batch.
    FlushLate,
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
    pub(crate) second_copies: VecDeque<Item>,
    /// Tickets up to here are in their second copy.
    second_flushed: u64,
    due: VecDeque<Due>,
    idle_since: Option<Duration>,
    gather_until: Option<Duration>,
    /// When the last batch was begun, if the step that wrote it was the last one.
    batch_begun: Option<Duration>,
    /// What a batch takes to be written and flushed, smoothed.
    batch_takes: Duration,
    stopped: bool,
    #[cfg(any(test, feature = "testing"))]
    twin: Option<Twin>,
    /// Held for as long as somebody may write.
    _lock: Box<dyn DiskLock>,
}

#[cfg(any(test, feature = "testing"))]
static EVERYWHERE: std::sync::OnceLock<Twin> = std::sync::OnceLock::new();

/// What all journals of the process break that are opened from now on. The first call counts.
#[cfg(any(test, feature = "testing"))]
pub fn break_everywhere(twin: Twin) {
    let _ = EVERYWHERE.set(twin);
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
            batch_begun: None,
            batch_takes: Duration::ZERO,
            stopped: false,
            #[cfg(any(test, feature = "testing"))]
            twin: EVERYWHERE.get().copied(),
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
        if let Some(begun) = self.batch_begun.take() {
            self.batch_takes = (self.batch_takes * 7 + now.saturating_sub(begun)) / 8;
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
            Turn::Batch => {
                self.batch_begun = Some(now);
                self.write_batch()
            }
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
        let expected = self.shared.expected.load(Ordering::Relaxed);
        let gather = self.gather_for(state.queue.len().max(expected));
        // Not all of them: some are on their way back to whoever asked for them.
        let are_here = expected > 0 && state.queue.len() >= gather_target(expected);
        if !gather.is_zero()
            && !are_here
            && state.queue.len() < limits::MAX_BATCH_FRAMES
            && state.space.queued < limits::MAX_BATCH_BYTES
            && !state.closing
        {
            let until = *self.gather_until.get_or_insert(now + gather);
            if now < until {
                return Turn::Gather(until);
            }
        }
        Turn::Batch
    }

    /// A few in flight are worth the wait for what a batch takes: where flushes are slow, one more would cost as much.
    fn gather_for(&self, in_flight: usize) -> Duration {
        let options = &self.shared.options;
        match in_flight {
            few if few < options.gather_few_in_flight => Duration::ZERO,
            some if some < options.gather_min_in_flight => options.gather.min(self.batch_takes),
            _ => options.gather,
        }
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
        #[cfg(any(test, feature = "testing"))]
        if self.is_twin(Twin::FlushLate) {
            self.log.flush(&self.shared)?;
            let written = self.log.write(FrameKind::BatchHead, &batch)?;
            return self.complete(batch, written);
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

/// So many of those that are expected are worth writing at once.
pub(crate) fn gather_target(expected: usize) -> usize {
    (expected * 3).div_ceil(4)
}
