//! SHD-1 to SHD-3, with real folds over the memory store and over RocksDB.

mod crash;
mod door;
mod failing;
mod folding;
mod installing;
mod merging;
mod parts;
mod poison;
mod workload;
