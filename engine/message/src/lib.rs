//! What a message says of itself: envelope, MIME structure with offsets, thread keys. Found once, at intake.
//! Enters: a message's octets, however broken. Leaves: `Facts` and thread keys, in time linear in the message.
//! It must never know who sent it, where it is stored, or a protocol; it never refuses, it shows as far as it parses.
//! Its answers are carried in the log, so a change here changes new messages only, never old ones.
//! Read first: `structure.rs`.

mod address;
mod content;
mod envelope;
mod header;
pub mod limits;
mod structure;
mod thread;

pub use structure::facts;
pub use thread::thread_keys;
