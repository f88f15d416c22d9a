//! What a journal holds of each shard, without the payloads: which frames count, and which entries can be a body.

use engine_replica::holds_body;
use raft_api::{LogId, LogIndex, ShardId};
use raft_log::{CheckpointPart, EntryKind, Scanned};
use std::collections::BTreeMap;

/// Place of a frame in the order in which a scan shows them. The journal is closed: every scan shows the same.
pub type FrameNumber = u64;

#[derive(Clone, Copy)]
pub struct Entry {
    pub log_id: LogId,
    pub frame: FrameNumber,
    holds_body: bool,
}

#[derive(Default)]
pub struct Held {
    /// Raft's log after all truncations, whatever of it was purged.
    log: BTreeMap<LogIndex, Entry>,
    /// True: it can be a body.
    adopted: BTreeMap<LogIndex, bool>,
    /// The newest complete one: position, and its parts without the first, which is not ours.
    pub checkpoint: Option<(LogId, Vec<FrameNumber>)>,
    unfinished: Option<(LogId, Vec<FrameNumber>)>,
}

impl Held {
    /// Where the views at `position` can be rebuilt from: the log's start, or the checkpoint; `None`: neither.
    pub fn base(&self, position: LogId) -> Option<Base<'_>> {
        if self.is_complete(LogIndex(0), position) {
            return Some(Base::Start);
        }
        let (at, parts) = self.checkpoint.as_ref()?;
        let whole = *at == position
            || (at.index < position.index && self.is_complete(at.index.next(), position));
        whole.then_some(Base::Checkpoint { at: *at, parts })
    }

    /// The next start installs the checkpoint.
    pub fn is_behind_checkpoint(&self, position: LogId) -> bool {
        let checkpoint = self.checkpoint.as_ref();
        checkpoint.is_some_and(|(at, _)| position.index < at.index)
    }

    fn is_complete(&self, from: LogIndex, position: LogId) -> bool {
        if from > position.index {
            return false;
        }
        let entries = self.log.range(from..=position.index).count() as u64;
        entries == position.index.0 - from.0 + 1
            && self.entry(position.index).map(|entry| entry.log_id) == Some(position)
    }

    pub fn entry(&self, index: LogIndex) -> Option<Entry> {
        self.log.get(&index).copied()
    }

    /// An adopted entry is what a reference means, whatever the log holds at its index.
    pub fn has_body(&self, index: LogIndex) -> bool {
        let own = || self.log.get(&index).map(|entry| entry.holds_body);
        self.adopted.get(&index).copied().or_else(own) == Some(true)
    }

    fn part(&mut self, log_id: LogId, part: CheckpointPart, frame: FrameNumber) {
        if part.is_first {
            self.unfinished = Some((log_id, Vec::new()));
        } else if let Some((_, parts)) = self.unfinished.as_mut().filter(|(at, _)| *at == log_id) {
            parts.push(frame);
        } else {
            return;
        }
        if part.is_last {
            self.checkpoint = self.unfinished.take();
        }
    }
}

pub enum Base<'h> {
    Start,
    Checkpoint { at: LogId, parts: &'h [FrameNumber] },
}

/// Takes one frame in.
pub fn note(shards: &mut BTreeMap<ShardId, Held>, frame: FrameNumber, scanned: &Scanned) {
    match scanned {
        Scanned::Entry {
            shard,
            log_id,
            kind,
            payload,
        } => {
            let log = &mut shards.entry(*shard).or_default().log;
            // An entry at an index that is taken replaces it and all behind it (Raft §5.3).
            log.split_off(&log_id.index);
            let entry = Entry {
                log_id: *log_id,
                frame,
                holds_body: *kind == EntryKind::Normal && holds_body(payload),
            };
            log.insert(log_id.index, entry);
        }
        Scanned::Truncate {
            shard,
            first_removed,
        } => {
            let held = shards.entry(*shard).or_default();
            held.log.split_off(first_removed);
        }
        Scanned::Adopted {
            shard,
            log_id,
            kind,
            payload,
        } => {
            let can = *kind == EntryKind::Normal && holds_body(payload);
            let held = shards.entry(*shard).or_default();
            held.adopted.insert(log_id.index, can);
        }
        Scanned::CheckpointPart {
            shard,
            log_id,
            part,
            ..
        } => shards
            .entry(*shard)
            .or_default()
            .part(*log_id, *part, frame),
        Scanned::Vote { .. } | Scanned::Purge { .. } => {}
    }
}
