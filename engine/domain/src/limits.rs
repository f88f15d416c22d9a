//! Bounds of the fold, each with its reason.

/// Outcomes are kept this long in log time: far beyond any gateway's retries (design §3).
pub const OUTCOME_AGE_MS_MAX: u64 = 24 * 60 * 60 * 1_000;
/// Outcomes kept per account, or more if they are young; older ones go first. Bounds an account's rows.
pub const OUTCOMES_PER_ACCOUNT_MAX: u32 = 10_000;
/// However many an account has, outcomes are kept this long in log time: a gateway tries for less than a minute.
pub const OUTCOME_AGE_MS_MIN: u64 = 2 * 60 * 1_000;
/// More than that many, or that long, beyond what is to be kept, and the surplus is looked for: one scan for many events.
pub const OUTCOMES_SURPLUS: u32 = 64;
pub const OUTCOME_AGE_SURPLUS_MS: u64 = 60 * 1_000;
/// Outcomes dropped in one event: twice the surplus, so that a backlog shrinks.
pub const OUTCOMES_PRUNED_PER_EVENT_MAX: usize = 128;
/// A chunk that no body has named for so long, in log time, never will be: a gateway waits for seconds. Reply to one that
/// does: 451, or `NO [UNAVAILABLE]`.
pub const CHUNK_AGE_MS_MAX: u64 = 60 * 60 * 1_000;
/// Rows of old chunks dropped in one entry: more than one entry brings, few, so that it is cheap.
pub const CHUNKS_PRUNED_PER_ENTRY_MAX: usize = 16;
/// Tombstone rows kept per mailbox. A client that was away for longer gets all missing UIDs instead (RFC 7162
/// §3.2.10.1 allows more than it knew).
pub const TOMBSTONES_PER_MAILBOX_MAX: u32 = 4_096;
/// Tombstones dropped in one event.
pub const TOMBSTONES_PRUNED_PER_EVENT_MAX: usize = 64;
/// UID ranges in one tombstone row; larger expunges take more rows.
pub const RANGES_PER_TOMBSTONE_MAX: usize = 1_000;
/// Names that an account may be subscribed to. Reply: `NO [LIMIT]`.
pub const SUBSCRIPTIONS_PER_ACCOUNT_MAX: u32 = 10_000;
/// Targets of one address: mail for it becomes that many deliveries.
pub const TARGETS_PER_ADDRESS_MAX: usize = 1_000;
/// A refusal's text and a credential, in octets.
pub const TEXT_BYTES_MAX: usize = 1_024;
/// The trace of one delivery, in octets: three header lines with two addresses.
pub const TRACE_BYTES_MAX: usize = 16 * 1_024;
/// Keys of a thread: a message's own and its latest references.
pub const THREAD_KEYS_MAX: usize = 256;
/// Imported UIDVALIDITY above this is refused, so that the account can go on counting.
pub const IMPORTED_UID_VALIDITY_MAX: u32 = 0xf000_0000;
/// One message, in octets: keeps sums far from overflow. The door's own bound is much lower.
pub const MESSAGE_BYTES_MAX: u64 = 1 << 40;
/// How far UIDNEXT jumps when a shard is recovered from one site: more messages than a mailbox gets between the loss of
/// the link and that of the site, and few enough for two thousand recoveries.
pub const UID_JUMP: u32 = 1 << 20;
/// MODSEQs have 63 bits (RFC 7162 §7).
pub const MOD_SEQ_JUMP: u64 = 1 << 32;
/// Mailbox ids and email ids, of 64 bits.
pub const EMAIL_JUMP: u64 = 1 << 32;
/// UIDVALIDITY begins at the clock's seconds, so this is most of a day.
pub const UID_VALIDITY_JUMP: u32 = 1 << 16;
/// Minutes of a zone's offset: RFC 5322 §3.3 has four digits, up to 99 hours 59.
pub const ZONE_MINUTES_MAX: u32 = 99 * 60 + 59;
