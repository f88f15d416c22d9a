//! The payload of batch heads and seals: what the batch holds, and which batch before it is known to be flushed.

use super::bytes::{u32_at, u64_at};
use raft_api::{LogId, LogIndex, ShardId, Term};

const FIXED_BYTES: usize = 24;
const ROW_BYTES: usize = 32;

/// A shard's share of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchRow {
    pub shard: ShardId,
    /// Frames of this shard in the batch.
    pub frames: u32,
    /// The shard's last log id once the batch is replayed.
    pub last: Option<LogId>,
    /// The newest mark that the caller gave; only a hint.
    pub mark: Option<LogIndex>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BatchHead {
    /// The whole batch, from this frame's first byte.
    pub bytes: u32,
    /// Frames after this one.
    pub frames: u32,
    /// The newest batch known to be flushed when this one was written: always the one before.
    pub flushed_before: u64,
    /// Frames of the batch before this one, its head not counted: proves that batch complete if its head rots.
    pub previous_frames: u32,
    pub rows: Vec<BatchRow>,
}

impl BatchHead {
    pub fn payload_bytes(rows: usize) -> usize {
        FIXED_BYTES + rows * ROW_BYTES
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(BatchHead::payload_bytes(self.rows.len()));
        out.extend_from_slice(&self.bytes.to_le_bytes());
        out.extend_from_slice(&self.frames.to_le_bytes());
        out.extend_from_slice(&self.flushed_before.to_le_bytes());
        out.extend_from_slice(&self.previous_frames.to_le_bytes());
        out.extend_from_slice(&(self.rows.len() as u32).to_le_bytes());
        for row in &self.rows {
            out.extend_from_slice(&row.shard.0.to_le_bytes());
            out.extend_from_slice(&row.frames.to_le_bytes());
            out.extend_from_slice(&row.last.map_or(0, |last| last.term.0).to_le_bytes());
            out.extend_from_slice(&row.last.map_or(0, |last| last.index.0 + 1).to_le_bytes());
            out.extend_from_slice(&row.mark.map_or(0, |mark| mark.0 + 1).to_le_bytes());
        }
        out
    }

    /// `None`: not a batch head, although its checksum may hold.
    pub fn decode(payload: &[u8]) -> Option<BatchHead> {
        let count = u32_at(payload, 20) as usize;
        if payload.len() != count.checked_mul(ROW_BYTES)?.checked_add(FIXED_BYTES)? {
            return None;
        }
        let rows = payload[FIXED_BYTES..]
            .chunks_exact(ROW_BYTES)
            .map(|row| BatchRow {
                shard: ShardId(u32_at(row, 0)),
                frames: u32_at(row, 4),
                last: u64_at(row, 16).checked_sub(1).map(|index| LogId {
                    term: Term(u64_at(row, 8)),
                    index: LogIndex(index),
                }),
                mark: u64_at(row, 24).checked_sub(1).map(LogIndex),
            });
        Some(BatchHead {
            bytes: u32_at(payload, 0),
            frames: u32_at(payload, 4),
            flushed_before: u64_at(payload, 8),
            previous_frames: u32_at(payload, 16),
            rows: rows.collect(),
        })
    }
}
