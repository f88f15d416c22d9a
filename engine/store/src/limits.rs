//! Bounds on memory and files of one store, each with its reason. One store serves all shards of a node.

/// One memtable. Larger ones write fewer, larger files; each flush is a pause of the fold of about this much.
pub const MEMTABLE_BYTES: usize = 16 * 1024 * 1024;
/// Memtables that wait for their flush; above it, writers wait.
pub const MEMTABLES_MAX: i32 = 4;
/// Uncompressed blocks, indexes and filters in memory.
pub const BLOCK_CACHE_BYTES: usize = 64 * 1024 * 1024;
/// One block: rows are small and ranges are read in order.
pub const BLOCK_BYTES: usize = 16 * 1024;
/// Table files held open. A node has a few thousand descriptors for connections too.
pub const OPEN_FILES_MAX: i32 = 512;
/// Threads that flush and compact. They share the node's cores with the journal and the folds.
pub const BACKGROUND_JOBS: i32 = 2;
/// RocksDB's own text logs: kept few and small.
pub const LOG_FILES_MAX: usize = 4;
pub const LOG_FILE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Of a memtable, for the filter that spares lookups of what is not in it.
pub const MEMTABLE_BLOOM_RATIO: f64 = 0.05;
