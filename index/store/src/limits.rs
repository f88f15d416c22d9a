//! Bounds of the index, each with its reason.

/// Folded text that the tail holds before it must be flushed: it is scanned by each query, at several GB/s.
pub const TAIL_BYTES_MAX: usize = 64 << 20;
/// Folded text of a run that merging may make. Merging holds one area's tokens and postings of one account in memory,
/// about a twentieth of it.
pub const RUN_TEXT_BYTES_MAX: u64 = 2 << 30;
/// An account with less folded text in a run is scanned there (default of `Options`): that takes a millisecond, and its index
/// would be a third of its text.
pub const PLAIN_BYTES_MAX: u64 = 1 << 20;
/// Plain octets at which a block of texts is full. What is verified costs a block at least; smaller ones compress worse.
pub const BLOCK_BYTES: usize = 32 << 10;
/// Runs of about one size that are merged into one.
pub const RUNS_PER_TIER: usize = 6;
/// The lowest tier's size; smaller runs count as of it.
pub const TIER_BYTES: u64 = 1 << 20;
/// Bodies of so many octets may be opaque: smaller ones have most words once whatever they are.
pub const OPAQUE_BYTES_MIN: usize = 16 << 10;
/// A body is opaque if words, each counted once, are more than so many per cent of it. Prose of 16 KiB has 40, base64 97.
pub const OPAQUE_PERCENT: usize = 70;
/// Tokens whose postings are read and checked together.
pub const GROUP_TOKENS: usize = 64;
/// Groups that are read at once though others lie between them: a read costs more than these octets.
pub const READ_GAP_BYTES: u64 = 16 << 10;
/// Octets read at once of postings or of a directory.
pub const READ_BYTES_MAX: u64 = 4 << 20;
/// Deletions that are remembered beside the runs before runs are rewritten for them, and their share of the messages.
pub const DEAD_MIN: usize = 1_000;
pub const DEAD_SHARE: usize = 5;
/// Lexicons and tables in memory, of the accounts that were searched last (default of `Options`).
pub const CACHE_BYTES: usize = 128 << 20;
/// Texts in memory (default of `Options`): looking into them is some four times as fast as decompressing them.
pub const TEXT_CACHE_BYTES: usize = 256 << 20;
/// A token whose postings have a so many-th as many octets as there are messages is one that many have.
pub const DENSE_SHARE: usize = 64;
