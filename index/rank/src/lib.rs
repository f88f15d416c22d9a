//! Ranked search in one account: words, phrases and beginnings of words, the best messages first.
//! Enters: an account's reader, what was typed, the messages that there are. Leaves: those that have every word, by BM25.
//! It must never know flags, mailboxes or dates, a protocol, or how the index lies on disk.
//! Statistics are of the messages that are asked about alone, so no account learns of another's, and no answer depends on how
//! far the index has come.
//! Read first: `rank.rs`, then `query.rs`.

mod distance;
mod facets;
mod language;
pub mod limits;
mod look;
mod postings;
mod query;
mod rank;
mod score;
mod snippet;
mod word;

pub use facets::{Facet, facets};
pub use language::Language;
pub use query::{RankedError, RankedQuery};
pub use rank::{Hit, Ranked, rank};
pub use snippet::{Snippet, snippet};
