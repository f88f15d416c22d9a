//! The delay after a failed login: the same for an unknown name and a wrong password, so that it is no oracle.

use crate::limits::{LOGIN_DELAY_FIRST, LOGIN_DELAY_MAX};
use std::time::Duration;

/// A value of configuration, so that a test need not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureDelay {
    pub first: Duration,
    pub max: Duration,
}

impl Default for FailureDelay {
    fn default() -> FailureDelay {
        FailureDelay {
            first: LOGIN_DELAY_FIRST,
            max: LOGIN_DELAY_MAX,
        }
    }
}

impl FailureDelay {
    pub const NONE: FailureDelay = FailureDelay {
        first: Duration::ZERO,
        max: Duration::ZERO,
    };

    /// How long the session waits before it answers its `failures`-th failed login (from 1).
    pub fn after(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        self.first.saturating_mul(1 << doublings).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_maximum() {
        let seconds = |n| FailureDelay::default().after(n).as_secs();
        assert_eq!(
            [0, 1, 2, 3, 4, 5, u32::MAX].map(seconds),
            [1, 1, 2, 4, 8, 8, 8]
        );
        assert_eq!(FailureDelay::NONE.after(3), Duration::ZERO);
    }
}
