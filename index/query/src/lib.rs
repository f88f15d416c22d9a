//! Exact search in one account: a tree of keys over text, answered from the index as a scan of every message would answer it.
//! Enters: an account's reader, a tree, the messages that there are. Leaves: those that the tree is true of.
//! It must never know flags, mailboxes or dates (they enter as sets of ids), a protocol, or how the index lies on disk.
//! What the index does not hold, or cannot read, is asked of the caller and scanned: an answer is always complete.
//! Read first: `search.rs`, then `plan.rs`.

pub mod limits;
mod plan;
mod scan;
mod search;
mod tree;

pub use search::{Answer, Source, search};
pub use tree::{Key, Query, QueryError, TextKey};
