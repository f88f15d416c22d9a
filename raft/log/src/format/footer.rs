//! A sealed segment's table of contents: a row for each frame that carries data, so that a start need not read them.

use super::bytes::{u16_at, u32_at, u64_at};
use super::frame::{FrameHead, FrameKind, Seed, frame_bytes};
use raft_api::{LogId, LogIndex, ShardId, Term};

const FIXED_BYTES: usize = 32;
const ROW_BYTES: usize = 32;
const MARK_BYTES: usize = 16;
pub(crate) const TRAILER_BYTES: u64 = 32;
const TRAILER_MAGIC: [u8; 8] = *b"GoTrail\n";

/// One frame: an entry, a vote, a truncation or a purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub kind: FrameKind,
    pub entry_kind: u8,
    pub shard: ShardId,
    /// Of the frame in its segment, a multiple of 8.
    pub offset: u64,
    /// Of the payload.
    pub length: u32,
    /// As in the frame's head.
    pub term: u64,
    pub index: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FooterMark {
    pub shard: ShardId,
    pub mark: LogIndex,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footer {
    /// The first batch of the segment.
    pub first_batch: u64,
    /// What the first batch's head says of the batch before it.
    pub first_previous_frames: u32,
    /// Frames of the last batch before the footer, which is a batch of its own.
    pub previous_frames: u32,
    /// In the order of the segment.
    pub rows: Vec<Row>,
    pub marks: Vec<FooterMark>,
}

impl Row {
    /// What a footer says of a frame with this head.
    pub fn of(head: &FrameHead, offset: u64) -> Row {
        Row {
            kind: head.kind,
            entry_kind: head.entry_kind,
            shard: head.shard,
            offset,
            length: head.length,
            term: head.term,
            index: head.index,
        }
    }

    pub fn log_id(&self) -> LogId {
        LogId {
            term: Term(self.term),
            index: LogIndex(self.index),
        }
    }

    pub fn frame_bytes(&self) -> u64 {
        frame_bytes(self.length as usize)
    }
}

/// What footer frame and trailer take for so many rows and marks.
pub(crate) fn footer_room(rows: usize, marks: usize) -> u64 {
    frame_bytes(FIXED_BYTES + rows * ROW_BYTES + marks * MARK_BYTES) + TRAILER_BYTES
}

impl Footer {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(
            FIXED_BYTES + self.rows.len() * ROW_BYTES + self.marks.len() * MARK_BYTES,
        );
        out.extend_from_slice(&self.first_batch.to_le_bytes());
        out.extend_from_slice(&self.first_previous_frames.to_le_bytes());
        out.extend_from_slice(&self.previous_frames.to_le_bytes());
        out.extend_from_slice(&(self.rows.len() as u32).to_le_bytes());
        out.extend_from_slice(&(self.marks.len() as u32).to_le_bytes());
        out.extend_from_slice(&[0; 8]);
        for row in &self.rows {
            out.push(row.kind.code());
            out.push(row.entry_kind);
            out.extend_from_slice(&[0; 2]);
            out.extend_from_slice(&row.shard.0.to_le_bytes());
            out.extend_from_slice(&((row.offset / 8) as u32).to_le_bytes());
            out.extend_from_slice(&row.length.to_le_bytes());
            out.extend_from_slice(&row.term.to_le_bytes());
            out.extend_from_slice(&row.index.to_le_bytes());
        }
        for mark in &self.marks {
            out.extend_from_slice(&mark.shard.0.to_le_bytes());
            out.extend_from_slice(&[0; 4]);
            out.extend_from_slice(&mark.mark.0.to_le_bytes());
        }
        out
    }

    /// `None`: not a footer, although its checksum may hold.
    pub fn decode(payload: &[u8]) -> Option<Footer> {
        let rows = u32_at(payload, 16) as usize;
        let marks = u32_at(payload, 20) as usize;
        let expected = FIXED_BYTES
            .checked_add(rows.checked_mul(ROW_BYTES)?)?
            .checked_add(marks.checked_mul(MARK_BYTES)?)?;
        if payload.len() != expected {
            return None;
        }
        let (row_bytes, mark_bytes) = payload[FIXED_BYTES..].split_at(rows * ROW_BYTES);
        Some(Footer {
            first_batch: u64_at(payload, 0),
            first_previous_frames: u32_at(payload, 8),
            previous_frames: u32_at(payload, 12),
            rows: row_bytes
                .chunks_exact(ROW_BYTES)
                .map(decode_row)
                .collect::<Option<Vec<Row>>>()?,
            marks: mark_bytes
                .chunks_exact(MARK_BYTES)
                .map(|mark| FooterMark {
                    shard: ShardId(u32_at(mark, 0)),
                    mark: LogIndex(u64_at(mark, 8)),
                })
                .collect(),
        })
    }
}

fn decode_row(row: &[u8]) -> Option<Row> {
    if u16_at(row, 2) != 0 {
        return None;
    }
    Some(Row {
        kind: FrameKind::from_code(row[0]).filter(|kind| !kind.opens_batch())?,
        entry_kind: row[1],
        shard: ShardId(u32_at(row, 4)),
        offset: u64::from(u32_at(row, 8)) * 8,
        length: u32_at(row, 12),
        term: u64_at(row, 16),
        index: u64_at(row, 24),
    })
}

/// The last 32 bytes of a sealed segment: where its footer begins.
pub(crate) fn encode_trailer(
    seed: Seed,
    offset: u64,
    footer_offset: u64,
) -> [u8; TRAILER_BYTES as usize] {
    let mut trailer = [0; TRAILER_BYTES as usize];
    trailer[..8].copy_from_slice(&TRAILER_MAGIC);
    trailer[8..16].copy_from_slice(&footer_offset.to_le_bytes());
    let crc = seed.crc(offset, &trailer[..28]);
    trailer[28..].copy_from_slice(&crc.to_le_bytes());
    trailer
}

pub(crate) fn decode_trailer(seed: Seed, offset: u64, trailer: &[u8]) -> Option<u64> {
    let sound = trailer.len() == TRAILER_BYTES as usize
        && trailer[..8] == TRAILER_MAGIC
        && u32_at(trailer, 28) == seed.crc(offset, &trailer[..28]);
    sound.then(|| u64_at(trailer, 8))
}
