//! Bounds of a query, each with its reason, and where one way of looking becomes cheaper than another.

/// Keys of a query; a gateway refuses what has more. Bounds the work: the costliest key looks at each message once.
pub const KEYS_MAX: usize = 100_000;
/// Keys within keys: bounds the recursion.
pub const DEPTH_MAX: usize = 100;
/// Octets of what is searched for, as it came. Longer needles are met in no client.
pub const NEEDLE_BYTES_MAX: usize = 64 << 10;
/// Octets of all needles together: an automaton of them takes some ten times as much.
pub const NEEDLES_BYTES_MAX: usize = 4 << 20;

/// So few messages are looked into at once, without asking the index which of them may have a needle.
pub const FEW: u32 = 16;
/// The same for needles of one or two characters, about which the index takes long to ask.
pub const FEW_FOR_SHORT: u32 = 1_000;
/// Pieces of one needle that are asked for: the longest ones. Each may only take candidates away.
pub const PIECES_MAX: usize = 24;
/// Above so many different needles, all are looked for in one pass over each text.
pub const NEEDLES_APART_MAX: usize = 16;
/// Above so many text keys, each message is read and looked through for all of them at once: asking the index takes up to
/// some milliseconds for each key.
pub const KEYS_BY_INDEX_MAX: usize = 256;
/// Messages whose texts are held at once when whole messages are read.
pub const CHUNK: usize = 256;
/// So many texts are looked into by several threads.
pub const SHARED_OUT_MIN: u32 = 1_000;
/// Threads of one look.
pub const WORKERS_MAX: usize = 4;
