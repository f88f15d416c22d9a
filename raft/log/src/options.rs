//! Whose journal it is, and how it is kept.

use crate::{OpenError, limits};
use raft_api::NodeId;
use std::time::Duration;

/// Whose journal it is. Written into each segment's head and mixed into every checksum: a file of another node,
/// cluster or incarnation does not read as ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub cluster: [u8; 16],
    /// Rises when a cluster is recovered from a minority (design §3, Recovery).
    pub incarnation: u32,
    pub node: NodeId,
}

#[derive(Clone, Debug)]
pub struct Options {
    /// Preallocated length of a segment. An entry that is larger gets a segment of its own size.
    pub segment_bytes: u64,
    /// Preallocated and set aside: votes, truncations and purges go on from it when the disk is full.
    pub reserve_bytes: u64,
    /// With less than this left on the file system, no segment is made: views, logs and whoever else is there go on, and so
    /// does the journal within the segments that it has.
    pub keep_free_bytes: u64,
    /// The longest that a batch is held back to gather more appends.
    pub gather: Duration,
    /// Appends are gathered for that long while at least this many are queued or expected (`Journal::expect_append`).
    pub gather_min_in_flight: usize,
    /// With at least this many, for as long as a batch takes; with fewer not at all.
    pub gather_few_in_flight: usize,
    /// Payloads of recent entries kept in memory. What is not flushed yet is kept beyond it.
    pub cache_bytes: usize,
    /// After this long without work the last batch is sealed.
    pub seal_after_idle: Duration,
    /// Sealed segments checked in full at start, newest first.
    pub check_at_open_bytes: u64,
    /// Sealed segments are read again and checked in the background at this rate; 0: not at all.
    pub scrub_bytes_per_s: u64,
    /// No sooner than this after the last time that it began. The first pass begins with the journal.
    pub scrub_every: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            segment_bytes: 64 << 20,
            reserve_bytes: 256 << 20,
            keep_free_bytes: 0,
            gather: Duration::from_millis(2),
            gather_min_in_flight: 20,
            gather_few_in_flight: 8,
            cache_bytes: 32 << 20,
            seal_after_idle: Duration::from_millis(100),
            check_at_open_bytes: limits::CHECK_AT_OPEN_BYTES,
            scrub_bytes_per_s: limits::SCRUB_BYTES_PER_S,
            scrub_every: limits::SCRUB_EVERY,
        }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), OpenError> {
        if !(limits::MIN_SEGMENT_BYTES..=limits::MAX_SEGMENT_BYTES).contains(&self.segment_bytes) {
            return Err(OpenError::Options {
                reason: "segment_bytes is out of bounds",
            });
        }
        if self.gather > limits::MAX_GATHER {
            return Err(OpenError::Options {
                reason: "gather is too long",
            });
        }
        Ok(())
    }
}
