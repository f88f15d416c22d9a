//! Walks the bytes of one segment, frame by frame, and finds the next sound one behind damage.

use crate::format::{
    BatchHead, FRAME_HEAD_BYTES, FrameHead, FrameKind, HEAD_AREA_BYTES, HeadFault, MAGIC, Seed,
    TRAILER_BYTES, decode_trailer,
};
use std::ops::Range;

/// A frame whose head is sound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub offset: u64,
    pub head: FrameHead,
    /// Whether payload and padding are sound too.
    pub sound: bool,
}

impl Found {
    pub fn end(&self) -> u64 {
        self.offset + self.head.frame_bytes()
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Piece {
    Frame(Found),
    /// Neither a frame nor the zeros that follow the last one. Bounds are multiples of 8.
    Bad {
        from: u64,
        to: u64,
    },
}

pub(crate) struct Walked {
    pub pieces: Vec<Piece>,
    /// Where the last sound head's frame ends (trailer included): from here on there is nothing but `Bad` or zeros.
    pub end: u64,
    /// A footer was found, and the trailer behind it names it.
    pub trailer_is_sound: bool,
}

/// A head that only a newer version can read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Newer {
    pub offset: u64,
    pub what: &'static str,
}

/// `bytes` is the whole file.
pub(crate) fn walk(bytes: &[u8], seed: Seed) -> Result<Walked, Newer> {
    let mut walked = Walked {
        pieces: Vec::new(),
        end: HEAD_AREA_BYTES,
        trailer_is_sound: false,
    };
    let mut at = HEAD_AREA_BYTES as usize;
    while let Some(start) = next_nonzero(bytes, at) {
        let found = match frame_at(bytes, seed, at)? {
            Some(found) => found,
            None => {
                let next = resync(bytes, seed, start.max(at + 8))?;
                let to = next.unwrap_or_else(|| last_nonzero(bytes).next_multiple_of(8));
                walked.pieces.push(Piece::Bad {
                    from: at as u64,
                    to: to as u64,
                });
                match next {
                    Some(next) => at = next,
                    None => break,
                }
                continue;
            }
        };
        walked.pieces.push(Piece::Frame(found));
        at = (found.end() as usize).min(bytes.len());
        if found.head.kind == FrameKind::Footer && found.sound {
            let trailer = bytes
                .get(at..at + TRAILER_BYTES as usize)
                .unwrap_or_default();
            if decode_trailer(seed, at as u64, trailer) == Some(found.offset) {
                walked.trailer_is_sound = true;
                at += TRAILER_BYTES as usize;
            }
        }
        walked.end = at as u64;
    }
    Ok(walked)
}

fn frame_at(bytes: &[u8], seed: Seed, at: usize) -> Result<Option<Found>, Newer> {
    let Some(head_bytes) = bytes.get(at..at + FRAME_HEAD_BYTES) else {
        return Ok(None);
    };
    let offset = at as u64;
    match FrameHead::decode(seed, offset, head_bytes) {
        Ok(head) => {
            let body = bytes.get(body_range(at, &head)).unwrap_or_default();
            Ok(Some(Found {
                offset,
                head,
                sound: head.body_is_sound(seed, offset, body),
            }))
        }
        Err(HeadFault::NotAFrame) => Ok(None),
        Err(HeadFault::Newer(what)) => Err(Newer { offset, what }),
    }
}

fn body_range(at: usize, head: &FrameHead) -> Range<usize> {
    at + FRAME_HEAD_BYTES..at + head.frame_bytes() as usize
}

/// The payload of a frame that `walk` found in the same bytes.
pub(crate) fn payload<'a>(bytes: &'a [u8], found: &Found) -> &'a [u8] {
    let start = found.offset as usize + FRAME_HEAD_BYTES;
    bytes
        .get(start..start + found.head.length as usize)
        .unwrap_or_default()
}

pub(crate) fn batch_head(bytes: &[u8], found: &Found) -> Option<BatchHead> {
    if !found.sound || !matches!(found.head.kind, FrameKind::BatchHead | FrameKind::Seal) {
        return None;
    }
    BatchHead::decode(payload(bytes, found))
}

/// The next sound head at or after `at`. Its checksum knows its offset, so that bytes within a payload which look
/// like a frame do not pass.
fn resync(bytes: &[u8], seed: Seed, at: usize) -> Result<Option<usize>, Newer> {
    let magic = MAGIC.to_le_bytes();
    let mut at = at.next_multiple_of(8);
    while let Some(start) = next_nonzero(bytes, at) {
        at = start;
        if bytes[at..].starts_with(&magic) && frame_at(bytes, seed, at)?.is_some() {
            return Ok(Some(at));
        }
        at += 8;
    }
    Ok(None)
}

/// The first multiple of 8 from `at` (itself one) whose 8 bytes are not all zero. Pages of zeros go by at memory speed.
fn next_nonzero(bytes: &[u8], mut at: usize) -> Option<usize> {
    const PAGE: [u8; 4096] = [0; 4096];
    while at < bytes.len() {
        if at.is_multiple_of(PAGE.len()) && bytes[at..].starts_with(&PAGE) {
            at += PAGE.len();
        } else if !PAGE.starts_with(&bytes[at..bytes.len().min(at + 8)]) {
            return Some(at);
        } else {
            at += 8;
        }
    }
    None
}

/// One after the last byte that is not zero.
fn last_nonzero(bytes: &[u8]) -> usize {
    const PAGE: [u8; 4096] = [0; 4096];
    let mut end = bytes.len();
    while bytes[..end].ends_with(&PAGE) {
        end -= PAGE.len();
    }
    bytes[..end]
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |at| at + 1)
}
