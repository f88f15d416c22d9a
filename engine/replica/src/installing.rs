//! A shard's rows are replaced by those of a snapshot, part by part.
//!
//! INS-1: while the rows are neither the old ones nor the new ones, the mark is beside them and there is no position.
//! The store loses whole batches from the newest back, so any crash leaves the mark with whatever rows it leaves.
//! INS-2: the mark goes only in the batch that brings the position, after the digest of all rows was found right, or
//! once no row is left.

use crate::digest::row_hash;
use crate::keys::{installing_key, is_own, position_key, shard_range};
use crate::limits::WIPE_ROWS_MAX;
use crate::part::{self, Head, Part};
use crate::position::PositionRow;
use bytes::Bytes;
use engine_store::{Batch, StoreError, ViewStore};
use raft_api::{EntriesError, LogId, ShardId};
use thiserror::Error;

type Parts<'p> = &'p mut dyn Iterator<Item = Result<Bytes, EntriesError>>;

/// Why a snapshot was not installed.
#[derive(Debug, Error)]
pub enum InstallError {
    #[error(transparent)]
    Parts(#[from] EntriesError),
    #[error("{0}")]
    Damaged(&'static str),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The snapshot's first part, found sound and in its place. Nothing is changed yet.
pub struct Begun {
    first: Part,
}

impl Begun {
    pub fn new(shard: ShardId, log_id: LogId, parts: Parts<'_>) -> Result<Begun, InstallError> {
        let bytes = parts.next().ok_or(InstallError::Damaged("no parts"))??;
        let first = part::decode(bytes).map_err(InstallError::Damaged)?;
        let wrong = match first.head {
            Head { shard: of, .. } if of != shard => Some("of another shard"),
            Head { log_id: at, .. } if at != log_id => Some("its position differs"),
            Head { number: 0, .. } => None,
            _ => Some("its first part is missing"),
        };
        match wrong {
            Some(wrong) => Err(InstallError::Damaged(wrong)),
            None => Ok(Begun { first }),
        }
    }

    /// On success, the digest: all is on stable storage. On an error the mark stays.
    pub fn replace(self, store: &dyn ViewStore, parts: Parts<'_>) -> Result<u128, InstallError> {
        let Head { shard, log_id, .. } = self.first.head;
        put_mark(store, shard, log_id)?;
        wipe_rows(store, shard)?;
        let digest = self.write_rows(store, parts)?;
        store.write(vec![
            (
                position_key(shard),
                Some(PositionRow::new(log_id, digest).encode_row()),
            ),
            (installing_key(shard), None),
        ])?;
        store.flush()?;
        Ok(digest)
    }

    fn write_rows(self, store: &dyn ViewStore, parts: Parts<'_>) -> Result<u128, InstallError> {
        let head = self.first.head;
        let mut incoming = Incoming {
            shard: head.shard,
            last_key: Vec::new(),
            sum: 0,
        };
        let mut part = self.first;
        loop {
            let Head {
                number, is_last, ..
            } = part.head;
            store.write(incoming.batch(part).map_err(InstallError::Damaged)?)?;
            let Some(bytes) = parts.next() else {
                if !is_last {
                    return Err(InstallError::Damaged("its last part is missing"));
                }
                break;
            };
            part = part::decode(bytes?).map_err(InstallError::Damaged)?;
            let follows = Head {
                number: number + 1,
                is_last: part.head.is_last,
                ..head
            };
            if is_last || part.head != follows {
                return Err(InstallError::Damaged("a part is out of place"));
            }
        }
        if incoming.sum != head.digest {
            return Err(InstallError::Damaged("its digest differs from its rows"));
        }
        Ok(head.digest)
    }
}

/// The rows so far.
struct Incoming {
    shard: ShardId,
    last_key: Vec<u8>,
    sum: u128,
}

impl Incoming {
    fn batch(&mut self, mut part: Part) -> Result<Batch, &'static str> {
        let (from, to) = shard_range(self.shard);
        let mut batch = Batch::new();
        while let Some((key, value)) = part.rows.next_row()? {
            let in_place = key > self.last_key && key >= from && key < to;
            if !in_place || is_own(self.shard, &key) {
                return Err("a key is out of place");
            }
            self.sum = self.sum.wrapping_add(row_hash(&key, &value));
            self.last_key = key.to_vec();
            batch.push((key.to_vec(), Some(value.to_vec())));
        }
        Ok(batch)
    }
}

/// True: an installation was cut short.
pub fn is_marked(store: &dyn ViewStore, shard: ShardId) -> Result<bool, StoreError> {
    Ok(store.get(&installing_key(shard))?.is_some())
}

/// Takes away what an installation left behind that was cut short: afterwards the shard has folded nothing.
pub fn wipe(store: &dyn ViewStore, shard: ShardId) -> Result<(), StoreError> {
    wipe_rows(store, shard)?;
    store.write(vec![(installing_key(shard), None)])
}

fn put_mark(store: &dyn ViewStore, shard: ShardId, log_id: LogId) -> Result<(), StoreError> {
    store.write(vec![
        (
            installing_key(shard),
            Some(PositionRow::new(log_id, 0).encode_row()),
        ),
        (position_key(shard), None),
    ])
}

/// All but the mark.
fn wipe_rows(store: &dyn ViewStore, shard: ShardId) -> Result<(), StoreError> {
    let mark = installing_key(shard);
    let (mut from, to) = shard_range(shard);
    loop {
        let mut batch = Batch::new();
        store.scan(&from, &to, &mut |key, _| {
            if key != mark {
                batch.push((key.to_vec(), None));
            }
            batch.len() < WIPE_ROWS_MAX
        })?;
        let Some((last, _)) = batch.last() else {
            return Ok(());
        };
        // Deleted rows are stepped over slowly: the next scan begins behind them.
        from.clone_from(last);
        store.write(batch)?;
    }
}
