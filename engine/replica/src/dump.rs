//! A snapshot's bytes: a plain dump of a shard's rows at one position.
//!
//! `"GTTHSNP1"`, be_u32 shard, be_u64 term, be_u64 index, 16 bytes digest, then for each row in order of keys
//! be_u32 length and key, be_u32 length and value; last 16 bytes XXH3-128 of all before. The row of the applied
//! position is not in it: the head says it.

use crate::digest::row_hash;
use crate::keys::{position_key, shard_range};
use crate::limits::SNAPSHOT_BYTES_MAX;
use crate::view::View;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use engine_domain::Rows;
use raft_api::{LogId, ShardId};
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_128;

const MAGIC: &[u8; 8] = b"GTTHSNP1";
const HEAD_BYTES: usize = 8 + 4 + 8 + 8 + 16;
const HASH_BYTES: usize = 16;

#[derive(Debug, Error, PartialEq, Eq)]
pub enum DumpError {
    #[error("nothing is folded yet")]
    Empty,
    #[error("the shard is above {SNAPSHOT_BYTES_MAX} bytes")]
    TooLarge,
    #[error("reading the rows failed: {detail}")]
    Rows { detail: String },
}

pub struct Dump {
    pub log_id: LogId,
    pub digest: u128,
    /// Ascending, all of the shard.
    pub rows: Vec<(Bytes, Bytes)>,
}

fn rows_failed(error: engine_domain::RowsError) -> DumpError {
    DumpError::Rows {
        detail: error.to_string(),
    }
}

/// The dump and its position.
pub fn encode(view: &View, bytes_max: usize) -> Result<(LogId, Bytes), DumpError> {
    let shard = view.shard();
    let (log_id, digest) = view
        .position_row()
        .map_err(rows_failed)?
        .ok_or(DumpError::Empty)?;
    let mut out = BytesMut::new();
    out.put_slice(MAGIC);
    out.put_u32(shard.0);
    out.put_u64(log_id.term.0);
    out.put_u64(log_id.index.0);
    out.put_u128(digest);
    let skip = position_key(shard);
    let (from, to) = shard_range(shard);
    let mut fits = true;
    view.scan(&from, &to, &mut |key, value| {
        if key == skip {
            return true;
        }
        let (Ok(key_len), Ok(value_len)) = (u32::try_from(key.len()), u32::try_from(value.len()))
        else {
            fits = false;
            return false;
        };
        fits = out.len() + 8 + key.len() + value.len() + HASH_BYTES <= bytes_max;
        if fits {
            out.put_u32(key_len);
            out.put_slice(key);
            out.put_u32(value_len);
            out.put_slice(value);
        }
        fits
    })
    .map_err(rows_failed)?;
    if !fits {
        return Err(DumpError::TooLarge);
    }
    let hash = xxh3_128(&out);
    out.put_u128(hash);
    Ok((log_id, out.freeze()))
}

/// Refuses anything but a whole, undamaged dump of `shard`; says what is wrong.
pub fn decode(shard: ShardId, mut bytes: Bytes) -> Result<Dump, &'static str> {
    if bytes.len() > SNAPSHOT_BYTES_MAX {
        return Err("above the bound");
    }
    if bytes.len() < HEAD_BYTES + HASH_BYTES {
        return Err("too short");
    }
    let mut tail = bytes.split_off(bytes.len() - HASH_BYTES);
    if xxh3_128(&bytes) != tail.get_u128() {
        return Err("its hash differs");
    }
    if bytes.split_to(MAGIC.len()).as_ref() != MAGIC {
        return Err("not a snapshot of this format");
    }
    if bytes.get_u32() != shard.0 {
        return Err("of another shard");
    }
    let log_id = LogId::new(bytes.get_u64(), bytes.get_u64());
    let digest = bytes.get_u128();
    let (from, to) = shard_range(shard);
    let skip = position_key(shard);
    let mut rows: Vec<(Bytes, Bytes)> = Vec::new();
    let mut sum = 0u128;
    while !bytes.is_empty() {
        let key = take(&mut bytes)?;
        let value = take(&mut bytes)?;
        let last = rows.last().map_or(from.as_slice(), |(key, _)| key);
        if key <= last || key >= to || key == skip {
            return Err("a key is out of place");
        }
        sum = sum.wrapping_add(row_hash(&key, &value));
        rows.push((key, value));
    }
    if sum != digest {
        return Err("its digest differs from its rows");
    }
    Ok(Dump {
        log_id,
        digest,
        rows,
    })
}

fn take(bytes: &mut Bytes) -> Result<Bytes, &'static str> {
    let len = bytes.try_get_u32().map_err(|_| "a row is cut")? as usize;
    if bytes.len() < len {
        return Err("a row is cut");
    }
    Ok(bytes.split_to(len))
}
