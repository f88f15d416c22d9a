//! Clients: the wire, and the work that they do over it.

mod deeds;
pub mod http;
pub mod imap;
pub mod lmtp;
mod wire;
pub mod work;
