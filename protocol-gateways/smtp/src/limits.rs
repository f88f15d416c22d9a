//! Bounds of LMTP, each with its reason and the reply.

use std::time::Duration;

/// A command line with its CRLF. RFC 5321 §4.5.3.1.4 asks for 512 and extensions add to it. Reply: `500 5.5.2`.
pub const LINE_BYTES_MAX: usize = 4_096;
/// What is thrown away in search of the end of a line that is too long. Then: `421 4.7.0`, closed.
pub const LINE_SWALLOW_BYTES_MAX: usize = 1 << 20;
/// Recipients of one message; RFC 5321 §4.5.3.1.8 asks for 100 at least. Reply: `452 4.5.3`, the sender splits.
pub const RECIPIENTS_MAX: usize = 1_000;
/// Accounts that one message goes to, over all recipients: at least as many as one address may have, so that each can be
/// reached. Reply: `452 4.5.3`, the sender splits.
pub const TARGETS_MAX: usize = 4_000;
/// Bad commands (not: refused recipients) since the last message. Then: `421 4.7.0`, closed.
pub const ERRORS_MAX: u32 = 20;
/// An address in a path: local part, `@`, domain as `engine-types` bounds them. Reply: `501 5.1.7` or `501 5.1.3`.
pub const ADDRESS_BYTES_MAX: usize = 512;
/// For a whole command line, for the next octets of a message, and for the peer to take our replies
/// (RFC 5321 §4.5.3.2.7). Then: `421 4.4.2`, closed.
pub const COMMAND_WAIT_MAX: Duration = Duration::from_secs(5 * 60);
/// For a whole message, so that a peer that sends an octet now and then does not hold memory for ever.
/// Then: `421 4.4.2`, closed.
pub const DATA_WAIT_MAX: Duration = Duration::from_secs(30 * 60);
/// Octets of all messages that are coming in or being delivered at one moment, by default. Reply: `452 4.3.1`.
pub const MESSAGE_MEMORY_BYTES: usize = 1 << 30;
/// Memory for a message is taken from that in steps.
pub const MEMORY_STEP_BYTES: usize = 64 * 1024;
/// Octets read from the socket at once.
pub const READ_BYTES: usize = 16 * 1024;
/// Replies are sent when the peer's pipelined commands are used up, or at this size.
pub const OUTPUT_BYTES_MAX: usize = 16 * 1024;
/// Text of a reply, so that a line stays below RFC 5321 §4.5.3.1.5's 512 octets. Longer text is cut.
pub const REPLY_TEXT_BYTES_MAX: usize = 450;
/// The part of a header that is searched for Message-ID, for the log only.
pub const MESSAGE_ID_SEARCH_BYTES_MAX: usize = 64 * 1024;
/// A Message-ID in the log. Longer ones are cut.
pub const MESSAGE_ID_CHARS_MAX: usize = 256;
