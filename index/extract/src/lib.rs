//! A message to folded text: what exact search finds in it, decoded and folded.
//! Enters: a tree of parts with their octets, as the message's facts have them. Leaves: `FoldedText`.
//! It must never know where a message is stored, a protocol, or the events; it never refuses, broken mail is read as far as it goes.
//! Time and memory are linear in the octets given; nothing is cut (`limits.rs`).
//! Read first: `message.rs`, then `html.rs`.

mod charset;
mod file_name;
mod header;
mod html;
pub mod limits;
mod message;
mod transfer;

pub use message::{Kind, Part, body_text, folded_text};
