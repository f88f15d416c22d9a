//! Ordered rows behind a trait: the fold reads and writes them and does not know where they are.

use bytes::Bytes;
use prost::Message;
use thiserror::Error;

/// Storage failed, or holds what no fold wrote: the node must stop. Never a matter of one event's content.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("view rows: {0}")]
pub struct RowsError(pub String);

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
}

pub(crate) fn decode<M: Message + Default>(key: &[u8], value: &[u8]) -> Result<M, RowsError> {
    M::decode(value).map_err(|error| RowsError(format!("row {key:02x?} does not decode: {error}")))
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
