//! Reading frames back. Every byte that is given out has passed both checksums and is the entry that was asked for.

use crate::EntryKind;
use crate::format::{FRAME_HEAD_BYTES, FrameHead, FrameKind, frame_bytes};
use crate::place::Spot;
use crate::segments::Readers;
use bytes::Bytes;
use raft_api::{LogId, ShardId};

/// An entry as it was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    pub log_id: LogId,
    pub kind: EntryKind,
    pub payload: Bytes,
}

/// Why a frame cannot be given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReadFault {
    Damaged(&'static str),
    Io(String),
}

/// What a frame must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub kind: FrameKind,
    pub shard: ShardId,
    pub term: u64,
    pub index: u64,
}

pub(crate) fn read_frame(
    readers: &Readers,
    spot: Spot,
    wanted: Wanted,
) -> Result<Bytes, ReadFault> {
    let io = |error: std::io::Error| ReadFault::Io(error.to_string());
    let file = readers.file(spot.segment).map_err(io)?;
    let mut bytes = vec![0; frame_bytes(spot.length as usize) as usize];
    file.read_at(spot.offset, &mut bytes)
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => ReadFault::Damaged("the file ends before it"),
            _ => io(error),
        })?;
    let seed = readers.seed(spot.segment);
    let head = FrameHead::decode(seed, spot.offset, &bytes)
        .map_err(|_| ReadFault::Damaged("its head's checksum is wrong"))?;
    let is_it = head.kind == wanted.kind
        && head.shard == wanted.shard
        && head.term == wanted.term
        && head.index == wanted.index;
    if !is_it || head.length != spot.length {
        return Err(ReadFault::Damaged("another frame is in its place"));
    }
    if !head.body_is_sound(seed, spot.offset, &bytes[FRAME_HEAD_BYTES..]) {
        return Err(ReadFault::Damaged("its payload's checksum is wrong"));
    }
    let payload = FRAME_HEAD_BYTES..FRAME_HEAD_BYTES + head.length as usize;
    Ok(Bytes::from(bytes).slice(payload))
}
