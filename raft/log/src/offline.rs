//! Checks a whole journal that nobody has open, and shows every sound frame in order. Changes nothing.

use crate::eras::Eras;
use crate::format::{FrameKind, Row};
use crate::load::{How, Loaded, load};
use crate::place::Spot;
use crate::read::{Wanted, read_frame};
use crate::recover::{Cut, LOCK_NAME, find_votes, lock};
use crate::segments::Readers;
use crate::{
    Checkpoint, CheckpointPart, Damage, Disk, EntryKind, Hole, Identity, OpenError, ShardLog,
};
use bytes::Bytes;
use raft_api::{LogId, LogIndex, ShardId};
use std::path::Path;
use std::sync::Arc;

/// A sound frame. The order of frames decides: an index may come again after a truncation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scanned {
    Entry {
        shard: ShardId,
        log_id: LogId,
        kind: EntryKind,
        payload: Bytes,
    },
    Vote {
        shard: ShardId,
        vote: Bytes,
    },
    /// Entries from `first_removed` on are gone.
    Truncate {
        shard: ShardId,
        first_removed: LogIndex,
    },
    Purge {
        shard: ShardId,
        upto: LogId,
    },
    /// Came with a snapshot, for references; not part of Raft's log here.
    Adopted {
        shard: ShardId,
        log_id: LogId,
        kind: EntryKind,
        payload: Bytes,
    },
    CheckpointPart {
        shard: ShardId,
        log_id: LogId,
        part: CheckpointPart,
        payload: Bytes,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardReport {
    pub shard: ShardId,
    pub log: ShardLog,
    pub vote: Option<Bytes>,
    /// The newest complete one, as far as nothing is missing: look at `holes` first.
    pub checkpoint: Option<Checkpoint>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanReport {
    pub identity: Identity,
    pub segments: u64,
    /// Sound frames that carry data.
    pub frames: u64,
    pub entries: u64,
    pub bytes: u64,
    /// Batches at the very end that were never flushed as a whole, and that the next start will cut: no damage, unless
    /// the journal had been closed in good order.
    pub torn: Vec<Cut>,
    pub damages: Vec<Damage>,
    pub holes: Vec<Hole>,
    pub shards: Vec<ShardReport>,
}

impl ScanReport {
    /// No byte is wrong.
    pub fn is_sound(&self) -> bool {
        self.damages.is_empty() && self.holes.is_empty() && self.torn.is_empty()
    }
}

/// Checks every frame of every segment. `visit` gets the sound ones with their file name and offset. Refuses a
/// journal that is open, or of which nothing says whose it is.
pub fn scan(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    mut visit: impl FnMut(&str, u64, Scanned),
) -> Result<ScanReport, OpenError> {
    let names = disk.list(dir).map_err(|e| OpenError::io("list", dir, &e))?;
    let _lock = match names
        .iter()
        .any(|name| name == LOCK_NAME)
        .then(|| lock(&**disk, dir))
    {
        Some(Err(locked @ OpenError::Locked { .. })) => return Err(locked),
        // A copy on a read-only medium cannot be locked, and need not be.
        other => other.and_then(Result::ok),
    };
    let how = How {
        identity: None,
        check_bytes: u64::MAX,
        keep_rows: true,
    };
    let mut loaded = load(&**disk, dir, &how)?;
    let Some(identity) = loaded.identity else {
        return Err(OpenError::NoIdentity {
            dir: dir.display().to_string(),
        });
    };
    let eras = loaded.eras.clone().unwrap_or(Eras::of(identity));
    let readers = Readers::new(Arc::clone(disk), dir, eras);
    find_votes(&mut loaded, &readers);
    let frames = visit_frames(&loaded, &readers, &mut visit);
    Ok(report(identity, frames, &loaded))
}

fn visit_frames(
    loaded: &Loaded,
    readers: &Readers,
    visit: &mut impl FnMut(&str, u64, Scanned),
) -> u64 {
    let mut frames = 0;
    for (sequence, _, rows) in &loaded.used {
        let file = crate::format::segment_name(*sequence);
        for row in rows {
            let shard = row.shard;
            let wanted = Wanted {
                kind: row.kind,
                shard,
                term: row.term,
                index: row.index,
            };
            let spot = Spot {
                segment: *sequence as u32,
                offset: row.offset,
                length: row.length,
            };
            // What does not pass is among the damages already.
            let Ok(payload) = read_frame(readers, spot, wanted) else {
                continue;
            };
            if let Some(scanned) = scanned(row, payload) {
                frames += 1;
                visit(&file, row.offset, scanned);
            }
        }
    }
    frames
}

/// `None`: nothing that a caller wrote, or of a kind that is unknown to this version.
fn scanned(row: &Row, payload: Bytes) -> Option<Scanned> {
    let shard = row.shard;
    Some(match row.kind {
        FrameKind::Entry => Scanned::Entry {
            shard,
            log_id: row.log_id(),
            kind: EntryKind::from_code(row.entry_kind)?,
            payload,
        },
        FrameKind::Vote => Scanned::Vote {
            shard,
            vote: payload,
        },
        FrameKind::Truncate => Scanned::Truncate {
            shard,
            first_removed: LogIndex(row.index),
        },
        FrameKind::Purge => Scanned::Purge {
            shard,
            upto: row.log_id(),
        },
        FrameKind::Adopted => Scanned::Adopted {
            shard,
            log_id: row.log_id(),
            kind: EntryKind::from_code(row.entry_kind)?,
            payload,
        },
        FrameKind::Part => Scanned::CheckpointPart {
            shard,
            log_id: row.log_id(),
            part: CheckpointPart::from_code(row.entry_kind),
            payload,
        },
        FrameKind::BatchHead | FrameKind::Seal | FrameKind::Footer => return None,
    })
}

fn report(identity: Identity, frames: u64, loaded: &Loaded) -> ScanReport {
    let replay = &loaded.replay;
    let mut holes: Vec<Hole> = replay
        .shards
        .iter()
        .filter_map(|(shard, state)| state.hole_of(*shard))
        .collect();
    if let Some(damage) = &replay.lost_everything {
        let shards = if replay.shards.is_empty() {
            vec![ShardId::CONTROL]
        } else {
            replay.shards.keys().copied().collect()
        };
        holes = shards
            .into_iter()
            .map(|shard| Hole {
                shard,
                damage: damage.clone(),
            })
            .collect();
    }
    let torn = loaded.zero.iter().map(|zero| Cut {
        file: crate::format::segment_name(zero.sequence),
        offset: zero.from,
        bytes: zero.to - zero.from,
    });
    ScanReport {
        identity,
        segments: loaded.used.len() as u64,
        frames,
        entries: replay.entries,
        bytes: loaded.used.iter().map(|(_, bytes, _)| *bytes).sum(),
        torn: torn.collect(),
        damages: replay.damages.clone(),
        holes,
        shards: replay
            .shards
            .iter()
            .map(|(shard, state)| ShardReport {
                shard: *shard,
                log: state.log(),
                vote: state.vote.clone(),
                checkpoint: state.kept.checkpoint(),
            })
            .collect(),
    }
}
