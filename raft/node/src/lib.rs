//! Agreement of one node: a Raft group for each shard over one journal, and the mark that gates what may be shown.
//! Enters: commands, peers' messages, the journal. Leaves: entries to `StateMachine`s in order, outcomes, `GroupStatus`.
//! It must never know what a payload means, how the journal keeps it, or how a view is built from it.
//! A shard's mode and membership are entries that it reads itself; all else it passes on.
//! Read first: `mark.rs`.

mod admission;
mod change;
mod clocks;
mod error;
mod flushed;
mod fold;
mod gate;
mod group;
mod inbox;
mod launch;
pub mod limits;
mod log_store;
mod machine;
mod mark;
mod members;
mod mode;
mod network;
mod node;
mod off_thread;
mod prefer;
pub mod recover;
mod refetch;
mod repair;
mod runtime;
mod shared;
mod snapshot_in;
mod snapshot_out;
mod start;
mod status;
#[cfg(test)]
mod tests;
mod types;
mod wire;

pub use change::{Change, ChangeError};
pub use error::NodeError;
pub use node::{Asker, LogKeeping, Node, NodeConfig, Timing};
#[cfg(any(test, feature = "testing"))]
pub use node::{Twin, break_everywhere, break_on_purpose};
pub use runtime::{choose_chance, wake_together};
