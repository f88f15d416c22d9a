//! Bounds of a shard on one node, each with its reason.

/// Rows deleted in one batch when all of a shard go: some hundred KiB of keys.
pub const WIPE_ROWS_MAX: usize = 4_096;
/// Changed bytes after which the views are flushed: bounds what a crash replays, and what Raft's log must keep.
pub const UNFLUSHED_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Milliseconds after which the next batch flushes, however little changed.
pub const FLUSH_WAIT_MS_MAX: u64 = 60_000;
/// A session's name in a command, in octets: it goes into logs only.
pub const SESSION_BYTES_MAX: usize = 64;
/// Watchers nobody listens to any more are dropped once there are this many, and at each doubling.
pub const WATCHERS_BEFORE_CLEANING: usize = 1_024;
