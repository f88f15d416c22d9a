//! The two sides of a Raft group: what the engine asks of it (`Group`), what it asks of the engine
//! (`StateMachine`), and how entries are read back (`Entries`).

use crate::{GroupStatus, LogId, LogIndex, NodeId, ShardId, SiteName};
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::watch;

/// What a proposal led to: the entry is committed, durable as promise P1 asks, and folded on the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposed {
    pub log_id: LogId,
    /// What the leader's `StateMachine::apply` returned for the entry.
    pub outcome: Bytes,
    /// Sites that had the entry on stable storage when it was acknowledged, ascending.
    pub sites: Vec<SiteName>,
}

/// Why a proposal has no outcome. The first three are true refusals: nothing was written.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ProposeError {
    #[error("not the leader; the leader is {leader:?}")]
    NotLeader { leader: Option<NodeId> },
    #[error("a second site cannot be reached, so nothing was written")]
    SiteGateClosed,
    #[error("the shard has no leader that can be reached, so nothing was written")]
    NoQuorum,
    #[error("refused before proposing: {0}")]
    Refused(#[from] Refused),
    /// The entry may or may not come to be. Repeat only with the same command id.
    #[error("proposed, but its outcome is unknown")]
    Unknown,
}

/// A state machine's own refusal at the door, before anything is written.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refused {
    #[error("too many bytes are proposed and not yet folded; try again")]
    TooBusy,
    #[error("the disk is too full to take changes")]
    DiskFull,
    #[error("the leader's clock is too far from the others'")]
    ClockSkew,
    #[error("the payload is not a command that this version can propose")]
    Malformed,
}

/// A position up to which a read must wait, and whether it is known to be the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadMark {
    /// Nothing acknowledged before the read began lies above it. `None`: the log has no entry yet.
    pub index: Option<LogIndex>,
}

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ReadError {
    /// No leader with a live majority answered: local data may be old, and must be marked as such.
    #[error("leadership cannot be confirmed")]
    NoQuorum,
    /// A new leader whose mark does not yet cover its own first entry.
    #[error("the new leader cannot yet prove that its copy is the newest")]
    NotYet,
}

/// One shard's Raft group as the engine sees it, on whichever node. Calls on a follower go to the leader.
#[async_trait]
pub trait Group: Send + Sync + 'static {
    fn shard(&self) -> ShardId;

    /// Proposes `command`, whose bytes `StateMachine::admit` on the leader turns into the entry's payload.
    /// Resolves once the leader has folded it. Does not retry: the caller does, with the same command id.
    async fn propose(&self, command: Bytes) -> Result<Proposed, ProposeError>;

    /// Confirms leadership (Raft §6.4) and returns the mark, wherever the leader is.
    /// The caller then waits until its own `folded()` has reached it.
    async fn read_mark(&self) -> Result<ReadMark, ReadError>;

    /// The last index that this node's state machine has folded. Rises only.
    fn folded(&self) -> watch::Receiver<Option<LogIndex>>;

    /// What this node knows of the group at this moment. Cheap: no I/O.
    fn status(&self) -> GroupStatus;
}

/// An entry that is committed and at or below the mark: it may be shown.
#[derive(Clone, Debug)]
pub struct Committed {
    pub log_id: LogId,
    /// Empty for entries that are consensus' own (blank or membership): they move the position only.
    pub payload: Bytes,
}

/// What the engine does with agreed entries. One per shard. All methods are called from one task at a time.
pub trait StateMachine: Send + Sync + 'static {
    /// The last entry whose effects the views hold, as they would be found after a crash. Read once, at start.
    fn applied(&self) -> Option<LogId>;

    /// On the leader, before proposing: checks bounds, stamps the leader's time. `None` refuses nothing.
    fn admit(&self, command: Bytes) -> Result<Bytes, Refused>;

    /// Folds entries in order, gapless, and returns one outcome each. Deterministic in the entries alone.
    /// The change of the views and of the applied position is one atomic batch.
    fn apply(&self, entries: &[Committed]) -> Vec<Bytes>;

    /// Everything up to this index may leave Raft's log: the views hold it on stable storage.
    fn flushed(&self) -> Option<LogIndex>;

    /// Puts on stable storage what is folded now, so that `flushed` says so. Blocking.
    fn flush(&self) -> Result<(), EntriesError>;

    /// The whole state at the applied position of this moment.
    fn snapshot(&self) -> Result<Arc<dyn SnapshotSource>, EntriesError>;

    /// Replaces the state by that of `parts`, in the order in which a `SnapshotSource` gave them; on return it is on
    /// stable storage. After a crash in the middle, `applied` is `None`, and the caller installs again.
    fn install(
        &self,
        log_id: LogId,
        parts: &mut dyn Iterator<Item = Result<Bytes, EntriesError>>,
    ) -> Result<(), EntriesError>;
}

/// A shard's state at one position. It stands still while this lives, and is read part by part.
pub trait SnapshotSource: Send + Sync + 'static {
    fn log_id(&self) -> LogId;

    /// The part that begins at `cursor`, which is empty for the first part. Blocking. About `bytes_max` at most,
    /// unless a single row is larger.
    fn part(&self, cursor: &[u8], bytes_max: usize) -> Result<SnapshotPart, EntriesError>;
}

/// A piece of a snapshot: opaque bytes that tell whether they are sound.
#[derive(Clone, Debug)]
pub struct SnapshotPart {
    pub bytes: Bytes,
    /// The entries whose payloads this part's rows name (bodies): whoever installs it must hold them. Ascending.
    pub needs: Vec<LogIndex>,
    /// Where the next part begins; `None`: this is the last one.
    pub next: Option<Bytes>,
}

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EntriesError {
    #[error("shard {shard} has no entry {index} here")]
    Missing { shard: ShardId, index: LogIndex },
    #[error("the frame of shard {shard}, entry {index} is damaged: {detail}")]
    Damaged {
        shard: ShardId,
        index: LogIndex,
        detail: &'static str,
    },
    #[error("reading shard {shard} failed: {detail}")]
    Io { shard: ShardId, detail: String },
}

/// Entries by log index, for those who hold references into them (bodies).
/// Blocking; an entry of a few hundred KiB at most (large bodies are chunked).
pub trait Entries: Send + Sync + 'static {
    /// The payload as it was agreed, also after Raft has purged the position from its log.
    fn payload(&self, shard: ShardId, index: LogIndex) -> Result<Bytes, EntriesError>;
}

/// What a node answers to peers' engine-level questions (`ask` in `raft-node`): health, sessions, traces.
#[async_trait]
pub trait Inbound: Send + Sync + 'static {
    async fn ask(&self, from: NodeId, question: Bytes) -> Bytes;
}
