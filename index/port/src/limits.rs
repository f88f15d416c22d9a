//! Bounds of the index's feed, each with its reason.

use std::time::Duration;

/// Messages that wait to be indexed, each with its trace: some 50 MB. Beyond it they are forgotten, and the shard is gone
/// through as a whole (`level`).
pub const QUEUED_MESSAGES_MAX: usize = 100_000;
/// Text in a shard's tail before it becomes a run: a query scans it in a millisecond.
pub const TAIL_BYTES: usize = 4 << 20;
/// What was added is flushed after this: a crash costs so much work anew, and no answer.
pub const FLUSH_AFTER: Duration = Duration::from_secs(10);
/// Messages that left mailboxes before it is looked for what of an account is gone, as a share of what is held …
pub const GONE_SHARE: usize = 50;
/// … and no fewer than this.
pub const GONE_MIN: usize = 64;
/// Lexicons and tables that one shard's searches keep in memory.
pub const CACHE_BYTES: usize = 8 << 20;
/// Texts that they keep.
pub const TEXT_CACHE_BYTES: usize = 16 << 20;
/// Damaged runs that are left out one after another while a shard is gone through.
pub const DAMAGES_MAX: usize = 64;
/// While changes come in, the feeder rests for so many times as long as it worked: a third of a core is its share.
pub const REST_TIMES: u32 = 2;
/// Changes that came this recently count as coming in.
pub const BUSY: Duration = Duration::from_millis(200);
/// The longest rest at a time.
pub const REST_MAX: Duration = Duration::from_secs(1);
/// Accounts whose newest message is remembered, 16 octets each.
pub const NEWEST_MAX: usize = 100_000;
/// Memory of searches is given back after so long without work.
pub const FORGET_AFTER: Duration = Duration::from_secs(60);
/// Messages that one check by scan reads.
pub const VERIFIED_MESSAGES_MAX: usize = 5_000;
/// Of so many of the best messages labels are counted: each is read for that.
pub const FACETED_MAX: usize = 500;
