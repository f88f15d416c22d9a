//! From frames back to the shards' logs: the order of frames decides, not their indexes.

use crate::damage::Meaning;
use crate::format::{FrameKind, Row, frame_bytes, parse_segment_name, segment_name};
use crate::judge::{Concern, damaged_row};
use crate::mend::Standing;
use crate::place::{Place, Spot};
use crate::shard_log::ShardState;
use crate::{CheckpointPart, Damage, Hole, limits};
use raft_api::{LogIndex, ShardId, Term};
use std::collections::BTreeMap;

/// Copies of votes that are remembered for each shard: two of the newest, and those before them in case they are damaged.
const VOTES_KEPT: usize = 8;

#[derive(Clone, Copy, Debug)]
pub(crate) struct VoteCopy {
    pub number: u64,
    /// 1 or 2.
    pub copy: u64,
    pub spot: Spot,
}

impl VoteCopy {
    fn damage(&self, shard: ShardId) -> Damage {
        Damage {
            file: segment_name(u64::from(self.spot.segment)),
            offset: self.spot.offset,
            bytes: frame_bytes(self.spot.length as usize),
            batch: None,
            shard: Some(shard),
            log_id: None,
            meaning: Meaning::Vote,
        }
    }
}

#[derive(Default)]
pub(crate) struct Replay {
    pub shards: BTreeMap<ShardId, ShardState>,
    pub votes: BTreeMap<ShardId, Vec<VoteCopy>>,
    pub damages: Vec<Damage>,
    pub lost_everything: Option<Damage>,
    /// Newest number of a vote whose copy is damaged, by shard.
    damaged_votes: BTreeMap<ShardId, (u64, Damage)>,
    /// Rotten frames of which all but the payload is known, with their segment.
    rotten: Vec<(u32, Row, Damage)>,
    /// Damages for which another frame stands in.
    pub mended: Vec<Damage>,
    pub entries: u64,
}

impl Replay {
    pub fn note(&mut self, damage: Damage, concern: &Concern) {
        match concern {
            Concern::Nobody => {}
            Concern::Everybody => {
                self.lost_everything.get_or_insert_with(|| damage.clone());
            }
            Concern::Shard(shard) => self.hole(*shard, &damage),
            Concern::Frame(row) => match parse_segment_name(&damage.file) {
                Some(segment) => self.rotten.push((segment as u32, *row, damage.clone())),
                None => self.hole(row.shard, &damage),
            },
            Concern::VoteOf(shard, number) => {
                let newest = self
                    .damaged_votes
                    .entry(*shard)
                    .or_insert_with(|| (*number, damage.clone()));
                if newest.0 < *number {
                    *newest = (*number, damage.clone());
                }
            }
        }
        if self.damages.len() < limits::MAX_DAMAGES && !self.damages.contains(&damage) {
            self.damages.push(damage);
        }
    }

    fn hole(&mut self, shard: ShardId, damage: &Damage) {
        let state = self.shards.entry(shard).or_default();
        state.hole.get_or_insert_with(|| Hole {
            shard,
            damage: damage.clone(),
        });
    }

    /// A frame whose content is known, even if its payload is damaged.
    pub fn row(&mut self, file: &str, segment: u32, row: &Row) {
        let spot = Spot {
            segment,
            offset: row.offset,
            length: row.length,
        };
        let state = self.shards.entry(row.shard).or_default();
        match row.kind {
            FrameKind::Entry => {
                let is_gap = state.make_follow(LogIndex(row.index));
                state.push(
                    row.log_id(),
                    Place::flushed(Term(row.term), row.entry_kind, spot),
                );
                self.entries += 1;
                if is_gap {
                    let (damage, _) = damaged_row(file, row, None);
                    self.note(
                        Damage {
                            meaning: Meaning::Gap,
                            ..damage
                        },
                        &Concern::Shard(row.shard),
                    );
                }
            }
            FrameKind::Vote => {
                state.vote_number = state.vote_number.max(row.index);
                let votes = self.votes.entry(row.shard).or_default();
                if votes.len() == VOTES_KEPT {
                    votes.remove(0);
                }
                votes.push(VoteCopy {
                    number: row.index,
                    copy: row.term,
                    spot,
                });
            }
            FrameKind::Truncate => {
                state.truncate_after(row.index.checked_sub(1).map(LogIndex));
            }
            FrameKind::Purge => {
                state.purge(row.log_id());
            }
            FrameKind::Adopted => {
                let place = Place::flushed(Term(row.term), row.entry_kind, spot);
                state.kept.adopt(LogIndex(row.index), place);
            }
            FrameKind::Part => {
                let part = CheckpointPart::from_code(row.entry_kind);
                let place = Place::flushed(Term(row.term), row.entry_kind, spot);
                state.kept.part(row.log_id(), part, place);
            }
            FrameKind::BatchHead | FrameKind::Seal | FrameKind::Footer => {}
        }
    }

    /// After the last frame: which rotten ones are needed, and whether others stand in for them.
    pub fn settle(&mut self) {
        for (segment, row, damage) in std::mem::take(&mut self.rotten) {
            let state = self.shards.entry(row.shard).or_default();
            if state.rotten(segment, &row, &damage) == Standing::Mended {
                self.mended.push(damage);
            }
        }
        for state in self.shards.values_mut() {
            state.missing.barred = !state.missing.is_empty();
        }
    }

    pub fn mark(&mut self, shard: ShardId, mark: LogIndex) {
        self.shards.entry(shard).or_default().mark = Some(mark);
    }

    /// Finds each shard's vote: the newest of which a copy is sound. `read` returns a copy's bytes if it is.
    /// Returns the votes of which there is only one sound copy left.
    pub fn find_votes(
        &mut self,
        mut read: impl FnMut(ShardId, &VoteCopy) -> Option<bytes::Bytes>,
    ) -> Vec<ShardId> {
        let mut single = Vec::new();
        for (shard, copies) in &self.votes {
            let state = self.shards.entry(*shard).or_default();
            let mut found: Option<u64> = None;
            let mut sound_copies = 0;
            for copy in copies.iter().rev() {
                if found.is_some_and(|number| number != copy.number) {
                    break;
                }
                if let Some(vote) = read(*shard, copy) {
                    found = Some(copy.number);
                    state.vote = Some(vote);
                    sound_copies += 1;
                }
            }
            if found.is_some() && sound_copies < 2 {
                single.push(*shard);
            }
            // Also where nothing but this reading has shown it: an older vote is no vote.
            let newest = copies.iter().max_by_key(|copy| copy.number);
            let unread = newest.filter(|newest| found.is_none_or(|found| found < newest.number));
            let damaged = self.damaged_votes.get(shard);
            let damaged = damaged.filter(|(number, _)| found.is_none_or(|found| found < *number));
            let damaged = damaged.map(|(_, damage)| damage.clone());
            if let Some(damage) = damaged.or_else(|| unread.map(|copy| copy.damage(*shard))) {
                if self.damages.len() < limits::MAX_DAMAGES && !self.damages.contains(&damage) {
                    self.damages.push(damage.clone());
                }
                state.hole.get_or_insert(Hole {
                    shard: *shard,
                    damage,
                });
            }
        }
        single
    }
}
