//! What callers hand over, and how it waits for the writer.

use crate::{CheckpointPart, JournalBroken};
use bytes::Bytes;
use raft_api::{LogId, LogIndex, ShardId};

/// Whose the entry is: the caller's, or consensus' own. Kept with the entry; the journal does not look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EntryKind {
    Blank = 0,
    Normal = 1,
    Membership = 2,
    /// How many sites an acknowledgement stands for.
    Mode = 3,
}

impl EntryKind {
    pub(crate) fn from_code(code: u8) -> Option<EntryKind> {
        use EntryKind::{Blank, Membership, Mode, Normal};
        [Blank, Normal, Membership, Mode]
            .into_iter()
            .find(|kind| *kind as u8 == code)
    }
}

/// An entry to be appended. Its index follows the shard's last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    pub log_id: LogId,
    pub kind: EntryKind,
    pub payload: Bytes,
}

/// Called once, on the writer's thread: after the flush, or with the error that stops the journal. In the order of
/// the calls, over all shards. It must not block and must not call `Journal::close`.
pub type FlushDone = Box<dyn FnOnce(Result<(), JournalBroken>) + Send>;

/// One frame to be written, or nothing but a place in the order of completions.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Entry {
        shard: ShardId,
        entry: NewEntry,
        ticket: u64,
    },
    /// Written twice, in two batches; `ticket` joins the second copy to its completion.
    Vote {
        shard: ShardId,
        number: u64,
        copy: u8,
        vote: Bytes,
        ticket: u64,
    },
    /// Entries from `first_removed` on are gone; `last` is what the shard's log then ends with.
    Truncate {
        shard: ShardId,
        first_removed: LogIndex,
        last: Option<LogId>,
    },
    /// Raft's log begins after `upto`; `last` is what it then ends with.
    Purge {
        shard: ShardId,
        upto: LogId,
        last: LogId,
    },
    /// A committed entry of another node's log, which something here refers to.
    Adopted {
        shard: ShardId,
        entry: NewEntry,
    },
    /// A part of the shard's state at `log_id`.
    Part {
        shard: ShardId,
        log_id: LogId,
        part: CheckpointPart,
        payload: Bytes,
    },
    Nothing,
}

pub(crate) struct Queued {
    pub item: Item,
    pub done: Option<FlushDone>,
}

impl Item {
    pub fn shard(&self) -> Option<ShardId> {
        match self {
            Item::Entry { shard, .. }
            | Item::Vote { shard, .. }
            | Item::Truncate { shard, .. }
            | Item::Purge { shard, .. }
            | Item::Adopted { shard, .. }
            | Item::Part { shard, .. } => Some(*shard),
            Item::Nothing => None,
        }
    }

    pub fn payload(&self) -> &[u8] {
        match self {
            Item::Entry { entry, .. } | Item::Adopted { entry, .. } => &entry.payload,
            Item::Part { payload, .. } => payload,
            Item::Vote { vote, .. } => vote,
            Item::Truncate { .. } | Item::Purge { .. } | Item::Nothing => &[],
        }
    }
}
