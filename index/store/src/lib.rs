//! The exact index of one shard on disk: tokens, postings and folded text of many accounts, in sealed runs and a tail in memory.
//! Enters: accounts' messages as folded text, deletions, log positions. Leaves: for a piece of a needle the messages that may have it, and their text.
//! It must never know flags, mailboxes or queries; what it holds is derived, and a file that is damaged is named and given up.
//! Everything up to the last flushed position survives a crash; an account that nobody searches costs no memory.
//! Read first: `store.rs`, then `section/mod.rs`; the bytes are in `docs/formats/search-runs.md`.

mod bits;
mod cache;
mod dead;
mod error;
mod lexicon;
pub mod limits;
mod manifest;
mod merging;
mod postings;
mod reader;
mod run;
mod section;
mod store;
mod tail;
mod wire;

pub use bits::Bits;
pub use error::{AddError, IndexError};
pub use lexicon::Matches;
pub use reader::{AccountReader, LiveSection};
pub use run::RunId;
pub use section::{Half, Section};
pub use store::{Options, SearchStore, Size};
pub use tail::TailMessage;
