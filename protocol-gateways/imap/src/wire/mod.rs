//! Octets to commands and answers to octets.

pub mod connection;
pub mod cursor;
pub mod date;
pub mod fetch;
pub mod search;
pub mod set;
pub mod utf7;
