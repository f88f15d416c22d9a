//! LMTP (RFC 2033): mail comes in, each recipient gets an answer of its own.
//! Enters: a `Stream` with LMTP on it. Leaves: calls of `Mail`, replies, and one log line per outcome.
//! It must never know how mail is stored, nor look into a message beyond its Message-ID (for the log).
//! A `250` after the data is only ever the word of `Mail::deliver`; an unknown outcome is never refused for good.
//! Read first: `session.rs`, then `data.rs`.

mod body;
mod command;
mod config;
mod data;
mod deliver;
#[cfg(any(test, feature = "testing"))]
pub mod fuzz;
pub mod limits;
mod message_id;
mod path;
mod reply;
mod session;
#[cfg(test)]
mod tests;
mod transaction;
mod wire;

pub use config::{LmtpConfig, LmtpLimits, MessageMemory};
pub use session::serve_lmtp;

/// What the listener says to whom its caps turn away.
pub const BUSY_LINE: &str = "421 4.3.2 too many connections, try again later\r\n";
