//! The calls that change something. What is refused leaves everything as it was.

use crate::journal::Journal;
use crate::place::Place;
use crate::queue::{Item, Queued};
use crate::state::State;
use crate::{AppendError, EntryKind, FlushDone, JournalBroken, NewEntry, limits};
use bytes::Bytes;
use parking_lot::MutexGuard;
use raft_api::{LogId, LogIndex, ShardId};

impl Journal {
    /// Entries that follow the shard's last one. Readable on return; `done` fires once the last of them is flushed.
    /// An error means that nothing was accepted, and `done` does not fire.
    pub fn append(
        &self,
        shard: ShardId,
        entries: Vec<NewEntry>,
        done: FlushDone,
    ) -> Result<(), AppendError> {
        let sizes = entries.iter().map(|entry| entry.payload.len());
        let mut state = match entries.iter().all(is_own) {
            true => {
                let mut state = self.shared().state.lock();
                check_follows(&mut state, shard, &entries)?;
                state
            }
            false => self.admit(sizes, |state| check_follows(state, shard, &entries))?,
        };
        push_entries(&mut state, shard, entries, done);
        self.shared().tell_writer(state);
        Ok(())
    }

    /// Holds the state once it has room for frames with payloads of these `sizes`, and `check` has passed.
    pub(crate) fn admit(
        &self,
        sizes: impl Iterator<Item = usize> + Clone,
        check: impl Fn(&mut State) -> Result<(), AppendError>,
    ) -> Result<MutexGuard<'_, State>, AppendError> {
        let largest = sizes.clone().max().unwrap_or(0);
        if largest > self.max_payload_bytes() {
            return Err(AppendError::TooLarge { bytes: largest });
        }
        let shared = self.shared();
        let room = |state: &State| {
            let bytes: u64 = sizes.clone().map(|size| state.cost(size)).sum();
            state
                .space
                .can_promise(bytes, state.cost(largest), state.slack(&shared.options))
        };
        loop {
            let mut state = shared.state.lock();
            check(&mut state)?;
            if state.space.queued > limits::MAX_QUEUED_BYTES {
                return Err(AppendError::QueueFull);
            }
            if room(&state) {
                return Ok(state);
            }
            drop(state);
            if !shared.allocate(room)? {
                return Err(AppendError::DiskFull);
            }
        }
    }

    /// Whether entries with `payload_bytes` in all would be accepted now; makes room if need be, and may block then.
    /// For whoever can still refuse: to consensus, an `append` that fails is the end of the shard on this node.
    pub fn has_room(&self, payload_bytes: usize) -> Result<bool, JournalBroken> {
        let shared = self.shared();
        let largest = payload_bytes.min(self.max_payload_bytes());
        let room = |state: &State| {
            state.space.can_promise(
                state.cost(payload_bytes),
                state.cost(largest),
                state.slack(&shared.options),
            )
        };
        loop {
            if room(&shared.state.lock()) {
                return Ok(true);
            }
            if !shared.allocate(room)? {
                return Ok(false);
            }
        }
    }

    /// Whether the last attempt to make room failed. `look_for_room` tries again, and so does an append that needs it.
    pub fn is_full(&self) -> bool {
        self.shared().state.lock().space.full
    }

    /// A spare segment is made if there is none; may block. False: the disk is full, or nearly (`keep_free_bytes`).
    pub fn look_for_room(&self) -> Result<bool, JournalBroken> {
        self.shared().look_for_room()
    }

    /// Keeps `vote` as the shard's vote, in two frames of two batches, so that no single rotten byte loses it.
    /// `done` fires once both are flushed.
    pub fn save_vote(
        &self,
        shard: ShardId,
        vote: Bytes,
        done: FlushDone,
    ) -> Result<(), AppendError> {
        if vote.len() > limits::MAX_VOTE_BYTES {
            return Err(AppendError::TooLarge { bytes: vote.len() });
        }
        let mut state = self.shared().state.lock();
        let ticket = state.next_ticket();
        let shard_state = state.shard_for_change(shard)?;
        shard_state.vote_number += 1;
        shard_state.vote = Some(vote.clone());
        let item = Item::Vote {
            shard,
            number: shard_state.vote_number,
            copy: 1,
            vote,
            ticket,
        };
        self.enqueue(state, item, done);
        Ok(())
    }

    /// The newest vote that was given to `save_vote`.
    pub fn vote(&self, shard: ShardId) -> Option<Bytes> {
        self.shared()
            .state
            .lock()
            .shards
            .get(&shard)
            .and_then(|state| state.vote.clone())
    }

    /// Removes entries with an index above `after`; `None` removes all. Purged positions stay purged.
    pub fn truncate_after(
        &self,
        shard: ShardId,
        after: Option<LogId>,
        done: FlushDone,
    ) -> Result<(), AppendError> {
        let mut state = self.shared().state.lock();
        state.shard_for_change(shard)?;
        let item = state.truncate_after(shard, after.map(|after| after.index));
        self.enqueue(state, item, done);
        Ok(())
    }

    /// Raft's log of the shard begins after `upto` from now on, which may lie beyond its end after a snapshot: if its
    /// checkpoint is complete, or recovery could take the purge, should it rot, for an entry.
    /// Payloads stay readable through `payload`.
    pub fn purge(&self, shard: ShardId, upto: LogId, done: FlushDone) -> Result<(), AppendError> {
        let mut state = self.shared().state.lock();
        let shard_state = state.shard_for_change(shard)?;
        let item = match (shard_state.purge(upto), shard_state.last()) {
            (true, Some(last)) => Item::Purge { shard, upto, last },
            _ => Item::Nothing,
        };
        self.enqueue(state, item, done);
        Ok(())
    }

    fn enqueue(&self, mut state: MutexGuard<'_, State>, item: Item, done: FlushDone) {
        state.enqueue(Queued {
            item,
            done: Some(done),
        });
        self.shared().tell_writer(state);
    }

    /// A hint for the next start. It goes to the disk with the next batch or seal, or not at all.
    pub fn save_mark(&self, shard: ShardId, mark: LogIndex) {
        let mut state = self.shared().state.lock();
        let Ok(shard_state) = state.shard_for_change(shard) else {
            return;
        };
        if shard_state.mark != Some(mark) {
            shard_state.mark = Some(mark);
            shard_state.mark_is_dirty = true;
            // The writer may sleep without an end in sight; once is enough to let it see that there is a seal to write.
            if !std::mem::replace(&mut state.marks_are_dirty, true) {
                state.news += 1;
                self.shared().tell_writer(state);
            }
        }
    }
}

fn check_follows(
    state: &mut State,
    shard: ShardId,
    entries: &[NewEntry],
) -> Result<(), AppendError> {
    let log = state.shard_for_change(shard)?;
    let Some(first) = entries.first() else {
        return Ok(());
    };
    let mut expected = log.expected().unwrap_or(first.log_id.index);
    for entry in entries {
        let got = entry.log_id.index;
        if got != expected {
            return Err(AppendError::NotConsecutive {
                shard,
                expected,
                got,
            });
        }
        expected = expected.next();
    }
    Ok(())
}

/// Of consensus itself, and small: like votes they go on from the reserve when the disk is full, or a shard without a
/// leader could not get one.
fn is_own(entry: &NewEntry) -> bool {
    entry.kind != EntryKind::Normal && entry.payload.len() <= limits::MAX_OWN_ENTRY_BYTES
}

fn push_entries(state: &mut State, shard: ShardId, entries: Vec<NewEntry>, done: FlushDone) {
    let mut done = Some(done);
    let count = entries.len();
    for (at, entry) in entries.into_iter().enumerate() {
        let ticket = state.next_ticket();
        state
            .recent
            .insert(shard, entry.log_id.index, ticket, entry.payload.clone());
        let log = state.shards.entry(shard).or_default();
        log.push(
            entry.log_id,
            Place::pending(entry.log_id.term, entry.kind as u8, ticket),
        );
        let done = if at + 1 == count { done.take() } else { None };
        state.enqueue(Queued {
            item: Item::Entry {
                shard,
                entry,
                ticket,
            },
            done,
        });
    }
    if done.is_some() {
        state.enqueue(Queued {
            item: Item::Nothing,
            done,
        });
    }
}
