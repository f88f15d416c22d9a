//! Time as tests set it.

use engine_replica::Clock;
use engine_types::UnixMillis;
use std::sync::atomic::{AtomicU64, Ordering};

/// 2026-01-02 03:04:05 UTC: every field of it differs, so that swapped ones show.
const START_MS: u64 = 1_767_323_045_000;

/// Stands still until it is told to go on.
pub struct HandClock {
    now_ms: AtomicU64,
}

impl Default for HandClock {
    fn default() -> HandClock {
        HandClock {
            now_ms: AtomicU64::new(START_MS),
        }
    }
}

impl HandClock {
    pub fn advance_ms(&self, by_ms: u64) {
        self.now_ms.fetch_add(by_ms, Ordering::SeqCst);
    }

    pub fn set(&self, now: UnixMillis) {
        self.now_ms.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.now_ms.load(Ordering::SeqCst))
    }
}
