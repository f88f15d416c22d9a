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
    pub last: Option<Last>,
    /// It can only have been a copy of the vote with this number.
    pub vote: Option<u64>,
    pub damage: Damage,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Last {
    log_id: LogId,
    /// The batch's head says so. Otherwise it is concluded from the entry that follows, and its term may be an older one.
    is_told: bool,
}

/// The batches before and after, as far as they are in the same segment.
pub(crate) struct Beside<'a> {
    pub before: Option<&'a Group>,
    pub after: Option<&'a Group>,
}

/// Notes the frames that are missing of `group`. Returns whether there are any.
pub(crate) fn lost_frames(
    file: &str,
    group: &Group,
    head: &BatchHead,
    beside: &Beside<'_>,
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
                vote: lost_vote(
                    group,
                    beside,
                    *shard,
                    group.frames.len() - after.clone().count(),
                ),
                damage,
            };
            judged.lost.push((judged.rows.len() - after.count(), lost));
        } else {
            judged.damages.push((damage, Concern::Shard(*shard)));
        }
    }
    !short.is_empty()
}

/// A vote is written as copy 1, and as copy 2 in the next batch, before all else there. So the frame that `turn` others
/// precede is a first copy if the next batch has a second one that nothing else here explains; and a second copy if there
/// were more first ones in the batch before than frames precede it.
fn lost_vote(group: &Group, beside: &Beside<'_>, shard: ShardId, turn: usize) -> Option<u64> {
    let copies = |group: &Group, copy: u64| -> Vec<(ShardId, u64)> {
        let votes = group.frames.iter().map(|found| found.head);
        let votes = votes.filter(|head| head.kind == FrameKind::Vote && head.term == copy);
        votes.map(|head| (head.shard, head.index)).collect()
    };
    let of_shard = |votes: Vec<(ShardId, u64)>, known: Vec<(ShardId, u64)>| {
        let mut votes = votes.into_iter().filter(|vote| vote.0 == shard);
        votes.find(|vote| !known.contains(vote)).map(|vote| vote.1)
    };
    let after = beside
        .after
        .filter(|after| after.number == group.number + 1);
    let first = after.and_then(|after| of_shard(copies(after, 2), copies(group, 1)));
    let before = beside
        .before
        .filter(|before| before.number + 1 == group.number);
    let before = before.map(|before| copies(before, 1));
    let before = before.filter(|firsts| turn < firsts.len());
    first.or_else(|| of_shard(before?, copies(group, 2)))
}

/// What the shard's log ended with before the frames `after`, which are all that follow in the batch.
fn last_behind<'a>(
    after: impl Iterator<Item = &'a Found>,
    head: &BatchHead,
    shard: ShardId,
) -> Option<Last> {
    let mut of_log = after.filter(|found| {
        let kind = found.head.kind;
        let is_log = matches!(
            kind,
            FrameKind::Entry | FrameKind::Truncate | FrameKind::Purge
        );
        is_log && found.head.shard == shard
    });
    match of_log.next().map(|found| found.head) {
        None => Some(Last {
            log_id: head.rows.iter().find(|row| row.shard == shard)?.last?,
            is_told: true,
        }),
        Some(next) if next.kind == FrameKind::Entry => Some(Last {
            log_id: LogId {
                term: Term(next.term),
                index: LogIndex(next.index.checked_sub(1)?),
            },
            is_told: false,
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
    /// A frame of which not even the head is left, in its turn. If the log ended with one more behind it than before it, it
    /// was an entry, or a purge up to just this index, which replaces a log by a checkpoint. It was an entry if there is no
    /// checkpoint there or behind. If there is one, it is all the same within a term: the entry is committed then, and the leader of its
    /// term had those before it that are here.
    pub fn lost(&mut self, segment: u32, lost: &Lost) {
        if let Some(number) = lost.vote {
            let damage = Damage {
                log_id: None,
                meaning: Meaning::Vote,
                ..lost.damage.clone()
            };
            self.note(damage, &Concern::VoteOf(lost.shard, number));
            return;
        }
        let state = self.shards.entry(lost.shard).or_default();
        let checkpoint = state
            .kept
            .checkpoint()
            .map(|checkpoint| checkpoint.log_id.index);
        let is_entry = |last: &Last| {
            // A newer checkpoint may have replaced that of the purge.
            let is_purge = checkpoint >= Some(last.log_id.index);
            let is_told = last.is_told && !is_purge;
            match state.last() {
                None => is_told,
                Some(before) => {
                    let is_same_term = before.term == last.log_id.term;
                    before.index.next() == last.log_id.index && (is_same_term || is_told)
                }
            }
        };
        let Some(Last { log_id, .. }) = lost.last.filter(is_entry) else {
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
