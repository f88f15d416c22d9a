//! Frames of which not even the head is left, in a segment without footer: what the batch around them still says.

use crate::format::{BatchHead, FrameKind, Row};
use crate::group::Group;
use crate::judge::{Concern, Judged, stretch};
use crate::place::UNKNOWN_KIND;
use crate::replay::Replay;
use crate::walk::Found;
use crate::{Damage, Meaning};
use raft_api::{LogId, LogIndex, ShardId, Term};
use std::collections::{BTreeMap, BTreeSet};

/// The only frame that a batch misses. Its shard is known, and so is its turn.
#[derive(Clone, Debug)]
pub(crate) struct Lost {
    pub shard: ShardId,
    /// What the shard's log ended with behind it, if that is known: its own log id if it was an entry.
    pub last: Option<LogId>,
    pub damage: Damage,
}

/// Notes the frames that are missing of `group`. Returns whether there are any.
pub(crate) fn lost_frames(
    file: &str,
    group: &Group,
    head: &BatchHead,
    judged: &mut Judged,
) -> bool {
    let mut seen: BTreeMap<ShardId, u32> = BTreeMap::new();
    for found in &group.frames {
        *seen.entry(found.head.shard).or_default() += 1;
    }
    let short: BTreeSet<ShardId> = head
        .rows
        .iter()
        .filter(|row| seen.get(&row.shard).copied().unwrap_or(0) < row.frames)
        .map(|row| row.shard)
        .collect();
    let gap = group
        .gaps
        .first()
        .copied()
        .unwrap_or((group.end(), group.end()));
    let is_single = group.frames.len() + 1 == head.frames as usize;
    for shard in &short {
        let last = lost_log_id(group, head, *shard);
        let damage = Damage {
            shard: Some(*shard),
            log_id: last,
            ..stretch(file, gap, Some(group.number), Meaning::LostFrames)
        };
        if is_single && group.gaps.len() == 1 {
            let after = group.frames.iter().zip(1..);
            let after = after.skip_while(|(found, turn)| found.head.ordinal == *turn);
            let lost = Lost {
                shard: *shard,
                last: last_behind(after.clone().map(|(found, _)| found), head, *shard),
                damage,
            };
            judged.lost.push((judged.rows.len() - after.count(), lost));
        } else {
            judged.damages.push((damage, Concern::Shard(*shard)));
        }
    }
    !short.is_empty()
}

/// What the shard's log ended with before the frames `after`, which are all that follow in the batch: an entry follows
/// the one before it, whose term is then taken to be the same; whoever uses this compares it.
fn last_behind<'a>(
    after: impl Iterator<Item = &'a Found>,
    head: &BatchHead,
    shard: ShardId,
) -> Option<LogId> {
    let mut of_log = after.filter(|found| {
        let kind = found.head.kind;
        let is_log = matches!(
            kind,
            FrameKind::Entry | FrameKind::Truncate | FrameKind::Purge
        );
        is_log && found.head.shard == shard
    });
    match of_log.next().map(|found| found.head) {
        None => head.rows.iter().find(|row| row.shard == shard)?.last,
        Some(next) if next.kind == FrameKind::Entry => Some(LogId {
            term: Term(next.term),
            index: LogIndex(next.index.checked_sub(1)?),
        }),
        Some(_) => None,
    }
}

/// The entry that is missing, if the ones beside it or the batch's head leave no doubt.
fn lost_log_id(group: &Group, head: &BatchHead, shard: ShardId) -> Option<LogId> {
    let last = head.rows.iter().find(|row| row.shard == shard)?.last?;
    let mut entries = group
        .frames
        .iter()
        .filter(|f| f.head.shard == shard && f.head.kind == FrameKind::Entry)
        .map(|f| f.head);
    let mut before = entries.next()?;
    for entry in entries {
        if entry.index == before.index + 2 && entry.term == before.term {
            return Some(LogId {
                term: Term(entry.term),
                index: LogIndex(before.index + 1),
            });
        }
        before = entry;
    }
    (before.index + 1 == last.index.0).then_some(last)
}

impl Replay {
    /// A frame of which not even the head is left, in its turn. It was an entry if the log ended with one more behind it
    /// than before it, in one term: anything else that could be lost there leaves the log no longer, except a purge of
    /// just this entry, and then the entry is committed, and its leader had the ones before it that are here.
    pub fn lost(&mut self, segment: u32, lost: &Lost) {
        let state = self.shards.entry(lost.shard).or_default();
        let follows = |last: &LogId| {
            let before = state.last();
            before.is_some_and(|b| b.term == last.term && b.index.next() == last.index)
        };
        let Some(log_id) = lost.last.filter(follows) else {
            self.note(lost.damage.clone(), &Concern::Shard(lost.shard));
            return;
        };
        let row = Row {
            kind: FrameKind::Entry,
            entry_kind: UNKNOWN_KIND,
            shard: lost.shard,
            offset: lost.damage.offset,
            length: 0,
            term: log_id.term.0,
            index: log_id.index.0,
        };
        self.row(&lost.damage.file, segment, &row);
        let damage = Damage {
            log_id: Some(log_id),
            ..lost.damage.clone()
        };
        self.note(damage, &Concern::Frame(row));
    }
}
