//! From the log to the index: so far only a message's facts and octets to folded text. Following events comes next.
//! Enters: facts and octets. Leaves: `FoldedText`.
//! It must never know flags and mailboxes, nor a protocol; it parses nothing that the facts say.
//! Facts that do not fit their octets are read as far as they do.
//! Read first: `message.rs`.

mod message;

pub use message::{body_text, folded_text};
