//! Rows of the views on disk or in memory: sorted keys and values, written in atomic batches.
//! Enters: batches of opaque keys and values. Leaves: rows, ranges, snapshots of one moment.
//! It must never know what a row means or which log entry changed it.
//! RocksDB is never the durable truth: what a crash takes is replayed from the journal (design.md §3).
//! Read first: `view_store.rs`, then `rocks.rs`.

pub mod limits;
mod memory;
mod rocks;
mod rocks_snapshot;
mod view_store;

pub use memory::MemoryStore;
pub use rocks::RocksStore;
pub use view_store::{Batch, StoreError, ViewSnapshot, ViewStore, Visit};

#[cfg(test)]
mod contract;
