//! Mending: what is missing of a shard is named, and taken back once somebody else has it.
//!
//! MEND-1: only a committed entry with the log id of the missing one takes its place. Where the head of the rotten frame
//! is still sound, its checksum must hold for the payload that came.
//! MEND-2: the replacement is an adopted entry, flushed before it counts. From then on, and after each start, a rotten
//! frame for which an adopted entry with its log id stands in is no hole.
//! MEND-3: a shard that opened with something missing takes no append, vote, truncation or purge before nothing is.
//!
//! A rotten frame is missing only if something still needs it: not if its entry was truncated, adopted again, or belongs
//! to a checkpoint that a newer one has replaced. Truncations and purges have no payload: whoever knows their row, by its
//! checksum, has all of them.

use crate::format::{FRAME_HEAD_BYTES, FrameHead, FrameKind, Row, body_bytes};
use crate::journal::Journal;
use crate::place::{Place, UNKNOWN_KIND};
use crate::queue::{Item, Queued};
use crate::segments::Readers;
use crate::shard_log::ShardState;
use crate::state::State;
use crate::{AppendError, Damage, FlushDone, Hole, NewEntry, limits};
use raft_api::{LogId, LogIndex, ShardId};
use std::collections::BTreeMap;

/// An entry of which no sound frame is left here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingEntry {
    pub log_id: LogId,
    /// Its rotten frame.
    pub damage: Damage,
}

/// Why what came from another node does not mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MendError {
    /// Nothing to do: it is there by now, or never was missing.
    #[error("entry {0} is not missing")]
    NotMissing(LogId),
    /// Whoever sent it has another log than ours under the same log id.
    #[error("what came as entry {log_id} is not what was lost: {detail}")]
    AnotherEntry { log_id: LogId, detail: &'static str },
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// One shard's, in memory.
#[derive(Default)]
pub(crate) struct Missing {
    entries: BTreeMap<(LogIndex, u64), Lack>,
    /// Something has been missing since the journal was opened.
    pub barred: bool,
}

#[derive(Clone)]
struct Lack {
    segment: u32,
    row: Row,
    damage: Damage,
}

/// What becomes of a shard with a rotten frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing needs the frame.
    Unneeded,
    /// Another sound frame of the same entry stands in for it.
    Mended,
    /// An entry that another node may have.
    Missing,
    /// Nobody else has it.
    Lost,
}

impl Missing {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn first_damage(&self) -> Option<&Damage> {
        self.entries.values().next().map(|lack| &lack.damage)
    }

    fn lack(&self, log_id: LogId) -> Option<&Lack> {
        self.entries.get(&(log_id.index, log_id.term.0))
    }
}

impl ShardState {
    /// Why the shard's log cannot be proven complete.
    pub fn hole_of(&self, shard: ShardId) -> Option<Hole> {
        let missing = || {
            let damage = self.missing.first_damage()?.clone();
            Some(Hole { shard, damage })
        };
        self.hole.clone().or_else(missing)
    }

    /// Takes note of a frame of this shard that is rotten, and of which all but the payload is known.
    pub fn rotten(&mut self, segment: u32, row: &Row, damage: &Damage) -> Standing {
        let standing = self.standing(segment, row);
        let is_too_much = self.missing.entries.len() >= limits::MAX_MISSING;
        match standing {
            Standing::Missing if !is_too_much => {
                let lack = Lack {
                    segment,
                    row: *row,
                    damage: damage.clone(),
                };
                let key = (LogIndex(row.index), row.term);
                self.missing.entries.entry(key).or_insert(lack);
            }
            Standing::Missing | Standing::Lost => {
                self.hole.get_or_insert_with(|| Hole {
                    shard: row.shard,
                    damage: damage.clone(),
                });
            }
            Standing::Unneeded | Standing::Mended => {}
        }
        standing
    }

    fn standing(&mut self, segment: u32, row: &Row) -> Standing {
        let is_here = |place: Place| {
            let spot = place.spot();
            spot.is_some_and(|spot| (spot.segment, spot.offset) == (segment, row.offset))
        };
        let index = LogIndex(row.index);
        let own = self.place(index);
        let adopted = self.kept.adopted(index);
        match row.kind {
            FrameKind::Entry | FrameKind::Adopted => {
                let is_needed = own.is_some_and(is_here) || adopted.is_some_and(is_here);
                let stand_in = adopted.filter(|adopted| {
                    let is_same = adopted.term().0 == row.term && !is_here(*adopted);
                    is_same && !self.lacks_spot(*adopted)
                });
                match stand_in {
                    Some(stand_in) => {
                        if own.is_some_and(is_here) {
                            self.set_place(index, stand_in.as_stand_in());
                        }
                        Standing::Mended
                    }
                    None if is_needed => Standing::Missing,
                    None => Standing::Unneeded,
                }
            }
            FrameKind::Part => match self.kept.part_at(is_here) {
                true => Standing::Lost,
                false => Standing::Unneeded,
            },
            FrameKind::Truncate | FrameKind::Purge => Standing::Unneeded,
            FrameKind::Vote | FrameKind::BatchHead | FrameKind::Seal | FrameKind::Footer => {
                Standing::Lost
            }
        }
    }

    fn lacks_spot(&self, place: Place) -> bool {
        let mut lacks = self.missing.entries.values();
        let spot = place.spot();
        spot.is_some_and(|spot| {
            lacks.any(|lack| (lack.segment, lack.row.offset) == (spot.segment, spot.offset))
        })
    }

    /// An adopted entry is flushed. Returns the damages that it has mended.
    pub fn adopted(&mut self, log_id: LogId, place: Place) -> Vec<Damage> {
        let index = log_id.index;
        self.kept.adopt(index, place);
        if self.missing.is_empty() {
            return Vec::new();
        }
        let lacks = self.missing.entries.range((index, 0)..=(index, u64::MAX));
        let keys = lacks.map(|(key, _)| *key).collect();
        self.settle(keys)
    }

    /// Forgets what is no longer missing, and returns its damages.
    pub fn settle_missing(&mut self) -> Vec<Damage> {
        if self.missing.is_empty() {
            return Vec::new();
        }
        let keys = self.missing.entries.keys().copied().collect();
        self.settle(keys)
    }

    fn settle(&mut self, keys: Vec<(LogIndex, u64)>) -> Vec<Damage> {
        let mut settled = Vec::new();
        for key in keys {
            let Some(lack) = self.missing.entries.remove(&key) else {
                continue;
            };
            match self.standing(lack.segment, &lack.row) {
                Standing::Missing | Standing::Lost => {
                    self.missing.entries.insert(key, lack);
                }
                Standing::Mended | Standing::Unneeded => settled.push(lack.damage),
            }
        }
        self.missing.barred &= !self.missing.is_empty();
        settled
    }
}

impl State {
    /// What `settle_missing` returned is damage no more.
    pub fn note_mended(&mut self, settled: &[Damage]) {
        if !settled.is_empty() {
            self.counters.mended += settled.len() as u64;
            let is_settled = |damage: &Damage| settled.iter().any(|other| other.is_at(damage));
            self.damages.retain(|damage| !is_settled(damage));
        }
    }

    fn shard_to_mend(&mut self, shard: ShardId) -> Result<&mut ShardState, AppendError> {
        self.check_open()?;
        let has_lost_all = self.lost_everything.is_some();
        let state = self.shards.get_mut(&shard);
        state
            .filter(|state| !has_lost_all && state.hole.is_none())
            .ok_or(AppendError::Hole(shard))
    }
}

impl Journal {
    /// The first entries, by index, that are missing of the shard: all that keeps its log from being whole. Empty if
    /// nothing is missing, or if more is lost than other nodes' entries could mend.
    pub fn missing(&self, shard: ShardId) -> Vec<MissingEntry> {
        let state = self.shared().state.lock();
        let log = state.shards.get(&shard);
        let Some(log) = log.filter(|log| state.lost_everything.is_none() && log.hole.is_none())
        else {
            return Vec::new();
        };
        let lacks = log.missing.entries.values().take(limits::MAX_MISSING_TOLD);
        let missing = lacks.map(|lack| MissingEntry {
            log_id: lack.row.log_id(),
            damage: lack.damage.clone(),
        });
        missing.collect()
    }

    /// Keeps what another node has as the committed entries under these log ids in place of those that are missing here.
    /// Once `done` has fired they count, also after the next start. Reads the heads of rotten frames: blocking. An error
    /// means that nothing was accepted.
    pub fn mend(
        &self,
        shard: ShardId,
        entries: Vec<NewEntry>,
        done: FlushDone,
    ) -> Result<(), MendError> {
        for entry in &entries {
            let lack = {
                let mut state = self.shared().state.lock();
                let log = state.shard_to_mend(shard)?;
                log.missing.lack(entry.log_id).cloned()
            };
            let lack = lack.ok_or(MendError::NotMissing(entry.log_id))?;
            self.check_against_frame(&lack, entry)?;
        }
        let sizes = entries.iter().map(|entry| entry.payload.len());
        let mut state = self.admit(sizes, |state| state.shard_to_mend(shard).map(drop))?;
        for entry in entries {
            state.enqueue(Queued {
                item: Item::Adopted { shard, entry },
                done: None,
            });
        }
        state.enqueue(Queued {
            item: Item::Nothing,
            done: Some(done),
        });
        self.shared().tell_writer(state);
        Ok(())
    }

    /// Removes the missing entries from `committed` on: the cluster has committed another entry at this index, so ours
    /// never was and never will be. Only for a shard that opened with something missing; afterwards consensus truncates.
    pub fn cut_missing(
        &self,
        shard: ShardId,
        committed: LogId,
        done: FlushDone,
    ) -> Result<(), MendError> {
        let mut state = self.shared().state.lock();
        let log = state.shard_to_mend(shard)?;
        let index = committed.index;
        let own = log.place(index).map(|place| place.term());
        let own = own.filter(|term| *term != committed.term);
        let is_another = own.is_some_and(|term| log.missing.lack(LogId { term, index }).is_some());
        // Marks and purges are of committed entries: then one of the two is wrong, and nothing is thrown away.
        let purged = log.log().purged.map(|purged| purged.index);
        let is_settled = log.mark.max(purged) >= Some(index);
        if !log.missing.barred || !is_another {
            return Err(MendError::NotMissing(committed));
        }
        if is_settled {
            return Err(MendError::AnotherEntry {
                log_id: committed,
                detail: "another entry was known to be committed here",
            });
        }
        let after = index.0.checked_sub(1).map(LogIndex);
        let item = state.truncate_after(shard, after);
        state.enqueue(Queued {
            item,
            done: Some(done),
        });
        self.shared().tell_writer(state);
        Ok(())
    }

    /// As far as the rotten frame still says what it held.
    fn check_against_frame(&self, lack: &Lack, entry: &NewEntry) -> Result<(), MendError> {
        let another = |detail| MendError::AnotherEntry {
            log_id: entry.log_id,
            detail,
        };
        let row = &lack.row;
        if row.entry_kind == UNKNOWN_KIND {
            return Ok(());
        }
        if row.entry_kind != entry.kind as u8 || row.length as usize != entry.payload.len() {
            return Err(another("its kind or its length differs"));
        }
        let readers = &self.shared().readers;
        let Some(head) = sound_head(readers, lack) else {
            return Ok(());
        };
        let mut body = entry.payload.to_vec();
        body.resize(body_bytes(body.len()), 0);
        match head.body_is_sound(readers.seed(lack.segment), row.offset, &body) {
            true => Ok(()),
            false => Err(another("its checksum differs")),
        }
    }
}

/// `None`: the head is rotten too, or the disk does not give it out.
fn sound_head(readers: &Readers, lack: &Lack) -> Option<FrameHead> {
    let mut bytes = [0; FRAME_HEAD_BYTES];
    let file = readers.file(lack.segment).ok()?;
    file.read_at(lack.row.offset, &mut bytes).ok()?;
    let head = FrameHead::decode(readers.seed(lack.segment), lack.row.offset, &bytes).ok()?;
    (Row::of(&head, lack.row.offset) == lack.row).then_some(head)
}
