//! Pieces of large bodies that came ahead of what names them (`BodyChunkStored`). Each has a row until it is old, so that
//! whoever takes over the shard's rows holds the entries that a coming body will name.
//! A body that names a piece without a row is refused: its entry need not be held everywhere.

use crate::context::{Context, Step};
use crate::keys::{self, Scope, tag};
use crate::limits::{CHUNK_AGE_MS_MAX, CHUNKS_PRUNED_PER_ENTRY_MAX};
use crate::records::{ChunkRecord, ShardRecord};
use crate::rows::{self, RowsError, RowsMut};
use engine_events::Refusal;
use engine_events::limits::CHUNKS_PER_BODY_MAX;
use prost::Message;

fn zero(shard: u32) -> Scope {
    Scope { shard, account: 0 }
}

/// The entry at `log_index` holds a piece.
pub(crate) fn keep(rows: &mut dyn RowsMut, shard: u32, log_index: u64, head: &mut ShardRecord) {
    let record = ChunkRecord {
        at_ms: head.log_time_ms,
    };
    head.oldest_chunk_ms.get_or_insert(record.at_ms);
    let key = zero(shard).by_number(tag::CHUNK, log_index);
    rows.put(key, record.encode_to_vec());
}

/// Refuses a body whose pieces are not all here, in entries before its own.
pub(crate) fn check(cx: &Context<'_>, chunks: &[u64]) -> Step<()> {
    if chunks.len() > CHUNKS_PER_BODY_MAX {
        return Err(Refusal::Limit.into());
    }
    for &chunk in chunks {
        let key = zero(cx.scope.shard).by_number(tag::CHUNK, chunk);
        if chunk >= cx.log_index || cx.rows.get(&key)?.is_none() {
            return Err(Refusal::TooOld.into());
        }
    }
    Ok(())
}

/// Drops a few that are too old. Log time only rises, so their order is that of their age.
pub(crate) fn prune(
    rows: &mut dyn RowsMut,
    shard: u32,
    head: &mut ShardRecord,
) -> Result<(), RowsError> {
    let now_ms = head.log_time_ms;
    let expired = |at_ms: u64| at_ms.saturating_add(CHUNK_AGE_MS_MAX) < now_ms;
    if !head.oldest_chunk_ms.is_some_and(expired) {
        return Ok(());
    }
    let prefix = zero(shard).tagged(tag::CHUNK);
    let mut gone = Vec::new();
    let mut oldest = None;
    rows::scan(
        rows,
        &prefix,
        &prefix,
        &keys::end(&prefix),
        &mut |rest, record: ChunkRecord| {
            let drops = expired(record.at_ms) && gone.len() < CHUNKS_PRUNED_PER_ENTRY_MAX;
            match drops {
                true => gone.push(keys::u64_at(rest, 0)),
                false => oldest = Some(record.at_ms),
            }
            Ok(drops)
        },
    )?;
    for log_index in gone {
        rows.delete(zero(shard).by_number(tag::CHUNK, log_index));
    }
    head.oldest_chunk_ms = oldest;
    Ok(())
}
