//! A node's wall clock: simulated time since the start of the run, and how far off it is.

use engine_replica::Clock;
use engine_types::UnixMillis;
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// 2026-01-02 03:04:05 UTC.
const START_MS: u64 = 1_767_323_045_000;

thread_local! {
    static BEGUN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// At the start of a run, within its runtime.
pub fn begin() {
    BEGUN.set(Some(Instant::now()));
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
