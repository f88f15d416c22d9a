//! The door for fuzz targets: what reads a peer's octets, without a socket. Nothing here may panic.

pub use crate::command::{Command, MailFrom, SyntaxError, parse};
pub use crate::data::Unstuffer;
pub use crate::message_id::message_id;
