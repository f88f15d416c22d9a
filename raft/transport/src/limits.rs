//! Every bound of the peers' wire, with its reason.

use std::time::Duration;

/// One frame's body. An append carries at most 4 MiB of payload or a single entry. Beyond it: `TooLarge`, and a peer
/// that sends more is cut off.
pub const MAX_FRAME_BYTES: usize = 8 << 20;

/// A handshake is four numbers and two short texts.
pub const MAX_HANDSHAKE_BYTES: usize = 4096;

/// Requests of one connection that wait for their answer. Beyond it: `Busy`.
pub const MAX_IN_FLIGHT: usize = 1024;

/// Frames that wait for the socket; their bytes are bounded by what callers have in flight.
pub const MAX_QUEUED_FRAMES: usize = 64;

/// Requests of one connection that are handled at once; further ones wait unread in the socket.
pub const MAX_HANDLED: usize = 256;

/// Connections accepted at once: three classes of each peer, reconnects that overlap, and strangers.
pub const MAX_ACCEPTED: usize = 256;

/// Connect, TLS and handshake together. Peers are a few ms apart; a silent one must not hold a request for long.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// For a peer's part of the handshake when we accept.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause after a failed connect: doubled from the first to the last, so that a dead peer costs little.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(50);
pub const BACKOFF_LAST: Duration = Duration::from_secs(1);

/// The protocol versions that this build speaks.
pub const PROTOCOL_LOWEST: u32 = 1;
pub const PROTOCOL_HIGHEST: u32 = 1;

/// Frames that are queued go out together up to this: the length of a TLS record.
pub const WRITE_BYTES: usize = 16 << 10;
pub const FRAMES_PER_WRITE: usize = 64;
