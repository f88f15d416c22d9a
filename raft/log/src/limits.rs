//! Every bound of the journal, with its reason and what a caller sees when it is hit.

use std::time::Duration;

/// One entry's payload. Large bodies are chunked at 256 KiB (design §3), so this leaves room for what is not a body.
/// Beyond it: `AppendError::TooLarge`.
pub const MAX_PAYLOAD_BYTES: usize = 16 << 20;

/// A vote is a term, a node and a flag; the bound keeps both copies within one small frame. Beyond it: `TooLarge`.
pub const MAX_VOTE_BYTES: usize = 4096;

/// A batch takes no further frame once it holds this much: bounds the buffer, and how long others wait for its flush.
/// One frame always fits.
pub const MAX_BATCH_BYTES: u64 = 8 << 20;

/// Frames of one batch: bounds the time for which completions are held together.
pub const MAX_BATCH_FRAMES: usize = 16_384;

/// Places name an offset in units of 8 bytes in 32 bits; recovery reads a whole unsealed segment into memory.
/// Beyond it: `OpenError::Options`.
pub const MAX_SEGMENT_BYTES: u64 = 1 << 30;

/// Room for the head area, a batch and a footer. Below it: `OpenError::Options`. Small ones exist for tests.
pub const MIN_SEGMENT_BYTES: u64 = 16 << 10;

/// Accepted and not yet flushed, payloads and frames. Admission (64 MiB, design §3) keeps us far below;
/// beyond it a caller ignores its own bound: `AppendError::QueueFull`.
pub const MAX_QUEUED_BYTES: u64 = 512 << 20;

/// Sealed segments that stay open for reading: well below the usual 1,024 file descriptors of a process.
pub const MAX_OPEN_READERS: usize = 128;

/// Sealed segments are fully checked at start, newest first, up to this many bytes; what is older waits for
/// `Journal::check_sealed`. 256 MiB are read and checked in about 0.2 s.
pub const CHECK_AT_OPEN_BYTES: u64 = 256 << 20;

/// Damages kept in memory and reported; a disk that is wholly rotten would otherwise fill memory with their names.
pub const MAX_DAMAGES: usize = 4096;

/// Longest that appends may be gathered: the latency that a caller pays for sharing a flush.
pub const MAX_GATHER: Duration = Duration::from_millis(100);

/// What an entry costs in the cache besides its payload: bounds the number of cached empty entries.
pub const CACHED_ENTRY_OVERHEAD: usize = 128;

/// One `read` returns no more entries than this, however small they are.
pub const MAX_READ_ENTRIES: usize = 65_536;
/// A membership of some hundred nodes; a mode has a few octets.
pub const MAX_OWN_ENTRY_BYTES: usize = 64 << 10;

/// Missing entries of one shard that are remembered by name, at about 200 bytes each. A shard that misses more is beyond
/// mending: `Hole`.
pub const MAX_MISSING: usize = 65_536;

/// Missing entries that are told at once: as many as one question to another node takes.
pub const MAX_MISSING_TOLD: usize = 256;

/// Read and checked at a time in the background: so short that nobody waits for the disk behind it.
pub const SCRUB_PIECE_BYTES: u64 = 1 << 20;

/// A terabyte in a day and a half, at less than 1 % of a core and a small part of what a disk reads.
pub const SCRUB_BYTES_PER_S: u64 = 8 << 20;

/// A small journal is not read around the clock.
pub const SCRUB_EVERY: Duration = Duration::from_secs(6 * 3600);
