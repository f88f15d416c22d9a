//! The door's two halves, and what they refuse.
pub mod acknowledged;
pub mod admin;
pub mod find;
pub mod mail;
pub mod message_bytes;
pub mod refusal;
