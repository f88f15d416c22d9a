//! Where Raft meets mail: one `Shard` per shard and node folds agreed entries into rows and shows them.
//! Enters: committed entries, commands to admit, snapshots. Leaves: outcomes, views, wake-ups, digests.
//! It must never know how agreement is reached, who leads, or what a client asked for.
//! An entry's rows, the digest and the applied position change in one atomic batch, or not at all.
//! Read first: `shard.rs`, then `run.rs`; for snapshots `pinned.rs` and `installing.rs`.

mod clock;
mod digest;
mod follower;
mod installing;
mod keys;
pub mod limits;
mod open;
mod overlay;
mod part;
mod pinned;
mod position;
mod references;
mod run;
mod shard;
mod view;
mod watchers;

pub use clock::Clock;
pub use digest::Digest;
pub use follower::Follower;
pub use open::{OpenError, read_position};
pub use references::{Named, holds_body};
pub use run::Stopped;
pub use shard::Shard;
pub use view::View;

#[cfg(test)]
mod tests;
