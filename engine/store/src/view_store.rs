//! What the engine asks of a store of rows.

use bytes::Bytes;
use thiserror::Error;

/// Changes in order; `None` deletes. A later change of one key wins.
pub type Batch = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// Sees one row; returns false to stop.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> bool;

/// After any of these the shard stops: its rows cannot be trusted until they are rebuilt or read again.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StoreError {
    #[error("the views cannot be opened: {detail}")]
    Open { detail: String },
    #[error("reading the views failed: {detail}")]
    Read { detail: String },
    #[error("writing the views failed: {detail}")]
    Write { detail: String },
    #[error("flushing the views failed: {detail}")]
    Flush { detail: String },
}

/// Sorted rows. Many readers, and one writer for each range.
pub trait ViewStore: Send + Sync + 'static {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Keys in [from, to), ascending, all of one moment.
    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError>;

    /// The same range, descending.
    fn scan_back(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError>;

    /// One atomic batch, not yet on stable storage. A crash takes whole batches, the newest first.
    fn write(&self, batch: Batch) -> Result<(), StoreError>;

    /// On return, everything that was written before the call is on stable storage.
    fn flush(&self) -> Result<(), StoreError>;

    /// The rows as they are now; later writes do not show in it.
    fn snapshot(&self) -> Box<dyn ViewSnapshot>;
}

/// Rows of one moment. Holds back the space of overwritten rows while it lives.
pub trait ViewSnapshot: Send + Sync {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Keys in [from, to), ascending.
    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError>;

    /// The same range, descending.
    fn scan_back(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError>;
}
