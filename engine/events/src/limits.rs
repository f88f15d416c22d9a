//! Bounds of entries, each with its reason.

/// A body above this goes ahead in chunks of at most this size, so that no entry is ever large
/// (large entries starve heartbeats, design §7.12).
pub const BODY_CHUNK_BYTES: usize = 256 * 1024;
/// An entry's payload: one chunk, incompressible, and room for its frame. The door refuses larger ones.
pub const PAYLOAD_BYTES_MAX: usize = BODY_CHUNK_BYTES + 256 * 1024;
/// Chunks of one body: 200 of 256 KiB hold 50 MiB; the rest is room for a configured larger size.
pub const CHUNKS_PER_BODY_MAX: usize = 4_096;
/// Events of one command: one body and its recipients in the shard.
pub const EVENTS_PER_COMMAND_MAX: usize = 1_001;
