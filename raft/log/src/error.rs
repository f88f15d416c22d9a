//! What can go wrong, one variant for each thing that a caller can do next.

use crate::Identity;
use raft_api::{LogIndex, ShardId};
use std::io;
use std::path::Path;
use thiserror::Error;

/// Final: the process must stop. Nothing is retried, because after a failed flush nobody knows what the disk holds.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum JournalBroken {
    #[error("the journal is broken: {operation} of {file} failed: {detail}")]
    Io {
        operation: &'static str,
        file: String,
        detail: String,
    },
    #[error("the journal is closed")]
    Closed,
    /// Only reached when accounting of accepted bytes is wrong; stopping is then the only safe answer.
    #[error("the journal is broken: no room for what was accepted")]
    NoRoom,
}

/// Why a change was not accepted. Nothing was written unless it is `Broken`.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AppendError {
    /// Stop the process.
    #[error(transparent)]
    Broken(#[from] JournalBroken),
    /// Refuse new entries upstream; votes, truncations and purges still work. Try again once there is room.
    #[error("the disk is full, so no entry is accepted")]
    DiskFull,
    /// Keep the shard out of Raft until it is repaired.
    #[error("shard {0} has a hole in its log, so it takes no part in Raft")]
    Hole(ShardId),
    /// The caller's fault.
    #[error("shard {shard}: entry {got} does not follow the last one, {expected} would")]
    NotConsecutive {
        shard: ShardId,
        expected: LogIndex,
        got: LogIndex,
    },
    /// The caller's fault.
    #[error("{bytes} bytes are more than a frame holds")]
    TooLarge { bytes: usize },
    /// The caller must bound what it has in flight.
    #[error("too many bytes wait for their flush")]
    QueueFull,
}

/// Why a journal was not opened. Nothing was changed on disk, except for `Io` and `DiskFull`.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OpenError {
    #[error("the journal in {dir} is in use by another process")]
    Locked { dir: String },
    #[error("the journal belongs to another node: {found:?}, not {expected:?}")]
    OtherIdentity {
        found: Box<Identity>,
        expected: Box<Identity>,
    },
    #[error("no segment of {dir} names its owner any more")]
    NoIdentity { dir: String },
    #[error("{file} at {offset} was written by a newer version: {what}")]
    Newer {
        file: String,
        offset: u64,
        what: &'static str,
    },
    #[error("the disk is too full to open the journal")]
    DiskFull,
    #[error("{reason}")]
    Options { reason: &'static str },
    #[error("{operation} of {file} failed: {detail}")]
    Io {
        operation: &'static str,
        file: String,
        detail: String,
    },
}

impl OpenError {
    pub(crate) fn io(operation: &'static str, path: &Path, error: &io::Error) -> OpenError {
        if is_full(error) {
            return OpenError::DiskFull;
        }
        OpenError::Io {
            operation,
            file: path.display().to_string(),
            detail: error.to_string(),
        }
    }
}

impl From<JournalBroken> for OpenError {
    fn from(broken: JournalBroken) -> OpenError {
        match broken {
            JournalBroken::Io {
                operation,
                file,
                detail,
            } => OpenError::Io {
                operation,
                file,
                detail,
            },
            JournalBroken::Closed | JournalBroken::NoRoom => OpenError::DiskFull,
        }
    }
}

impl JournalBroken {
    pub(crate) fn io(operation: &'static str, path: &Path, error: &io::Error) -> JournalBroken {
        JournalBroken::Io {
            operation,
            file: path.display().to_string(),
            detail: error.to_string(),
        }
    }
}

/// Out of space or over the quota of the file system: the only errors that do not poison, and only at preallocation.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
