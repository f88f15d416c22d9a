//! One shard's log in memory: where each entry lies, what Raft may still read, what is flushed.
//!
//! LOG-1: entries above `purged` are gapless, all in the last run, and end with `last`.
//! LOG-2: `flushed` is the last index of the gapless start of the log whose places are on stable storage.
//! LOG-3: a purge forgets no place: payloads stay readable.
//! LOG-4: indexes in runs rise, and runs do not overlap.

use crate::kept::Kept;
use crate::mend::Missing;
use crate::place::{Place, Spot};
use crate::{EntryKind, Hole};
use bytes::Bytes;
use raft_api::{LogId, LogIndex};
use std::collections::VecDeque;
use tokio::sync::watch;

/// What Raft's log of one shard looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardLog {
    /// The last entry that is no longer part of Raft's log.
    pub purged: Option<LogId>,
    /// The first entry of Raft's log; `None` if it is empty.
    pub first: Option<LogIndex>,
    /// The last entry, or `purged` if there is none after it. Readable, not necessarily flushed.
    pub last: Option<LogId>,
    /// What `save_mark` was last told, as far as it got to the disk: a lower bound, a hint.
    pub mark: Option<LogIndex>,
}

/// Consecutive indexes. A new run begins where a snapshot has replaced entries that never came.
struct Run {
    first: u64,
    places: VecDeque<Place>,
}

impl Run {
    fn end(&self) -> u64 {
        self.first + self.places.len() as u64
    }
}

pub(crate) struct ShardState {
    runs: Vec<Run>,
    purged: Option<LogId>,
    last: Option<LogId>,
    flushed: Option<LogId>,
    flushed_watch: watch::Sender<Option<LogIndex>>,
    pub mark: Option<LogIndex>,
    /// The mark is newer than what the last batch or seal said.
    pub mark_is_dirty: bool,
    pub vote: Option<Bytes>,
    /// Rises with each vote that is saved; the newest number wins at recovery.
    pub vote_number: u64,
    /// More is lost than other nodes' entries could mend.
    pub hole: Option<Hole>,
    pub missing: Missing,
    pub kept: Kept,
}

impl Default for ShardState {
    fn default() -> ShardState {
        ShardState {
            runs: Vec::new(),
            purged: None,
            last: None,
            flushed: None,
            flushed_watch: watch::Sender::new(None),
            mark: None,
            mark_is_dirty: false,
            vote: None,
            vote_number: 0,
            hole: None,
            missing: Missing::default(),
            kept: Kept::default(),
        }
    }
}

impl ShardState {
    pub fn log(&self) -> ShardLog {
        let first = self.first();
        ShardLog {
            purged: self.purged,
            first: self.last.filter(|last| last.index >= first).map(|_| first),
            last: self.last,
            mark: self.mark,
        }
    }

    /// Nothing was ever written for it: somebody only asked.
    pub fn is_empty(&self) -> bool {
        self.last.is_none()
            && self.vote.is_none()
            && self.hole.is_none()
            && self.missing.is_empty()
            && self.runs.is_empty()
            && self.kept.is_empty()
    }

    pub fn last(&self) -> Option<LogId> {
        self.last
    }

    pub fn flushed(&self) -> Option<LogId> {
        self.flushed
    }

    pub fn watch_flushed(&self) -> watch::Receiver<Option<LogIndex>> {
        self.flushed_watch.subscribe()
    }

    /// The first index that Raft may read: after the purged ones, or where the log began.
    fn first(&self) -> LogIndex {
        match (self.purged, self.runs.first()) {
            (Some(purged), _) => purged.index.next(),
            (None, Some(run)) => LogIndex(run.first),
            (None, None) => LogIndex(0),
        }
    }

    /// The index that an append must begin with; `None`: an empty log begins wherever it is told to.
    pub fn expected(&self) -> Option<LogIndex> {
        self.last.map(|last| last.index.next())
    }

    /// `log_id` must follow `last`; the caller has checked it.
    pub fn push(&mut self, log_id: LogId, place: Place) {
        let index = log_id.index.0;
        match self.runs.last_mut() {
            Some(run) if run.end() == index => run.places.push_back(place),
            _ => self.runs.push(Run {
                first: index,
                places: VecDeque::from([place]),
            }),
        }
        self.last = Some(log_id);
    }

    /// Removes entries above `after`, never purged ones. Returns the first index removed, if any was.
    pub fn truncate_after(&mut self, after: Option<LogIndex>) -> Option<LogIndex> {
        let keep_below = after
            .map_or(0, |after| after.0 + 1)
            .max(self.purged.map_or(0, |purged| purged.index.0 + 1));
        self.last.filter(|last| last.index.0 >= keep_below)?;
        let removed = LogIndex(keep_below.max(self.first().0));
        while let Some(run) = self.runs.last_mut() {
            if run.end() <= keep_below {
                break;
            }
            run.places
                .truncate(keep_below.saturating_sub(run.first) as usize);
            if run.places.is_empty() {
                self.runs.pop();
            }
        }
        self.last = self.last_below(keep_below);
        if self
            .flushed
            .is_some_and(|flushed| flushed.index.0 >= keep_below)
        {
            self.set_flushed(self.last);
        }
        Some(removed)
    }

    fn last_below(&self, index: u64) -> Option<LogId> {
        if let Some(purged) = self.purged
            && purged.index.0 + 1 >= index
        {
            return Some(purged);
        }
        let before = LogIndex(index.checked_sub(1)?);
        let place = self.place(before)?;
        Some(LogId {
            term: place.term(),
            index: before,
        })
    }

    /// Moves the start of Raft's log to after `upto`. Returns false if it was there already.
    pub fn purge(&mut self, upto: LogId) -> bool {
        if self.purged.is_some_and(|purged| purged.index >= upto.index) {
            return false;
        }
        self.purged = Some(upto);
        if self.last.is_none_or(|last| last.index < upto.index) {
            self.last = Some(upto);
        }
        true
    }

    pub fn place(&self, index: LogIndex) -> Option<Place> {
        let run = self.runs.iter().rev().find(|run| run.first <= index.0)?;
        run.places.get((index.0 - run.first) as usize).copied()
    }

    /// Moves an entry that is there.
    pub fn set_place(&mut self, index: LogIndex, place: Place) {
        let mut runs = self.runs.iter_mut().rev();
        let run = runs.find(|run| run.first <= index.0);
        let at = run.and_then(|run| run.places.get_mut((index.0 - run.first) as usize));
        if let Some(at) = at {
            *at = place;
        }
    }

    /// Raft's entries in `range`, clamped to what there is: their first index and the one after their last.
    pub fn clamp(&self, range: std::ops::Range<u64>) -> std::ops::Range<u64> {
        let end = self.last.map_or(0, |last| last.index.0 + 1).min(range.end);
        let start = range.start.max(self.first().0);
        start..end.max(start)
    }

    /// The first entry in `range` that is here, purged or not, and those that follow it without a gap.
    pub fn clamp_history(&self, range: std::ops::Range<u64>) -> std::ops::Range<u64> {
        let run = self.runs.iter().find(|run| run.end() > range.start);
        let start = run.map_or(range.start, |run| run.first.max(range.start));
        let end = run.map_or(start, |run| run.end().min(range.end));
        start..end.max(start)
    }

    /// The index of the newest entry of `kind` at or below `upto`.
    pub fn newest_of(&self, kind: EntryKind, upto: LogIndex) -> Option<LogIndex> {
        self.runs.iter().rev().find_map(|run| {
            let count = upto.0.checked_sub(run.first)?.saturating_add(1);
            let mut places = run.places.iter().take(count as usize);
            let at = places.rposition(|place| place.kind() == kind as u8)?;
            Some(LogIndex(run.first + at as u64))
        })
    }

    /// The frame of `ticket` is flushed. Nothing happens if the entry was truncated in the meantime (and perhaps
    /// appended again): its place then waits for another ticket.
    pub fn complete_entry(&mut self, log_id: LogId, kind: u8, ticket: u64, spot: Spot) {
        let index = log_id.index.0;
        let Some(run) = self.runs.iter_mut().rev().find(|run| run.first <= index) else {
            return;
        };
        let Some(place) = run.places.get_mut((index - run.first) as usize) else {
            return;
        };
        if place.ticket() != Some(ticket) {
            return;
        }
        *place = Place::flushed(log_id.term, kind, spot);
        self.raise_flushed(log_id);
    }

    pub fn complete_purge(&mut self, upto: LogId) {
        self.raise_flushed(upto);
    }

    fn raise_flushed(&mut self, log_id: LogId) {
        if self
            .flushed
            .is_none_or(|flushed| flushed.index < log_id.index)
        {
            self.set_flushed(Some(log_id));
        }
    }

    fn set_flushed(&mut self, flushed: Option<LogId>) {
        self.flushed = flushed;
        self.flushed_watch
            .send_replace(flushed.map(|log_id| log_id.index));
    }

    /// After recovery, when files and folder are flushed: everything there is is durable.
    pub fn all_is_flushed(&mut self) {
        self.set_flushed(self.last);
    }

    /// While replaying damaged segments: makes room for `index`, whatever was there before. True if it did not follow.
    pub fn make_follow(&mut self, index: LogIndex) -> bool {
        match self.expected() {
            Some(expected) if expected != index => {
                if index < expected {
                    self.purged = self.purged.filter(|purged| purged.index < index);
                    self.truncate_after(index.0.checked_sub(1).map(LogIndex));
                }
                true
            }
            _ => false,
        }
    }
}
