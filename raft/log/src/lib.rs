//! The journal: one append-only log of segment files per node, shared by all shards, and the durability of everything.
//! Enters: entries, votes, truncations, purges and checkpoints per shard, as opaque bytes. Leaves: completions after the
//! flush, entries by log index, the newest checkpoint, what recovery found, each damaged frame's file, offset and meaning.
//! It must never know what an entry means, who leads a shard, or which consensus library calls it.
//! Read first: `docs/formats/journal.md`, then `changes.rs` (the calls), `writer.rs` (the order), `judge.rs` (torn or rotten).

mod changes;
mod copy;
mod damage;
mod disk;
mod eras;
mod error;
#[cfg(any(test, feature = "testing"))]
pub mod faulty_disk;
mod format;
#[cfg(any(test, feature = "testing"))]
pub mod fuzz;
mod gather;
mod group;
mod heads;
mod journal;
mod judge;
mod kept;
pub mod limits;
mod load;
mod log_end;
mod lost;
mod mend;
mod offline;
mod options;
mod place;
mod queue;
mod read;
mod real_disk;
mod recent;
mod recover;
mod replay;
mod scrub;
mod sealed;
mod segments;
mod shard_log;
mod space;
mod state;
mod stats;
#[cfg(test)]
mod tests;
mod walk;
mod writer;

pub use copy::{copy, hold, owner};
pub use damage::{Damage, Hole, Meaning};
pub use disk::{Disk, DiskFile, DiskLock};
pub use eras::succeed;
pub use error::{AppendError, JournalBroken, OpenError};
pub use journal::{Expected, Journal};
pub use kept::{Checkpoint, CheckpointPart};
pub use mend::{MendError, MissingEntry};
pub use offline::{ScanReport, Scanned, ShardReport, scan};
pub use options::{Identity, Options};
pub use queue::{EntryKind, FlushDone, NewEntry};
pub use read::StoredEntry;
pub use real_disk::RealDisk;
pub use recover::{Cut, Recovery};
pub use scrub::Scrub;
pub use shard_log::ShardLog;
pub use stats::Stats;
pub use writer::{Step, Writer};
#[cfg(any(test, feature = "testing"))]
pub use writer::{Twin, break_everywhere};
