//! The journal's calls. Any thread; none of them waits for the disk, except when a segment must be allocated, and
//! `read` and `payload` of entries that are no longer in memory.

use crate::format::FrameKind;
use crate::judge::{Concern, meaning_of};
use crate::kept::kind_of;
use crate::place::Place;
use crate::queue::{Item, Queued};
use crate::read::{ReadFault, Wanted, read_frame};
use crate::sealed::check_file;
use crate::segments::Readers;
use crate::state::{Shared, State};
use crate::{
    AppendError, Damage, Disk, FlushDone, Hole, Identity, JournalBroken, NewEntry, OpenError,
    Options, Recovery, ShardLog, Stats, Step, StoredEntry, Writer, limits, recover,
};
use bytes::Bytes;
use parking_lot::Mutex;
use raft_api::{EntriesError, LogId, LogIndex, ShardId};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;
use tokio::sync::watch;

/// One node's journal. Cheap to clone. The last clone that goes closes it.
#[derive(Clone)]
pub struct Journal {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Journal {
    /// Opens the journal in `dir`, or makes a new one there, and starts its writer thread. Refuses a journal of
    /// another identity, and one that somebody else has open. What is reported is on stable storage.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        identity: Identity,
        options: Options,
    ) -> Result<(Journal, Recovery), OpenError> {
        let (journal, writer, recovery) = Journal::open_stepped(disk, dir, identity, options)?;
        let shared = Arc::clone(&journal.handle.shared);
        let thread = thread::Builder::new()
            .name("journal".to_string())
            .spawn(move || run(&shared, writer));
        let thread = thread.map_err(|e| OpenError::io("thread start", dir, &e))?;
        *journal.handle.thread.lock() = Some(thread);
        Ok((journal, recovery))
    }

    /// The same without a thread: whoever holds the writer calls `step` until it has nothing to do.
    pub fn open_stepped(
        disk: Arc<dyn Disk>,
        dir: &Path,
        identity: Identity,
        options: Options,
    ) -> Result<(Journal, Writer, Recovery), OpenError> {
        let (shared, writer, recovery) = recover::open(disk, dir, identity, options)?;
        let handle = Handle {
            shared,
            thread: Mutex::new(None),
        };
        Ok((
            Journal {
                handle: Arc::new(handle),
            },
            writer,
            recovery,
        ))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.handle.shared
    }

    /// Entries that follow the shard's last one. Readable on return; `done` fires once the last of them is flushed.
    /// An error means that nothing was accepted, and `done` does not fire.
    pub fn append(
        &self,
        shard: ShardId,
        entries: Vec<NewEntry>,
        done: FlushDone,
    ) -> Result<(), AppendError> {
        let too_large = entries
            .iter()
            .map(|entry| entry.payload.len())
            .find(|bytes| *bytes > self.max_payload_bytes());
        if let Some(bytes) = too_large {
            return Err(AppendError::TooLarge { bytes });
        }
        let shared = self.shared();
        let largest = entries
            .iter()
            .map(|entry| entry.payload.len())
            .max()
            .unwrap_or(0);
        let room = |state: &State| {
            let bytes: u64 = entries
                .iter()
                .map(|entry| state.cost(entry.payload.len()))
                .sum();
            state
                .space
                .can_promise(bytes, state.cost(largest), state.slack(&shared.options))
        };
        loop {
            let mut state = shared.state.lock();
            check_follows(&mut state, shard, &entries)?;
            if state.space.queued > limits::MAX_QUEUED_BYTES {
                return Err(AppendError::QueueFull);
            }
            if entries.is_empty() || room(&state) {
                push_entries(&mut state, shard, entries, done);
                shared.tell_writer(state);
                return Ok(());
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
        let shard_state = state.shard_for_change(shard)?;
        let removed = shard_state.truncate_after(after.map(|after| after.index));
        let last = shard_state.last();
        let item = match removed {
            Some(first_removed) => {
                state.recent.remove_from(shard, first_removed);
                Item::Truncate {
                    shard,
                    first_removed,
                    last,
                }
            }
            None => Item::Nothing,
        };
        self.enqueue(state, item, done);
        Ok(())
    }

    /// Raft's log of the shard begins after `upto` from now on, which may lie beyond its end (after a snapshot).
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

    fn enqueue(&self, mut state: parking_lot::MutexGuard<'_, State>, item: Item, done: FlushDone) {
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

    pub fn log_state(&self, shard: ShardId) -> ShardLog {
        self.shared()
            .state
            .lock()
            .shards
            .get(&shard)
            .map_or_else(ShardLog::default, |state| state.log())
    }

    /// The last entry that is on stable storage, with all before it.
    pub fn flushed(&self, shard: ShardId) -> Option<LogId> {
        self.shared()
            .state
            .lock()
            .shards
            .get(&shard)
            .and_then(|state| state.flushed())
    }

    /// The same, as it moves. It falls only by truncation.
    pub fn watch_flushed(&self, shard: ShardId) -> watch::Receiver<Option<LogIndex>> {
        self.shared()
            .state
            .lock()
            .shards
            .entry(shard)
            .or_default()
            .watch_flushed()
    }

    /// Raft's entries in `range`, as far as there are any, up to `max_bytes` of payload, but at least one if there is
    /// one. What is purged or not there yet is left out at either end.
    pub fn read(
        &self,
        shard: ShardId,
        range: Range<u64>,
        max_bytes: usize,
    ) -> Result<Vec<StoredEntry>, EntriesError> {
        self.read_from(shard, range, max_bytes, false)
    }

    pub(crate) fn read_from(
        &self,
        shard: ShardId,
        range: Range<u64>,
        max_bytes: usize,
        purged_too: bool,
    ) -> Result<Vec<StoredEntry>, EntriesError> {
        enum Found {
            Memory(Bytes),
            Disk(Place),
        }
        let mut plan = Vec::new();
        {
            let state = self.shared().state.lock();
            let Some(log) = state.shards.get(&shard) else {
                return Ok(Vec::new());
            };
            let range = match purged_too {
                true => log.clamp_history(range),
                false => log.clamp(range),
            };
            if log.hole.is_some() || state.lost_everything.is_some() {
                return Err(EntriesError::Damaged {
                    shard,
                    index: LogIndex(range.start),
                    detail: "the shard's log has a hole",
                });
            }
            let mut bytes = 0_usize;
            for index in range.take(limits::MAX_READ_ENTRIES).map(LogIndex) {
                let Some(place) = log.place(index) else {
                    return Err(EntriesError::Missing { shard, index });
                };
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
                plan.push((
                    LogId {
                        term: place.term(),
                        index,
                    },
                    kind_of(shard, index, place)?,
                    found,
                ));
            }
        }
        let mut entries = Vec::with_capacity(plan.len());
        for (log_id, kind, found) in plan {
            let payload = match found {
                Found::Memory(payload) => payload,
                Found::Disk(place) => self.read_place(FrameKind::Entry, shard, log_id, place)?,
            };
            entries.push(StoredEntry {
                log_id,
                kind,
                payload,
            });
        }
        Ok(entries)
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
        read_frame(&self.shared().readers, spot, wanted).map_err(|fault| match fault {
            ReadFault::Damaged(detail) => {
                let damage = Damage {
                    file: Readers::name(spot.segment),
                    offset: spot.offset,
                    bytes: crate::format::frame_bytes(spot.length as usize),
                    batch: None,
                    shard: Some(shard),
                    log_id: Some(log_id),
                    meaning: meaning_of(kind),
                };
                self.note(vec![(damage, Concern::Shard(shard))]);
                EntriesError::Damaged {
                    shard,
                    index,
                    detail,
                }
            }
            ReadFault::Io(detail) => EntriesError::Io { shard, detail },
        })
    }

    /// All shards that have an entry, a purged position, a vote or a hole, in order.
    pub fn shards(&self) -> Vec<ShardId> {
        let state = self.shared().state.lock();
        state
            .shards
            .iter()
            .filter(|(_, log)| !log.is_empty())
            .map(|(shard, _)| *shard)
            .collect()
    }

    /// Shards whose logs cannot be proven complete. They must take no part in Raft.
    pub fn holes(&self) -> Vec<Hole> {
        self.shared().state.lock().holes()
    }

    pub fn has_hole(&self, shard: ShardId) -> bool {
        let state = self.shared().state.lock();
        state.lost_everything.is_some()
            || state
                .shards
                .get(&shard)
                .is_some_and(|state| state.hole.is_some())
    }

    /// All damage found since opening, also where nothing is lost.
    pub fn damages(&self) -> Vec<Damage> {
        self.shared().state.lock().damages.clone()
    }

    /// Changes when damage is found while running: look at `holes` again.
    pub fn watch_damages(&self) -> watch::Receiver<usize> {
        self.shared().damages_watch.subscribe()
    }

    /// Reads all sealed segments in full and compares every checksum. Blocking, for a background task. What it finds
    /// is noted as by `open`: shards get holes, `watch_damages` fires.
    pub fn check_sealed(&self) -> Result<Vec<Damage>, OpenError> {
        let sealed: Vec<u64> = self
            .shared()
            .state
            .lock()
            .space
            .sealed
            .iter()
            .copied()
            .collect();
        let mut all = Vec::new();
        for sequence in sealed {
            let (disk, dir, identity) = {
                let allocator = self.shared().allocator.lock();
                (
                    Arc::clone(&allocator.disk),
                    allocator.dir.clone(),
                    allocator.identity,
                )
            };
            let damages = check_file(&*disk, &dir, identity, sequence)?;
            all.extend(damages.iter().map(|(damage, _)| damage.clone()));
            self.note(damages);
        }
        Ok(all)
    }

    fn note(&self, damages: Vec<(Damage, Concern)>) {
        if damages.is_empty() {
            return;
        }
        let mut state = self.shared().state.lock();
        for (damage, concern) in damages {
            match concern {
                // The vote itself is in memory; the next start writes both copies again.
                Concern::Nobody | Concern::VoteOf(..) => state.note_damage(damage, &[]),
                Concern::Shard(shard) => {
                    tracing::error!(%damage, "the journal has a hole");
                    state.note_damage(damage, &[shard]);
                }
                Concern::Everybody => {
                    state.lost_everything.get_or_insert_with(|| damage.clone());
                    state.note_damage(damage, &[]);
                }
            }
        }
        let count = state.damages.len();
        drop(state);
        self.shared().damages_watch.send_replace(count);
    }

    pub fn stats(&self) -> Stats {
        let shared = self.shared();
        let state = shared.state.lock();
        let space = &state.space;
        let spares: u64 = space.spares.iter().map(|spare| spare.capacity).sum();
        let reserve: u64 = space.reserve.iter().map(|file| file.bytes).sum();
        Stats {
            segments: space.used_segments,
            bytes_on_disk: space.used_bytes + space.current_left + spares + reserve,
            room_bytes: space.room(state.slack(&shared.options), space.largest),
            reserve_bytes: reserve,
            disk_full: space.full,
            queue_len: state.queue.len(),
            queued_bytes: space.queued,
            cached_bytes: state.recent.bytes(),
            damages: state.damages.len(),
            ..state.counters
        }
    }

    /// The largest payload that `append` takes.
    pub fn max_payload_bytes(&self) -> usize {
        // A quarter of a segment, so that what is left over at its end stays small.
        limits::MAX_PAYLOAD_BYTES.min(self.shared().options.segment_bytes as usize / 4)
    }

    /// Set once, when the journal breaks: the process must stop.
    pub fn broken(&self) -> watch::Receiver<Option<JournalBroken>> {
        self.shared().broken_watch.subscribe()
    }

    /// Writes and flushes what is queued, seals, and stops the writer. Other clones then get `Closed`.
    pub fn close(self) {
        self.handle.stop();
    }
}

impl raft_api::Entries for Journal {
    fn payload(&self, shard: ShardId, index: LogIndex) -> Result<Bytes, EntriesError> {
        let (kind, log_id, place) = {
            let state = self.shared().state.lock();
            let log = state.shards.get(&shard);
            if let Some(place) = log.and_then(|log| log.kept.adopted(index)) {
                let term = place.term();
                drop(state);
                let log_id = LogId { term, index };
                return self.read_place(FrameKind::Adopted, shard, log_id, place);
            }
            let place = log.and_then(|log| log.place(index));
            let place = place.ok_or(EntriesError::Missing { shard, index })?;
            if let Some(payload) = state.recent.get(shard, index) {
                return Ok(payload);
            }
            let term = place.term();
            (FrameKind::Entry, LogId { term, index }, place)
        };
        self.read_place(kind, shard, log_id, place)
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

impl Handle {
    fn stop(&self) {
        {
            let mut state = self.shared.state.lock();
            state.closing = true;
            state.news += 1;
        }
        self.shared.wake.notify_all();
        let Some(thread) = self.thread.lock().take() else {
            return;
        };
        // A completion may hold the last clone: the writer cannot wait for itself, and ends by itself.
        if thread.thread().id() != thread::current().id() && thread.join().is_err() {
            tracing::error!("the journal's writer panicked");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The writer's thread: it ends when the journal is closed or broken.
fn run(shared: &Arc<Shared>, writer: Writer) {
    /// If the writer panics, everybody who waits is told.
    struct StopOnPanic(Writer);
    impl Drop for StopOnPanic {
        fn drop(&mut self) {
            if thread::panicking() {
                self.0.panicked();
            }
        }
    }
    let mut writer = StopOnPanic(writer);
    let start = Instant::now();
    loop {
        let news = shared.state.lock().news;
        let step = writer.0.step(start.elapsed());
        if step == Step::Worked {
            continue;
        }
        let mut state = shared.state.lock();
        match step {
            Step::Worked => {}
            Step::Stopped => return,
            // Whatever is queued meanwhile goes into the same batch; only an end of the journal wakes us early.
            Step::Gather { until } if !state.closing && state.broken.is_none() => {
                shared
                    .wake
                    .wait_for(&mut state, until.saturating_sub(start.elapsed()));
            }
            Step::Gather { .. } => {}
            Step::Wait { .. } | Step::Idle if state.news != news => {}
            Step::Wait { until } => {
                state.writer_waits = true;
                shared
                    .wake
                    .wait_for(&mut state, until.saturating_sub(start.elapsed()));
                state.writer_waits = false;
            }
            Step::Idle => {
                state.writer_waits = true;
                shared.wake.wait(&mut state);
                state.writer_waits = false;
            }
        }
    }
}

#[cfg(test)]
impl Journal {
    pub fn term_for_tests(&self, shard: ShardId, index: LogIndex) -> u64 {
        let state = self.shared().state.lock();
        state
            .shards
            .get(&shard)
            .and_then(|log| log.place(index))
            .map_or(0, |place| place.term().0)
    }
}
