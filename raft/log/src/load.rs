//! Reads a journal's folder without changing it: which segments there are, what they hold, what is damaged, and what
//! recovery has to clean up.

use crate::eras::Eras;
use crate::format::{HEAD_AREA_BYTES, HeadCopies, Row, Seed, parse_segment_name, segment_name};
use crate::heads::{HeadRead, read_heads};
use crate::judge::{Around, Concern, Judged, Next, judge, stretch};
use crate::replay::Replay;
use crate::sealed::{Damages, SealedBy, check_frames, head_damages, read_footer};
use crate::space::is_reserve_name;
use crate::walk::{Piece, Walked, walk};
use crate::{Disk, DiskFile, Identity, Meaning, OpenError};
use raft_api::{LogIndex, ShardId};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A segment file as found.
pub(crate) struct Segment {
    pub sequence: u64,
    pub name: String,
    pub path: PathBuf,
    pub file: Arc<dyn DiskFile>,
    pub bytes: u64,
    pub seed: Seed,
    /// Which head copies are damaged; `None`: both, or none was ever written.
    head: Option<[bool; 2]>,
    content: Content,
}

enum Content {
    Sealed(SealedBy),
    Read { bytes: Vec<u8>, walked: Walked },
}

/// The last segment with frames.
pub(crate) struct Tail {
    pub sequence: u64,
    pub bytes: u64,
    pub rows: Vec<Row>,
    pub first_batch: Option<(u64, u32)>,
    /// Where the next batch may go.
    pub end: u64,
    pub has_footer: bool,
    /// A start believes a footer, and reads no frame of an old segment: what is damaged here would be forgotten.
    pub may_get_footer: bool,
    pub sealed: bool,
}

pub(crate) struct Zero {
    pub sequence: u64,
    pub from: u64,
    pub to: u64,
}

#[derive(Default)]
pub(crate) struct Loaded {
    /// `None`: there is no journal here yet.
    pub identity: Option<Identity>,
    /// Of all segments; there once they are loaded.
    pub eras: Option<Eras>,
    pub replay: Replay,
    pub marks: BTreeMap<ShardId, LogIndex>,
    pub tail: Option<Tail>,
    /// Segments with frames, in order, with their rows if they were asked for.
    pub used: Vec<(u64, u64, Vec<Row>)>,
    pub sealed: Vec<u64>,
    pub last_batch: u64,
    pub last_frames: u32,
    /// Heads and no frames: sequence and length.
    pub spares: Vec<(u64, u64)>,
    /// Torn batches, to be zeroed.
    pub zero: Vec<Zero>,
    /// Sealed, but longer than they need to be.
    pub trim: Vec<(u64, u64)>,
    /// Begun and never used: to be removed.
    pub unfinished: Vec<String>,
    pub reserve: Vec<(String, u64)>,
    pub sequence_max: u64,
    pub read_bytes: u64,
}

pub(crate) struct How {
    /// `None`: whatever the segments say.
    pub identity: Option<Identity>,
    /// Sealed segments to check in full, newest first.
    pub check_bytes: u64,
    pub keep_rows: bool,
}

pub(crate) fn load(disk: &dyn Disk, dir: &Path, how: &How) -> Result<Loaded, OpenError> {
    let mut loaded = Loaded::default();
    let names = disk.list(dir).map_err(|e| OpenError::io("list", dir, &e))?;
    let mut sequences: Vec<u64> = names
        .iter()
        .filter_map(|name| parse_segment_name(name))
        .collect();
    sequences.sort_unstable();
    loaded.sequence_max = sequences.last().copied().unwrap_or(0);
    if loaded.sequence_max > u64::from(u32::MAX) {
        return Err(OpenError::Newer {
            file: segment_name(loaded.sequence_max),
            offset: 0,
            what: "segment sequence",
        });
    }
    for name in names.into_iter().filter(|name| is_reserve_name(name)) {
        let path = dir.join(&name);
        let file = disk
            .open_to_read(&path)
            .map_err(|e| OpenError::io("open", &path, &e))?;
        let bytes = file.len().map_err(|e| OpenError::io("length", &path, &e))?;
        loaded.reserve.push((name, bytes));
    }
    let heads = read_heads(disk, dir, &sequences)?;
    let eras = Eras::agree(dir, &heads, how.identity)?;
    loaded.identity = heads
        .iter()
        .any(|head| head.copies != HeadCopies::Damaged)
        .then_some(eras.owner());
    let mut segments = Vec::new();
    for head in heads {
        let segment = read_segment(head, &eras, &mut loaded)?;
        sort_in(segment, &mut loaded, &mut segments);
    }
    if !segments.is_empty() {
        loaded.identity = Some(eras.owner());
    }
    loaded.eras = Some(eras);
    replay_segments(&segments, how, &mut loaded)?;
    Ok(loaded)
}

fn read_segment(head: HeadRead, eras: &Eras, loaded: &mut Loaded) -> Result<Segment, OpenError> {
    let name = segment_name(head.sequence);
    let seed = eras.seed(head.sequence);
    let content = match read_footer(&*head.file, head.bytes, seed) {
        Some(sealed) => Content::Sealed(sealed),
        None => {
            let bytes = read_all(&*head.file, head.bytes, &head.path)?;
            loaded.read_bytes += head.bytes;
            let walked = walk(&bytes, seed).map_err(|newer| OpenError::Newer {
                file: name.clone(),
                offset: newer.offset,
                what: newer.what,
            })?;
            Content::Read { bytes, walked }
        }
    };
    Ok(Segment {
        sequence: head.sequence,
        head: head.damaged_copies(),
        name,
        path: head.path,
        file: head.file,
        bytes: head.bytes,
        seed,
        content,
    })
}

pub(crate) fn read_all(
    file: &dyn DiskFile,
    length: u64,
    path: &Path,
) -> Result<Vec<u8>, OpenError> {
    let mut bytes = vec![0; length as usize];
    file.read_at(0, &mut bytes)
        .map_err(|e| OpenError::io("read", path, &e))?;
    Ok(bytes)
}

/// Segments with frames go on to be replayed; the others are spares or were never finished.
fn sort_in(segment: Segment, loaded: &mut Loaded, segments: &mut Vec<Segment>) {
    let Content::Read { walked, .. } = &segment.content else {
        segments.push(segment);
        return;
    };
    let has_frames = walked
        .pieces
        .iter()
        .any(|piece| matches!(piece, Piece::Frame(_)));
    let garbage = walked.pieces.iter().find_map(|piece| match piece {
        Piece::Bad { from, to } => Some((*from, *to)),
        Piece::Frame(_) => None,
    });
    match (segment.head, garbage) {
        _ if has_frames => segments.push(segment),
        // Half a head: it was never flushed (or has rotted since, and there is nothing in it to lose).
        (Some(copies), _) if copies != [false; 2] => loaded.unfinished.push(segment.name),
        (Some(_), garbage) => {
            loaded.spares.push((segment.sequence, segment.bytes));
            loaded.zero.extend(garbage.map(|(from, to)| Zero {
                sequence: segment.sequence,
                from,
                to,
            }));
        }
        // Frames are written only once the head is flushed: these were flushed, and nothing of them is left.
        (None, Some(gap)) => loaded.replay.note(
            stretch(&segment.name, gap, None, Meaning::LostBatches),
            &Concern::Everybody,
        ),
        (None, None) => loaded.unfinished.push(segment.name),
    }
}

fn replay_segments(segments: &[Segment], how: &How, loaded: &mut Loaded) -> Result<(), OpenError> {
    let firsts: Vec<Option<Next>> = segments.iter().map(first_of).collect();
    let damages = check_newest(segments, how.check_bytes, loaded)?;
    // No version frees segments yet: a journal begins with its first batch.
    let mut first_expected = Some(1);
    for (at, (segment, damages)) in segments.iter().zip(damages).enumerate() {
        let next = firsts[at + 1..].iter().flatten().next().copied();
        let around = Around {
            first_expected,
            next,
        };
        let judged = match &segment.content {
            Content::Sealed(sealed) => judge_sealed(segment, sealed, around),
            Content::Read { bytes, walked } => judge(&segment.name, bytes, walked, around),
        };
        replay_rows(segment, &judged, &mut loaded.replay);
        for (damage, concern) in damages.iter().chain(&judged.damages) {
            loaded.replay.note(damage.clone(), concern);
        }
        loaded.marks.extend(&judged.marks);
        if let Some(last) = judged.last_batch {
            loaded.last_batch = last;
            loaded.last_frames = judged.last_frames;
            first_expected = Some(last + 1);
        }
        let is_last = at + 1 == segments.len();
        note_segment(segment, &judged, is_last, how.keep_rows, loaded);
    }
    loaded.replay.settle();
    for (shard, mark) in &loaded.marks {
        loaded.replay.mark(*shard, *mark);
    }
    Ok(())
}

fn replay_rows(segment: &Segment, judged: &Judged, replay: &mut Replay) {
    let sequence = segment.sequence as u32;
    let mut lost = judged.lost.iter().peekable();
    for (at, (row, _)) in judged.rows.iter().enumerate() {
        while let Some((_, lost)) = lost.next_if(|(turn, _)| *turn == at) {
            replay.lost(sequence, lost);
        }
        replay.row(&segment.name, sequence, row);
    }
    lost.for_each(|(_, lost)| replay.lost(sequence, lost));
}

/// Checks sealed segments in full, the newest first, until `check_bytes` are used up. One result for each segment.
fn check_newest(
    segments: &[Segment],
    mut check_bytes: u64,
    loaded: &mut Loaded,
) -> Result<Vec<Damages>, OpenError> {
    let mut all: Vec<Damages> = Vec::with_capacity(segments.len());
    for segment in segments.iter().rev() {
        let mut damages = head_damages(&segment.name, segment.head);
        if let Content::Sealed(sealed) = &segment.content
            && segment.bytes <= check_bytes
        {
            check_bytes -= segment.bytes;
            loaded.read_bytes += segment.bytes;
            let bytes = read_all(&*segment.file, segment.bytes, &segment.path)?;
            damages.extend(check_frames(&segment.name, &bytes, segment.seed, sealed)?);
        }
        all.push(damages);
    }
    all.reverse();
    Ok(all)
}

/// What recovery and the writer need to know of a segment.
fn note_segment(
    segment: &Segment,
    judged: &Judged,
    is_last: bool,
    keep_rows: bool,
    loaded: &mut Loaded,
) {
    let sequence = segment.sequence;
    let rows = || judged.rows.iter().map(|(row, _)| *row).collect();
    if judged.has_footer {
        loaded.sealed.push(sequence);
        if judged.end < segment.bytes {
            loaded.trim.push((sequence, judged.end));
        }
    }
    let kept = if keep_rows { rows() } else { Vec::new() };
    loaded.used.push((sequence, segment.bytes, kept));
    if !is_last {
        return;
    }
    loaded
        .zero
        .extend(judged.cut.map(|(from, to)| Zero { sequence, from, to }));
    loaded.tail = Some(Tail {
        sequence,
        bytes: segment.bytes,
        rows: rows(),
        first_batch: judged
            .first
            .map(|first| (first.batch, first.previous_frames.unwrap_or(0))),
        end: judged.end,
        has_footer: judged.has_footer,
        may_get_footer: judged.lost.is_empty() && !judged.has_lost(),
        sealed: judged.sealed || judged.last_batch.is_none(),
    });
}

fn first_of(segment: &Segment) -> Option<Next> {
    match &segment.content {
        Content::Sealed(sealed) => Some(Next {
            batch: sealed.footer.first_batch,
            previous_frames: Some(sealed.footer.first_previous_frames),
        }),
        Content::Read { bytes, walked } => walked.pieces.iter().find_map(|piece| match piece {
            Piece::Frame(found) => Some(Next {
                batch: found.head.batch,
                previous_frames: crate::walk::batch_head(bytes, found)
                    .map(|head| head.previous_frames),
            }),
            Piece::Bad { .. } => None,
        }),
    }
}

/// By its footer alone, as fast as it can be read.
fn judge_sealed(segment: &Segment, sealed: &SealedBy, around: Around) -> Judged {
    let footer = &sealed.footer;
    let mut judged = Judged {
        rows: footer.rows.iter().map(|row| (*row, true)).collect(),
        marks: footer
            .marks
            .iter()
            .map(|mark| (mark.shard, mark.mark))
            .collect(),
        first: Some(Next {
            batch: footer.first_batch,
            previous_frames: Some(footer.first_previous_frames),
        }),
        last_batch: Some(sealed.batch),
        last_frames: 0,
        sealed: true,
        has_footer: true,
        end: segment.bytes,
        ..Judged::default()
    };
    let lost = |from: u64| {
        (
            stretch(&segment.name, (from, from), None, Meaning::LostBatches),
            Concern::Everybody,
        )
    };
    // A footer or a seal before it may be gone: the segment before this one has reported that.
    let follows = around.first_expected.is_none_or(|expected| {
        footer.first_batch == expected
            || (footer.first_batch == expected + 1 && footer.first_previous_frames == 0)
    });
    if !follows {
        judged.damages.push(lost(HEAD_AREA_BYTES));
    }
    judged
}
