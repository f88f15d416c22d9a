//! Sealed segments: read their footers, and hold every frame against them.

use crate::format::{
    FRAME_HEAD_BYTES, Footer, FrameHead, FrameKind, HEAD_AREA_BYTES, Seed, TRAILER_BYTES,
    decode_trailer, frame_bytes, segment_name,
};
use crate::heads::{HeadRead, read_heads};
use crate::judge::{Concern, damaged_row, is_frame_of, stretch};
use crate::load::read_all;
use crate::walk::{Found, Piece, walk};
use crate::{Damage, Disk, DiskFile, Meaning, OpenError};
use std::path::Path;

pub(crate) struct SealedBy {
    pub footer: Footer,
    /// Of the footer's frame.
    pub at: u64,
    /// The footer's own number.
    pub batch: u64,
}

pub(crate) type Damages = Vec<(Damage, Concern)>;

/// `None`: not sealed, or its footer does not pass; the segment is then read in full.
pub(crate) fn read_footer(file: &dyn DiskFile, length: u64, seed: Seed) -> Option<SealedBy> {
    let trailer_at = length
        .checked_sub(TRAILER_BYTES)
        .filter(|at| at.is_multiple_of(8))?;
    let mut trailer = [0; TRAILER_BYTES as usize];
    file.read_at(trailer_at, &mut trailer).ok()?;
    let at = decode_trailer(seed, trailer_at, &trailer)?;
    let frame_len = trailer_at.checked_sub(at)?;
    let mut frame = vec![0; frame_len as usize];
    file.read_at(at, &mut frame).ok()?;
    let head = FrameHead::decode(seed, at, &frame).ok()?;
    let is_it = head.kind == FrameKind::Footer && frame_bytes(head.length as usize) == frame_len;
    if !is_it || !head.body_is_sound(seed, at, &frame[FRAME_HEAD_BYTES..]) {
        return None;
    }
    let payload = FRAME_HEAD_BYTES..FRAME_HEAD_BYTES + head.length as usize;
    Some(SealedBy {
        footer: Footer::decode(&frame[payload])?,
        at,
        batch: head.batch,
    })
}

/// `bytes` is the whole file. Frames and rows are both in the order of the segment.
pub(crate) fn check_frames(
    name: &str,
    bytes: &[u8],
    seed: Seed,
    sealed: &SealedBy,
) -> Result<Damages, OpenError> {
    let walked = walk(bytes, seed).map_err(|newer| OpenError::Newer {
        file: name.to_string(),
        offset: newer.offset,
        what: newer.what,
    })?;
    let mut damages = Vec::new();
    let mut rows = sealed.footer.rows.iter().peekable();
    for piece in &walked.pieces {
        match piece {
            Piece::Frame(found) if found.head.kind.opens_batch() => {
                damages.extend(damaged_opening(name, found));
            }
            Piece::Frame(found) => {
                while let Some(row) = rows.next_if(|row| row.offset < found.offset) {
                    damages.push(damaged_row(name, row, None));
                }
                match rows.next_if(|row| row.offset == found.offset) {
                    Some(row) if is_frame_of(found, row) => {}
                    Some(row) => damages.push(damaged_row(name, row, Some(found.head.batch))),
                    // A sound footer that does not know a sound frame: one of them is not of this journal.
                    None => damages.push((
                        stretch(
                            name,
                            (found.offset, found.end()),
                            Some(found.head.batch),
                            Meaning::Footer,
                        ),
                        Concern::Shard(found.head.shard),
                    )),
                }
            }
            Piece::Bad { from, to } => {
                let row = sealed.footer.rows.partition_point(|row| row.offset < *to);
                let holds_data = row > 0 && {
                    let last = &sealed.footer.rows[row - 1];
                    last.offset + last.frame_bytes() > *from
                };
                if !holds_data && *from < sealed.at {
                    damages.push((
                        stretch(name, (*from, *to), None, Meaning::BatchHead),
                        Concern::Nobody,
                    ));
                }
            }
        }
    }
    damages.extend(rows.map(|row| damaged_row(name, row, None)));
    Ok(damages)
}

fn damaged_opening(name: &str, found: &Found) -> Option<(Damage, Concern)> {
    let meaning = match found.head.kind {
        FrameKind::Seal => Meaning::Seal,
        FrameKind::Footer => Meaning::Footer,
        _ => Meaning::BatchHead,
    };
    let gap = (found.offset, found.end());
    (!found.sound).then(|| {
        (
            stretch(name, gap, Some(found.head.batch), meaning),
            Concern::Nobody,
        )
    })
}

/// `copies`: which copies of the segment's head are damaged; `None`: both.
pub(crate) fn head_damages(name: &str, copies: Option<[bool; 2]>) -> Damages {
    let middle = HEAD_AREA_BYTES / 2;
    let Some(copies) = copies else {
        let both = stretch(name, (0, HEAD_AREA_BYTES), None, Meaning::BothSegmentHeads);
        return vec![(both, Concern::Nobody)];
    };
    let gaps = [(0, middle), (middle, HEAD_AREA_BYTES)];
    let damaged = copies.into_iter().zip(gaps).filter(|(damaged, _)| *damaged);
    damaged
        .map(|(_, gap)| {
            (
                stretch(name, gap, None, Meaning::SegmentHead),
                Concern::Nobody,
            )
        })
        .collect()
}

/// Checks one sealed segment of an open journal.
pub(crate) fn check_file(
    disk: &dyn Disk,
    dir: &Path,
    seed: Seed,
    sequence: u64,
) -> Result<Damages, OpenError> {
    let mut damages = Vec::new();
    for head in read_heads(disk, dir, &[sequence])? {
        damages.extend(check_head_and_frames(&head, seed)?);
    }
    Ok(damages)
}

fn check_head_and_frames(head: &HeadRead, seed: Seed) -> Result<Damages, OpenError> {
    let name = segment_name(head.sequence);
    let mut damages = head_damages(&name, head.damaged_copies());
    match read_footer(&*head.file, head.bytes, seed) {
        Some(sealed) => {
            let bytes = read_all(&*head.file, head.bytes, &head.path)?;
            damages.extend(check_frames(&name, &bytes, seed, &sealed)?);
        }
        None => {
            // The next start reads the segment in full; until then its places are in memory.
            let at = head.bytes.saturating_sub(TRAILER_BYTES);
            let footer = stretch(&name, (at, head.bytes), None, Meaning::Footer);
            damages.push((footer, Concern::Nobody));
        }
    }
    Ok(damages)
}
