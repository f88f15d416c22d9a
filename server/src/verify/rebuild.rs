//! The views once more, in memory, from the journal alone: first the checkpoints, then the entries behind them.

use super::held::{Base, FrameNumber, Held};
use crate::clock::SystemClock;
use anyhow::{Result, anyhow};
use bytes::Bytes;
use engine_replica::Shard;
use engine_store::MemoryStore;
use raft_api::{Committed, LogId, LogIndex, ShardId, StateMachine};
use raft_log::{EntryKind, Scanned};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Entries folded in one batch.
const BATCH: usize = 256;

/// One shard on its way to `position`.
pub struct Rebuild {
    pub shard: Arc<Shard>,
    position: LogId,
    /// Position and parts of the checkpoint that it begins with.
    checkpoint: Option<(LogId, Vec<FrameNumber>)>,
    parts: Vec<Bytes>,
    next: LogIndex,
    batch: Vec<Committed>,
}

impl Rebuild {
    /// `None`: the journal does not hold what it takes.
    pub fn new(id: ShardId, held: &Held, position: LogId) -> Result<Option<Rebuild>> {
        let Some(base) = held.base(position) else {
            return Ok(None);
        };
        let (checkpoint, next) = match base {
            Base::Start => (None, LogIndex(0)),
            Base::Checkpoint { at, parts } => (Some((at, parts.to_vec())), at.index.next()),
        };
        Ok(Some(Rebuild {
            shard: Shard::open(id, Arc::new(MemoryStore::new()), Arc::new(SystemClock))?,
            position,
            checkpoint,
            parts: Vec::new(),
            next,
            batch: Vec::new(),
        }))
    }

    pub fn wants_parts(&self) -> bool {
        self.checkpoint.is_some()
    }

    /// A checkpoint's part; the last one installs it.
    fn part(&mut self, frame: FrameNumber, payload: Bytes) -> Result<()> {
        let Some((at, frames)) = &self.checkpoint else {
            return Ok(());
        };
        if !frames.contains(&frame) {
            return Ok(());
        }
        self.parts.push(payload);
        if self.parts.len() == frames.len() {
            let parts = std::mem::take(&mut self.parts);
            let installed = self.shard.install(*at, &mut parts.into_iter().map(Ok));
            installed.map_err(|error| anyhow!("the checkpoint at {at}: {error}"))?;
        }
        Ok(())
    }

    fn entry(&mut self, held: &Held, frame: FrameNumber, entry: Committed) {
        let counts = held
            .entry(entry.log_id.index)
            .is_some_and(|kept| kept.frame == frame);
        if counts && entry.log_id.index == self.next && self.next <= self.position.index {
            self.next = self.next.next();
            self.batch.push(entry);
            if self.batch.len() == BATCH {
                self.fold();
            }
        }
    }

    fn fold(&mut self) {
        self.shard.apply(&self.batch);
        self.batch.clear();
    }

    /// Folds what is left. `Some`: it did not come to its position.
    pub fn finish(&mut self) -> Option<String> {
        self.fold();
        if let Some(why) = self.shard.stopped().borrow().as_ref() {
            return Some(why.to_string());
        }
        let reached = self.shard.applied();
        (reached != Some(self.position)).then(|| format!("only {reached:?} was reached"))
    }
}

/// Takes one frame of the scan that brings checkpoints.
pub fn take_part(
    rebuilds: &mut BTreeMap<ShardId, Rebuild>,
    frame: FrameNumber,
    scanned: Scanned,
) -> Result<()> {
    if let Scanned::CheckpointPart { shard, payload, .. } = scanned
        && let Some(rebuild) = rebuilds.get_mut(&shard)
    {
        return rebuild.part(frame, payload);
    }
    Ok(())
}

/// Takes one frame of the scan that brings entries.
pub fn take_entry(
    rebuilds: &mut BTreeMap<ShardId, Rebuild>,
    shards: &BTreeMap<ShardId, Held>,
    frame: FrameNumber,
    scanned: Scanned,
) {
    if let Scanned::Entry {
        shard,
        log_id,
        kind,
        payload,
    } = scanned
        && let (Some(rebuild), Some(held)) = (rebuilds.get_mut(&shard), shards.get(&shard))
    {
        let payload = match kind {
            EntryKind::Normal => payload,
            _ => Bytes::new(),
        };
        rebuild.entry(held, frame, Committed { log_id, payload });
    }
}
