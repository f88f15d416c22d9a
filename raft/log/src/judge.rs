//! Torn or rotten: judges one segment by what its own frames say of each other, without a footer.
//!
//! The last batch of the journal may be torn: power loss keeps any subset of its pages, and nobody was told that it is
//! durable. It is cut off whole. Every batch before it was flushed before a later one was written, and that later one
//! testifies to it: whatever is wrong there is damage, and a shard whose frames cannot all be accounted for gets a hole.

use crate::format::{FRAME_HEAD_BYTES, FrameKind, HEAD_AREA_BYTES, Row};
use crate::group::{Gap, Group, group};
use crate::lost::{Beside, Lost, lost_frames};
use crate::walk::{Found, Walked};
use crate::{Damage, Meaning};
use raft_api::{LogIndex, ShardId};
use std::collections::BTreeMap;

/// What the segments around this one say of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Around {
    /// The batch that should be the first here; `None` if the journal begins here.
    pub first_expected: Option<u64>,
    /// Of the next segment with frames: its first batch, and how many frames that says the one before it has.
    pub next: Option<Next>,
}

impl Judged {
    /// Some shard may have a hole because of what is damaged here. A start must find that again, however late it is.
    pub fn has_lost(&self) -> bool {
        let mut concerns = self.damages.iter().map(|(_, concern)| concern);
        concerns.any(|concern| *concern != Concern::Nobody)
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Next {
    pub batch: u64,
    pub previous_frames: Option<u32>,
}

#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// Frames that carry data, in order, with whether they are sound. What lies in gaps is not among them.
    pub rows: Vec<(Row, bool)>,
    pub marks: BTreeMap<ShardId, LogIndex>,
    /// Single frames that are missing, each with how many of `rows` come before it.
    pub lost: Vec<(usize, Lost)>,
    pub damages: Vec<(Damage, Concern)>,
    pub first: Option<Next>,
    pub last_batch: Option<u64>,
    pub last_frames: u32,
    /// Something on disk says that the last batch was flushed.
    pub sealed: bool,
    pub has_footer: bool,
    /// Where the next batch may go.
    pub end: u64,
    /// Bytes of a torn batch: from here to there they must be zeroed.
    pub cut: Option<Gap>,
}

/// Whose log a damage concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Concern {
    /// Nothing is lost.
    Nobody,
    Shard(ShardId),
    /// A frame of which all but the payload is known: its shard, unless nothing needs it or another frame stands in.
    Frame(Row),
    /// A vote, which has another copy: the shard only if no sound copy is as new.
    VoteOf(ShardId, u64),
    Everybody,
}

pub(crate) fn judge(file: &str, bytes: &[u8], walked: &Walked, around: Around) -> Judged {
    let (mut groups, tail_gap) = group(bytes, walked);
    let mut judged = Judged {
        end: HEAD_AREA_BYTES,
        ..Judged::default()
    };
    judged.first = groups.first().map(|group| Next {
        batch: group.number,
        previous_frames: group.head.as_ref().map(|head| head.previous_frames),
    });
    if around.next.is_none() {
        cut_torn_tail(&mut groups, tail_gap, walked, &mut judged);
    }
    let mut last_end = HEAD_AREA_BYTES;
    let mut expected = around.first_expected;
    for at in 0..groups.len() {
        let group = &groups[at];
        let next = groups.get(at + 1).map(next_of).or(around.next);
        if let Some(expected) = expected
            && expected != group.number
        {
            let gap = group.lead.unwrap_or((last_end, group.start()));
            missing_batches(
                file,
                &mut judged,
                expected,
                next_of(group),
                gap,
                Meaning::Seal,
            );
        } else if let Some(lead) = group.lead {
            judged
                .damages
                .push((stretch(file, lead, None, Meaning::Stray), Concern::Nobody));
        }
        let beside = Beside {
            before: at.checked_sub(1).and_then(|at| groups.get(at)),
            after: groups.get(at + 1),
        };
        judge_group(file, group, next, &beside, &mut judged);
        expected = Some(group.number + 1);
        last_end = group.end();
    }
    if let Some(last) = groups.last() {
        judged.last_batch = Some(last.number);
        judged.last_frames = last.frames.len() as u32;
        judged.has_footer = last.kind() == Some(FrameKind::Footer);
        judged.sealed = matches!(last.kind(), Some(FrameKind::Seal | FrameKind::Footer))
            || around.next.is_some();
        judged.end = last.end();
    }
    if let (Some(next), Some(gap)) = (around.next, tail_gap) {
        // Behind the last group of a segment that is not the last one: its footer, or stray bytes.
        let seen = judged
            .last_batch
            .map_or(around.first_expected.unwrap_or(1), |last| last + 1);
        if seen == next.batch {
            judged
                .damages
                .push((stretch(file, gap, None, Meaning::Stray), Concern::Nobody));
        }
        judged.end = gap.1;
    }
    if let (Some(next), Some(last)) = (around.next, judged.last_batch)
        && last + 1 != next.batch
    {
        let gap = tail_gap.unwrap_or((judged.end, judged.end));
        missing_batches(file, &mut judged, last + 1, next, gap, Meaning::Footer);
    }
    judged
}

fn next_of(group: &Group) -> Next {
    Next {
        batch: group.number,
        previous_frames: group.head.as_ref().map(|head| head.previous_frames),
    }
}

/// Takes the last batch away if it is not whole, and what lies behind it.
fn cut_torn_tail(
    groups: &mut Vec<Group>,
    tail_gap: Option<Gap>,
    walked: &Walked,
    judged: &mut Judged,
) {
    let mut cut = tail_gap;
    if let Some(last) = groups.last()
        && !(last.is_whole() && tail_gap.is_none_or(|gap| last.end() <= gap.0))
    {
        let end = tail_gap.map_or(walked.end, |gap| gap.1).max(last.end());
        cut = Some((last.start(), end));
        groups.pop();
    }
    judged.cut = cut;
    if groups.is_empty() {
        judged.first = None;
    }
}

/// A batch that something later testifies to: all that it lacks is damage.
fn judge_group(
    file: &str,
    group: &Group,
    next: Option<Next>,
    beside: &Beside<'_>,
    judged: &mut Judged,
) {
    for found in &group.frames {
        judged.rows.push((row_of(found), found.sound));
        if !found.sound {
            judged.damages.push(damaged_frame(file, found));
        }
    }
    let Some(head) = &group.head else {
        judge_without_head(file, group, next, judged);
        return;
    };
    for row in &head.rows {
        if let Some(mark) = row.mark {
            judged.marks.insert(row.shard, mark);
        }
    }
    let is_short = lost_frames(file, group, head, beside, judged);
    if !is_short {
        for gap in &group.gaps {
            judged.damages.push((
                stretch(file, *gap, Some(group.number), Meaning::Stray),
                Concern::Nobody,
            ));
        }
    }
}

fn judge_without_head(file: &str, group: &Group, next: Option<Next>, judged: &mut Judged) {
    let gap = match (group.opening, group.gaps.first()) {
        (Some(opening), _) => (opening.offset, opening.end()),
        (None, Some(gap)) => *gap,
        (None, None) => (group.start(), group.start()),
    };
    let meaning = match group.kind() {
        Some(FrameKind::Footer) => Meaning::Footer,
        Some(FrameKind::Seal) => Meaning::Seal,
        _ => Meaning::BatchHead,
    };
    if meaning == Meaning::Footer && group.is_whole() {
        return;
    }
    let follows = next
        .filter(|next| next.batch == group.number + 1)
        .and_then(|next| next.previous_frames);
    let ordinals_are_complete = group
        .frames
        .iter()
        .zip(1..)
        .all(|(found, ordinal)| found.head.ordinal == ordinal);
    let is_complete = ordinals_are_complete && follows == Some(group.frames.len() as u32);
    let damage = stretch(file, gap, Some(group.number), meaning);
    if is_complete || matches!(meaning, Meaning::Seal | Meaning::Footer) {
        judged.damages.push((damage, Concern::Nobody));
    } else {
        judged.damages.push((
            Damage {
                meaning: Meaning::LostFrames,
                ..damage
            },
            Concern::Everybody,
        ));
    }
}

/// Batches `expected..next.batch` are not there. A seal or a footer takes nothing with it, and the batch after it
/// says that it held no frame.
fn missing_batches(
    file: &str,
    judged: &mut Judged,
    expected: u64,
    next: Next,
    gap: Gap,
    if_empty: Meaning,
) {
    let was_empty = next.batch == expected + 1 && next.previous_frames == Some(0);
    let damage = stretch(
        file,
        gap,
        Some(expected),
        if was_empty {
            if_empty
        } else {
            Meaning::LostBatches
        },
    );
    judged.damages.push((
        damage,
        if was_empty {
            Concern::Nobody
        } else {
            Concern::Everybody
        },
    ));
}

/// A frame whose head is sound and whose payload is not.
pub(crate) fn damaged_frame(file: &str, found: &Found) -> (Damage, Concern) {
    damaged_row(file, &row_of(found), Some(found.head.batch))
}

/// A frame of which a footer or its own head still says what it was.
pub(crate) fn damaged_row(file: &str, row: &Row, batch: Option<u64>) -> (Damage, Concern) {
    let damage = Damage {
        file: file.to_string(),
        offset: row.offset,
        bytes: row.frame_bytes(),
        batch,
        shard: Some(row.shard),
        log_id: has_log_id(row.kind).then(|| row.log_id()),
        meaning: meaning_of(row.kind),
    };
    let concern = match row.kind {
        FrameKind::Vote => Concern::VoteOf(row.shard, row.index),
        _ => Concern::Frame(*row),
    };
    (damage, concern)
}

pub(crate) fn meaning_of(kind: FrameKind) -> Meaning {
    match kind {
        FrameKind::Entry => Meaning::Entry,
        FrameKind::Vote => Meaning::Vote,
        FrameKind::Truncate => Meaning::Truncate,
        FrameKind::Purge => Meaning::Purge,
        FrameKind::BatchHead => Meaning::BatchHead,
        FrameKind::Seal => Meaning::Seal,
        FrameKind::Footer => Meaning::Footer,
        FrameKind::Adopted => Meaning::Adopted,
        FrameKind::Part => Meaning::CheckpointPart,
    }
}

fn has_log_id(kind: FrameKind) -> bool {
    matches!(
        kind,
        FrameKind::Entry | FrameKind::Purge | FrameKind::Adopted | FrameKind::Part
    )
}

pub(crate) fn stretch(file: &str, gap: Gap, batch: Option<u64>, meaning: Meaning) -> Damage {
    Damage {
        file: file.to_string(),
        offset: gap.0,
        bytes: gap.1 - gap.0,
        batch,
        shard: None,
        log_id: None,
        meaning,
    }
}

pub(crate) fn row_of(found: &Found) -> Row {
    Row::of(&found.head, found.offset)
}

/// Whether a sound frame at `offset` is the one that a footer's row names.
pub(crate) fn is_frame_of(found: &Found, row: &Row) -> bool {
    found.sound && row_of(found) == *row
}

const _: () = assert!(
    FRAME_HEAD_BYTES.is_multiple_of(8),
    "frames begin at multiples of 8"
);
