//! The IMAP gateway: IMAP4rev1 (RFC 3501) with the extensions that clients use daily.
//! Enters: a connection's octets. Leaves: answers, and requests to the service's door.
//! It must never know how mail is stored or agreed on, and never keeps a password.
//! Effects go through `engine_service::Mail` only; nothing is answered OK before that resolved.
//! Read first: `commands/mod.rs`, then `state/session.rs`.

mod commands;
#[cfg(any(test, feature = "testing"))]
pub mod fuzz;
pub mod limits;
mod refusal;
pub mod render;
mod serve;
mod state;
mod wire;

pub use serve::{ImapConfig, serve};
