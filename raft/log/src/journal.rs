//! The journal as a handle: opening, the writer's thread, what it holds, closing. Its other calls are in `changes.rs`
//! (what is written), `read.rs`, `kept.rs` (beside Raft's logs) and `damage.rs`. Any thread may call; none of them waits
//! for the disk, except when a segment must be allocated, and in reads of what is no longer in memory.

use crate::scrub::ScrubThread;
use crate::state::Shared;
use crate::writer::gather_target;
use crate::{
    Disk, Identity, JournalBroken, OpenError, Options, Recovery, Scrub, ShardLog, Stats, Step,
    Writer, limits, recover,
};
use parking_lot::Mutex;
use raft_api::{LogId, LogIndex, ShardId};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Instant;
use tokio::sync::watch;

/// One node's journal. Cheap to clone. The last clone that goes closes it.
#[derive(Clone)]
pub struct Journal {
    handle: Arc<Handle>,
}

/// An append that is expected, until this is dropped.
pub struct Expected(Arc<Shared>);

impl Drop for Expected {
    fn drop(&mut self) {
        self.0.expected.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Handle {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Its thread; it ends with the sender.
    scrub: Mutex<Option<ScrubThread>>,
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
        *journal.handle.scrub.lock() = match journal.scrub() {
            Some(scrub) => {
                let thread = ScrubThread::start(scrub);
                Some(thread.map_err(|e| OpenError::io("thread start", dir, &e))?)
            }
            None => None,
        };
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
            scrub: Mutex::new(None),
        };
        Ok((
            Journal {
                handle: Arc::new(handle),
            },
            writer,
            recovery,
        ))
    }

    /// Checks sealed segments in the background, for whoever steps it; `open` gives it a thread. `None`: the options
    /// say that nobody does.
    pub fn scrub(&self) -> Option<Scrub> {
        let is_wanted = self.shared().options.scrub_bytes_per_s > 0;
        is_wanted.then(|| Scrub::new(Arc::clone(&self.handle.shared)))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.handle.shared
    }

    /// For whoever steps the writer: resolves once something was queued since the last call.
    #[cfg(any(test, feature = "testing"))]
    pub async fn wait_for_news(&self) {
        self.shared().news.notified().await;
    }

    /// Tells that an append will come, or is under way, for as long as the answer lives: batches are then held back for
    /// a moment to share a flush. Only a hint.
    pub fn expect_append(&self) -> Expected {
        let shared = Arc::clone(&self.handle.shared);
        shared.expected.fetch_add(1, Ordering::Relaxed);
        Expected(shared)
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

    /// All shards that have an entry, adopted or not, a purged position, a vote, a part of a checkpoint or a hole, in
    /// order.
    pub fn shards(&self) -> Vec<ShardId> {
        let state = self.shared().state.lock();
        state
            .shards
            .iter()
            .filter(|(_, log)| !log.is_empty())
            .map(|(shard, _)| *shard)
            .collect()
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

impl Handle {
    fn stop(&self) {
        drop(self.scrub.lock().take());
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
            // Whatever is queued meanwhile goes into the same batch. Woken early: enough is queued, or the journal ends.
            Step::Gather { until } if !state.closing && state.broken.is_none() => {
                let expected = shared.expected.load(Ordering::Relaxed);
                state.gather_target = (expected > 0).then(|| gather_target(expected));
                shared
                    .wake
                    .wait_for(&mut state, until.saturating_sub(start.elapsed()));
                state.gather_target = None;
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
