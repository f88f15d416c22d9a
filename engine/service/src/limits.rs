//! Bounds of the door, each with its reason and what the client gets.

use std::time::Duration;

/// How long a change waits for a leader or for a closed site gate before it is refused. Sending servers keep the
/// mail and try again; interactive clients see `NO [UNAVAILABLE]`.
pub const SUBMIT_WAIT_MAX: Duration = Duration::from_secs(15);
/// Messages in one page of rows handed to a gateway: bounds its memory.
pub const PAGE_MESSAGES_MAX: usize = 1_000;
