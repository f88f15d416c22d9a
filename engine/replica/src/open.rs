//! What a store holds of a shard before it is opened.

use crate::installing;
use crate::keys::{position_key, shard_range};
use crate::position::PositionRow;
use engine_store::{StoreError, ViewStore};
use raft_api::{LogId, ShardId};
use thiserror::Error;

#[derive(Debug, Error)]
pub enum OpenError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The views must be rebuilt.
    #[error("the views of shard {shard} are damaged: {detail}")]
    Damaged { shard: ShardId, detail: String },
}

/// The position and digest that `store` holds for the shard, which need not be open; `None`: nothing is folded.
pub fn read_position(
    shard: ShardId,
    store: &dyn ViewStore,
) -> Result<Option<(LogId, u128)>, OpenError> {
    let damaged = |detail: String| OpenError::Damaged { shard, detail };
    if installing::is_marked(store, shard)? {
        return Ok(None);
    }
    if let Some(row) = store.get(&position_key(shard))? {
        let position = PositionRow::decode_row(&row);
        return Ok(Some(position.map_err(|error| damaged(error.to_string()))?));
    }
    let (from, to) = shard_range(shard);
    let mut empty = true;
    store.scan(&from, &to, &mut |_, _| {
        empty = false;
        false
    })?;
    match empty {
        true => Ok(None),
        false => Err(damaged("rows without a position".to_owned())),
    }
}
