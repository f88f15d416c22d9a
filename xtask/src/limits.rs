//! Bounds of the tooling, each with its reason.

/// Unity chunks that RocksDB is compiled in. Eight cost 350 CPU-seconds in all, 343 single files 1,350 to 2,100;
/// fewer would leave the cores of a larger machine idle.
pub const ROCKSDB_CHUNKS: usize = 8;

/// Memory that one compiler may take for a chunk (1.6 GiB seen with g++ 12); bounds the jobs on small machines.
pub const COMPILER_MIB_PER_JOB: u64 = 2048;

/// Lines of a compiler's or tool's complaint that are shown; the first ones name the cause.
pub const SHOWN_ERROR_LINES: usize = 30;

/// Bytes of the dictionary that `corpus train-dictionary` makes: 110 KiB, measured in design.md §3.
pub const DICTIONARY_BYTES: usize = 110 * 1024;

/// Lines outside tests above which a source file counts as long (style.md §1); the ratchet lets their number only fall.
pub const LONG_FILE_LINES: usize = 400;
