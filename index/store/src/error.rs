//! What can go wrong, by what the caller does next.

use crate::run::RunId;
use std::io;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum IndexError {
    /// Give the run up (`SearchStore::give_up`), scan its messages until they are added again.
    #[error("search run {run} is damaged: {what}")]
    Damaged { run: RunId, what: &'static str },
    /// The disk does not take or give what it should. What was flushed before stands.
    #[error("search index: {0}")]
    Io(#[from] io::Error),
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum AddError {
    /// Flush, then add again.
    #[error("the tail of the search index is full")]
    Full,
}
