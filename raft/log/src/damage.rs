//! Names for what is damaged: file, frame, shard, log id, and what it meant; and the calls that tell of it.

use crate::OpenError;
use crate::format::{Row, parse_segment_name};
use crate::journal::Journal;
use crate::judge::Concern;
use crate::mend::Standing;
use crate::sealed::check_file;
use crate::state::{Shared, State};
use raft_api::{LogId, ShardId};
use std::fmt;
use std::sync::Arc;
use tokio::sync::watch;

/// What a damaged stretch of a file meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    Entry,
    Vote,
    Truncate,
    Purge,
    /// An entry that came with a snapshot, for a reference.
    Adopted,
    CheckpointPart,
    /// A batch's own head: what was in the batch is intact unless another damage says otherwise.
    BatchHead,
    /// A seal: it held no data.
    Seal,
    /// A segment's table of contents: it is rebuilt by reading the segment.
    Footer,
    /// One copy of a segment's head; the other one serves.
    SegmentHead,
    /// Both copies of a segment's head. Its frames are still read by the owner's identity.
    BothSegmentHeads,
    /// A frame whose head is gone too; the batch's head says how many frames of which shard are missing.
    LostFrames,
    /// Batches that should be there are not: a whole stretch or a file is gone.
    LostBatches,
    /// Frames are sound, but an entry does not follow the one before it.
    Gap,
    /// Bytes that no frame covers are not zero; nothing depends on them.
    Stray,
}

impl Meaning {
    pub fn text(self) -> &'static str {
        match self {
            Meaning::Entry => "an entry of Raft's log",
            Meaning::Vote => "a copy of a vote",
            Meaning::Truncate => "the record that entries were truncated",
            Meaning::Purge => "the record that entries were purged",
            Meaning::Adopted => "an entry that came with a snapshot",
            Meaning::CheckpointPart => "a part of a checkpoint",
            Meaning::BatchHead => "the head of a batch, whose frames are judged by themselves",
            Meaning::Seal => "a seal, which held no data",
            Meaning::Footer => "a segment's table of contents, which is rebuilt from its frames",
            Meaning::SegmentHead => "one of two copies of a segment's head",
            Meaning::BothSegmentHeads => "both copies of a segment's head",
            Meaning::LostFrames => "frames whose own heads are gone",
            Meaning::LostBatches => "batches that are missing altogether",
            Meaning::Gap => "an entry that does not follow the one before it",
            Meaning::Stray => "bytes between frames, which should be zero",
        }
    }
}

/// One damaged stretch of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// File name within the journal's folder.
    pub file: String,
    /// Where the damaged frame (or stretch) begins in the file, in bytes.
    pub offset: u64,
    /// Its length in bytes; 0 if it is not known.
    pub bytes: u64,
    pub batch: Option<u64>,
    /// Whose frame it was, if that can still be known.
    pub shard: Option<ShardId>,
    pub log_id: Option<LogId>,
    pub meaning: Meaning,
}

impl Damage {
    pub(crate) fn is_at(&self, other: &Damage) -> bool {
        self.offset == other.offset && self.file == other.file
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at offset {}", self.file, self.offset)?;
        if self.bytes > 0 {
            write!(f, " ({} bytes)", self.bytes)?;
        }
        if let Some(batch) = self.batch {
            write!(f, ", batch {batch}")?;
        }
        if let Some(shard) = self.shard {
            write!(f, ", shard {shard}")?;
        }
        if let Some(log_id) = self.log_id {
            write!(f, ", log id {log_id}")?;
        }
        write!(f, ": {}", self.meaning.text())
    }
}

/// A shard whose log cannot be proven complete. It takes no part in Raft: no append, no vote, no read of its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    pub shard: ShardId,
    /// The first damage that concerns the shard.
    pub damage: Damage,
}

impl fmt::Display for Hole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {} has a hole: {}", self.shard, self.damage)
    }
}

impl Journal {
    /// Shards whose logs cannot be proven complete. They must take no part in Raft.
    pub fn holes(&self) -> Vec<Hole> {
        self.shared().state.lock().holes()
    }

    pub fn has_hole(&self, shard: ShardId) -> bool {
        let state = self.shared().state.lock();
        let log = state.shards.get(&shard);
        !state.is_sound(shard) || log.is_some_and(|log| !log.missing.is_empty())
    }

    /// All damage found since opening that is not mended, also where nothing is lost.
    pub fn damages(&self) -> Vec<Damage> {
        self.shared().state.lock().damages.clone()
    }

    /// Changes when damage is found while running: look at `holes` again.
    pub fn watch_damages(&self) -> watch::Receiver<usize> {
        self.shared().damages_watch.subscribe()
    }

    /// Reads all sealed segments in full and compares every checksum. Blocking, for a background task. What it finds
    /// is noted as by `open`: shards get holes, `watch_damages` fires.
    pub fn check_sealed(&self) -> Result<Vec<Damage>, OpenError> {
        let sealed: Vec<u64> = self
            .shared()
            .state
            .lock()
            .space
            .sealed
            .iter()
            .copied()
            .collect();
        let mut all = Vec::new();
        for sequence in sealed {
            let (disk, dir) = {
                let allocator = self.shared().allocator.lock();
                (Arc::clone(&allocator.disk), allocator.dir.clone())
            };
            let seed = self.shared().readers.eras.seed(sequence);
            let damages = check_file(&*disk, &dir, seed, sequence)?;
            all.extend(damages.iter().map(|(damage, _)| damage.clone()));
            self.shared().note(damages);
        }
        Ok(all)
    }
}

impl Shared {
    /// Returns how many of them are news.
    pub fn note(&self, damages: Vec<(Damage, Concern)>) -> u64 {
        if damages.is_empty() {
            return 0;
        }
        let mut news = 0;
        let mut state = self.state.lock();
        for (damage, concern) in damages {
            let is_news = match concern {
                // The vote itself is in memory; the next start writes both copies again.
                Concern::Nobody | Concern::VoteOf(..) => state.note_damage(damage, &[]),
                Concern::Shard(shard) => {
                    tracing::error!(%damage, "the journal has a hole");
                    state.note_damage(damage, &[shard])
                }
                Concern::Frame(row) => note_rotten(&mut state, &row, damage),
                Concern::Everybody => {
                    state.lost_everything.get_or_insert_with(|| damage.clone());
                    state.note_damage(damage, &[])
                }
            };
            news += u64::from(is_news);
        }
        let count = state.damages.len();
        drop(state);
        self.damages_watch.send_replace(count);
        news
    }
}

/// Found while running: the shard goes on while an entry is missing that another node may have. Returns whether it is
/// news.
fn note_rotten(state: &mut State, row: &Row, damage: Damage) -> bool {
    let Some(segment) = parse_segment_name(&damage.file) else {
        return state.note_damage(damage, &[row.shard]);
    };
    let log = state.shards.entry(row.shard).or_default();
    let standing = log.rotten(segment as u32, row, &damage);
    match standing {
        Standing::Mended => false,
        Standing::Unneeded => state.note_damage(damage, &[]),
        Standing::Missing | Standing::Lost => {
            let text = damage.to_string();
            let is_news = state.note_damage(damage, &[]);
            if is_news {
                tracing::error!(damage = text, "the journal has a hole");
            }
            is_news
        }
    }
}
