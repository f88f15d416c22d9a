//! Mail to measure and to train on: a real public corpus, a made mix with attachments, the default dictionary.

pub mod bring;
pub mod dictionary;
mod draw;
pub mod message;
pub mod mix;
pub mod report;
