//! The outcome log: what became of mail on this node, for `gotthard trace`. `docs/formats/outcome-log.md`.
//! Enters: the INFO lines of `docs/protocols/logs.md` that say what became of a message, and questions.
//! Leaves: records, newest first. It must never hold up or fail what it tells of: lines go through a bounded queue to
//! a thread of their own, and what does not fit, or cannot be written, is counted and told.
//! Read first: `record.rs`, then `writer.rs`, then `search.rs`.

mod files;
mod limits;
mod record;
mod search;
mod writer;

pub use limits::RECORDS_FOUND_MAX;
pub use record::{Recorder, may_be_an_outcome};
pub use search::{Found, Query};

use engine_replica::Clock;
use parking_lot::{Condvar, Mutex};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Instant;

/// Cheap to clone.
#[derive(Clone)]
pub struct OutcomeLog {
    dir: PathBuf,
    queue: SyncSender<String>,
    counts: Arc<Counts>,
    clock: Arc<dyn Clock>,
    /// Searches take turns: each may read all files.
    searching: Arc<tokio::sync::Mutex<()>>,
}

/// What is kept; the operator's to set.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Octets of all files.
    pub bytes_max: u64,
    pub age_ms_max: u64,
}

#[derive(Default)]
struct Counts {
    /// Octets in the queue.
    queued_octets: AtomicUsize,
    /// Records that ever entered the queue.
    queued: AtomicU64,
    /// Records that left it, once they are in the files or lost; `done` wakes who waits for it.
    written: Mutex<u64>,
    done: Condvar,
    /// Records that were not written since the start.
    lost: AtomicU64,
}

impl OutcomeLog {
    /// Nothing is touched before the first record, and nothing here can fail.
    pub fn start(dir: PathBuf, keep: Retention, clock: Arc<dyn Clock>) -> OutcomeLog {
        let (queue, lines) = sync_channel(limits::QUEUE_RECORDS_MAX);
        let counts = Arc::new(Counts::default());
        let log = OutcomeLog {
            dir: dir.clone(),
            queue,
            counts: counts.clone(),
            clock: clock.clone(),
            searching: Arc::default(),
        };
        let write = move || writer::run(&lines, writer::Writer::new(dir, keep, counts, clock));
        let thread = std::thread::Builder::new().name("outcomes".to_owned());
        if let Err(error) = thread.spawn(write) {
            tracing::error!(%error, "no thread for the outcome log: trace will find nothing of this run");
        }
        log
    }

    /// Never waits. `line` has its line end.
    fn append(&self, line: String) {
        let counts = &self.counts;
        let octets = line.len();
        let waiting = counts.queued_octets.fetch_add(octets, Ordering::Relaxed) + octets;
        if waiting <= limits::QUEUE_BYTES_MAX && self.queue.try_send(line).is_ok() {
            counts.queued.fetch_add(1, Ordering::Release);
        } else {
            counts.queued_octets.fetch_sub(octets, Ordering::Relaxed);
            counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits, at most `WRITTEN_WAIT_MAX`, until what was appended before is in the files. Blocks.
    pub fn written(&self) {
        let queued = self.counts.queued.load(Ordering::Acquire);
        let deadline = Instant::now() + limits::WRITTEN_WAIT_MAX;
        let mut written = self.counts.written.lock();
        let behind = |written: &mut u64| *written < queued;
        // Late: the search goes on with what is there.
        let _ = self
            .counts
            .done
            .wait_while_until(&mut written, behind, deadline);
    }

    /// Reads this node's files, newest first, within bounds of time and size.
    pub async fn search(&self, query: Query) -> Found {
        let _turn = self.searching.lock().await;
        let log = self.clone();
        let found = tokio::task::spawn_blocking(move || {
            log.written();
            let mut found = search::search(&log.dir, &query, Instant::now() + limits::SEARCH_MAX);
            found.lost = log.counts.lost.load(Ordering::Relaxed);
            found
        });
        found.await.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
