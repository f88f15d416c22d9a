//! What readers get: the rows of one shard at one applied position.

use crate::digest::{Digest, row_hash};
use crate::keys::{is_own, position_key, shard_range};
use crate::overlay::rows_error;
use crate::position::PositionRow;
use bytes::Bytes;
use engine_domain::{Quarantined, Rows, RowsError};
use engine_store::{ViewSnapshot, ViewStore};
use raft_api::{LogId, ShardId};
use std::sync::Arc;

/// Stands still while the fold goes on. Cheap to make; not to be kept for minutes.
pub struct View {
    shard: ShardId,
    rows: Arc<dyn ViewSnapshot>,
}

impl View {
    pub(crate) fn new(shard: ShardId, rows: Arc<dyn ViewSnapshot>) -> View {
        View { shard, rows }
    }

    /// The rows of a shard that is not open: nothing in `store` is changed.
    pub fn at_rest(shard: ShardId, store: &dyn ViewStore) -> View {
        View::new(shard, store.snapshot().into())
    }

    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// The last entry whose effects this view shows.
    pub fn position(&self) -> Result<Option<LogId>, RowsError> {
        Ok(self.position_row()?.map(|(log_id, _)| log_id))
    }

    pub(crate) fn position_row(&self) -> Result<Option<(LogId, u128)>, RowsError> {
        self.get(&position_key(self.shard))?
            .map(|row| PositionRow::decode_row(&row))
            .transpose()
            .map_err(|error| RowsError::Store(error.to_string()))
    }

    /// What takes no changes, at most `max`.
    pub fn quarantined(&self, max: usize) -> Result<Vec<Quarantined>, RowsError> {
        engine_domain::quarantined(self, self.shard.0, max)
    }

    /// The digest from the rows themselves: what a scrubber holds against the one that the shard keeps.
    pub fn recompute_digest(&self) -> Result<Digest, RowsError> {
        let (from, to) = shard_range(self.shard);
        let mut sum = 0u128;
        self.scan(&from, &to, &mut |key, value| {
            if !is_own(self.shard, key) {
                sum = sum.wrapping_add(row_hash(key, value));
            }
            true
        })?;
        Ok(Digest {
            position: self.position()?,
            value: sum.to_be_bytes(),
        })
    }
}

impl Rows for View {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, RowsError> {
        self.rows.get(key).map_err(rows_error)
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), RowsError> {
        self.rows.scan(from, to, visit).map_err(rows_error)
    }

    fn scan_back(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), RowsError> {
        self.rows.scan_back(from, to, visit).map_err(rows_error)
    }
}
