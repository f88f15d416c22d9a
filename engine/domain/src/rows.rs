//! Ordered rows behind a trait: the fold reads and writes them and does not know where they are.

use bytes::Bytes;
use prost::Message;
use thiserror::Error;

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RowsError {
    /// This replica's storage failed: it must stop. Never a matter of one event's content.
    #[error("view rows: {0}")]
    Store(String),
    /// A row holds what no fold writes, or contradicts itself or another.
    #[error("view row {key:02x?}: {detail}")]
    Breach { key: Vec<u8>, detail: String },
}

impl RowsError {
    pub(crate) fn breach(key: &[u8], detail: impl ToString) -> RowsError {
        RowsError::Breach {
            key: key.to_vec(),
            detail: detail.to_string(),
        }
    }
}

pub trait Rows {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, RowsError>;
    /// Keys in `[from, to)`, ascending; `visit` returns false to stop.
    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), RowsError>;
    /// The same range, descending.
    fn scan_back(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), RowsError>;
}

/// Writes are seen by later reads of the same value.
pub trait RowsMut: Rows {
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>);
    fn delete(&mut self, key: Vec<u8>);
    /// What `undo` goes back to. A later one replaces it.
    fn save_point(&mut self);
    /// Takes back all changes since the last save point.
    fn undo(&mut self);
}

pub(crate) fn decode<M: Message + Default>(key: &[u8], value: &[u8]) -> Result<M, RowsError> {
    M::decode(value).map_err(|error| RowsError::breach(key, error))
}

pub(crate) fn get<M: Message + Default>(
    rows: &dyn Rows,
    key: &[u8],
) -> Result<Option<M>, RowsError> {
    rows.get(key)?.map(|value| decode(key, &value)).transpose()
}

/// Gets the key's bytes behind a prefix and the row; returns false to stop.
pub(crate) type Visit<'a, M> = dyn FnMut(&[u8], M) -> Result<bool, RowsError> + 'a;

/// Visits decoded rows, ascending.
pub(crate) fn scan<M: Message + Default>(
    rows: &dyn Rows,
    prefix: &[u8],
    from: &[u8],
    to: &[u8],
    visit: &mut Visit<'_, M>,
) -> Result<(), RowsError> {
    let mut failed = None;
    rows.scan(from, to, &mut |key, value| {
        let step = decode(key, value).and_then(|row| visit(&key[prefix.len()..], row));
        step.unwrap_or_else(|error| {
            failed = Some(error);
            false
        })
    })?;
    failed.map_or(Ok(()), Err)
}
