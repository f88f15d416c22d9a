//! Search plugged into a node: the service's questions answered from the index, and the index kept level with the rows.
//! Enters: questions of `engine-service`, messages that came and went as `engine-replica` tells them. Leaves: exact answers.
//! It must never know a protocol, nor how the index lies on disk. No answer depends on how far the index has come: what it
//! lacks is read and looked through, and what it holds too much of is not asked for (FED-1).
//! Read first: `finder.rs`, then `feeder.rs`.

mod feeder;
mod finder;
mod generations;
mod level;
pub mod limits;
mod places;
mod queue;
mod verify;

pub use feeder::Feeder;
pub use finder::{Scanner, Searcher, folded};
pub use places::{IndexState, Indexes};
pub use verify::Verdict;
