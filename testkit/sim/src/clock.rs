//! A node's wall clock: simulated time since the start of the run, and how far off it is.

use engine_replica::Clock;
use engine_types::UnixMillis;
use raft_log::faulty_disk::Chance;
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// 2026-01-02 03:04:05 UTC.
const START_MS: u64 = 1_767_323_045_000;

thread_local! {
    static BEGUN: Cell<Option<Instant>> = const { Cell::new(None) };
    static DRAWN: Cell<u64> = const { Cell::new(0) };
}

/// At the start of a run, within its runtime.
pub fn begin(seed: u64) {
    BEGUN.set(Some(Instant::now()));
    DRAWN.set(seed);
}

/// Chance for what has no stream of its own.
pub fn draw() -> Option<u64> {
    let mut chance = Chance(DRAWN.get());
    let drawn = chance.draw();
    DRAWN.set(chance.0);
    Some(drawn)
}

pub fn elapsed() -> Duration {
    BEGUN.get().map_or(Duration::ZERO, |begun| begun.elapsed())
}

/// For what humans read.
pub fn wall() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(START_MS) + elapsed()
}

#[derive(Default)]
pub struct NodeClock {
    off_ms: AtomicI64,
}

impl NodeClock {
    pub fn set_off(&self, ms: i64) {
        self.off_ms.store(ms, Ordering::SeqCst);
    }
}

impl Clock for NodeClock {
    fn now(&self) -> UnixMillis {
        let now = START_MS + elapsed().as_millis() as u64;
        UnixMillis(now.saturating_add_signed(self.off_ms.load(Ordering::SeqCst)))
    }
}
