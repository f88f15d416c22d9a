//! The room's bounds, each with its reason.

use std::time::Duration;

/// A node that is cut off drops our packets: its clients must go on.
pub const CONNECT_MAX: Duration = Duration::from_secs(2);

/// A change waits up to 15 s at the door of a closed gate before it is refused; a client waits longer than that.
pub const REPLY_MAX: Duration = Duration::from_secs(25);

/// Of one health page; a paused node answers nothing.
pub const HEALTH_MAX: Duration = Duration::from_millis(700);

/// Between two looks at the health of all nodes.
pub const WATCH_EVERY: Duration = Duration::from_millis(400);

/// A client thinks at most so long between two operations: two cores serve nodes and clients alike.
pub const THINK_MS_MAX: u64 = 60;

/// After a refused or failed connection; otherwise the history would be full of them.
pub const AFTER_FAILURE: Duration = Duration::from_millis(200);

/// A node is up, or the trial has failed.
pub const START_MAX: Duration = Duration::from_secs(90);

/// After the last fault is healed, all nodes agree and mail flows.
pub const CONVERGE_MAX: Duration = Duration::from_secs(120);

/// A line or a literal of a server's reply.
pub const REPLY_BYTES_MAX: usize = 16 << 20;

/// Messages in a mailbox that is read in full again and again.
pub const BOX_MESSAGES: u64 = 200;

/// Registers in each account: messages whose keywords are written and read.
pub const REGISTERS: u32 = 6;

/// A register's value is a set of so many keywords; above 2^12 writes the register is retired.
pub const REGISTER_BITS: u32 = 12;

/// The search for an order of one register's operations.
pub const LINEARIZE_MAX: Duration = Duration::from_secs(60);

/// Violations shown of each checker; one bug breaks much.
pub const SHOWN_MAX: usize = 20;

/// Of each last delivery and read, with a look's time between them.
pub const LAST_TRIES: u32 = 20;

/// Successes drawn in a timeline; a browser should not stumble over them.
pub const BARS_MAX: usize = 6_000;

/// The rules of a cut are made one by one; what is sent after so many nanoseconds does not pass.
pub const CUT_MADE_NS: u64 = 1_000_000_000;

/// The other site asks for its lease each second, and has it for four: so long after a cut it still has one.
pub const LEASE_LEFT_NS: u64 = 2_800_000_000;

/// Before a cut, so that the lease must have been granted.
pub const IN_SYNC_FOR: Duration = Duration::from_millis(1500);

/// Of the relay between sites: what one direction of a connection holds is at most the product.
pub const RELAY_CHUNK_BYTES: usize = 64 << 10;
pub const RELAY_CHUNKS_MAX: usize = 256;

/// How long a relay may not notice that it is healed, or that a connection has come.
pub const RELAY_LOOKS_EVERY: Duration = Duration::from_millis(5);

/// Of a disk that can lose power: flushes of one file wait for each other, and others go on meanwhile.
pub const DISK_THREADS: usize = 8;

/// A flush takes up to so many milliseconds: enough for something to be unflushed at any moment.
pub const FLUSH_MS_MAX: u64 = 12;

/// So long after the last fault two sites are in sync, each with its lease, unless something is wrong.
pub const QUIET_MIN: Duration = Duration::from_secs(8);
