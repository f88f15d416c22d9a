//! The fold: what an event makes of an account, its mailboxes and messages, and of the directory; and typed reads.
//! Enters: decoded payloads with their log position, and rows behind two traits. Leaves: changed rows and outcomes.
//! It must never know a clock, chance, a disk, a socket, Raft, or how the rows are kept.
//! The same log gives the same rows, byte for byte, on every replica and in every build.
//! Read first: `fold.rs`, then `keys.rs` and `invariants.rs`.

mod account;
mod chunks;
mod context;
mod directory;
mod flags;
mod fold;
pub mod invariants;
mod keys;
pub mod limits;
mod mailbox;
mod messages;
mod outcomes;
mod quarantine;
pub mod read;
mod records;
mod recovered;
mod references;
mod rows;
mod tombstones;
#[cfg(feature = "testing")]
pub mod twin;

pub use fold::{At, Breach, Folded, apply, log_time};
pub use quarantine::{Quarantined, quarantined};
pub use references::{entries_named, message_at};
pub use rows::{Rows, RowsError, RowsMut};
