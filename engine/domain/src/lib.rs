//! The fold: what an event makes of an account, its mailboxes and messages, and of the directory; and typed reads.
//! Enters: decoded payloads with their log position, and rows behind two traits. Leaves: changed rows and outcomes.
//! It must never know a clock, chance, a disk, a socket, Raft, or how the rows are kept.
//! The same log gives the same rows, byte for byte, on every replica and in every build.
//! Read first: `fold.rs`, then `keys.rs`.

mod fold;
mod keys;
pub mod limits;
pub mod read;
mod records;
mod rows;

pub use fold::{At, Folded, apply, log_time};
pub use rows::{Rows, RowsError, RowsMut};
