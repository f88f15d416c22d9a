//! Room on the disk: what is allocated, what is promised, and the reserve.
//!
//! SPC-1: an entry is accepted only if its frame fits in room that is allocated already.
//! SPC-2: entries are never accepted on the strength of the reserve.

use crate::format::{BatchHead, HEAD_AREA_BYTES, SegmentHead, frame_bytes, segment_name};
use crate::{Disk, Identity, JournalBroken, Options, error, limits};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A segment with a head and no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spare {
    pub sequence: u64,
    pub capacity: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReserveFile {
    pub name: String,
    pub bytes: u64,
}

/// The books. Guarded by the state's lock; files are made under the allocator's.
#[derive(Debug, Default)]
pub(crate) struct Space {
    pub spares: VecDeque<Spare>,
    pub reserve: Vec<ReserveFile>,
    /// Room in the current segment; 0 for entries while it is one of the reserve's.
    pub current_left: u64,
    pub current_is_reserve: bool,
    pub next_sequence: u64,
    /// What all that is queued may take.
    pub queued: u64,
    /// The largest of it: what may be left over at the end of a segment.
    pub largest: u64,
    /// The last try to allocate failed for want of room.
    pub full: bool,
    /// Segments that have a footer.
    pub sealed: std::collections::BTreeSet<u64>,
    /// Of segments with frames.
    pub used_bytes: u64,
    pub used_segments: u64,
}

/// What must stay free at the end of a segment beside frames: seals, and heads of batches that carry marks.
pub(crate) fn slack(segment_bytes: u64, shards: usize) -> u64 {
    let seal = frame_bytes(BatchHead::payload_bytes(shards));
    (segment_bytes / 32).min(64 << 10) + 4 * seal
}

/// The most that a frame can take: itself, its row in the footer, and a batch head of its own.
pub(crate) fn cost(payload: usize, shards: usize) -> u64 {
    frame_bytes(payload) + 32 + frame_bytes(BatchHead::payload_bytes(shards + 1))
}

impl Space {
    /// Room for entries that is not promised yet.
    pub fn room(&self, slack: u64, largest: u64) -> u64 {
        let current = if self.current_is_reserve {
            0
        } else {
            self.current_left.saturating_sub(slack + largest)
        };
        let spares: u64 = self
            .spares
            .iter()
            .map(|spare| {
                spare
                    .capacity
                    .saturating_sub(HEAD_AREA_BYTES + slack + largest)
            })
            .sum();
        (current + spares).saturating_sub(self.queued)
    }

    pub fn can_promise(&self, bytes: u64, largest: u64, slack: u64) -> bool {
        self.room(slack, largest.max(self.largest)) >= bytes
    }

    pub fn promise(&mut self, bytes: u64, largest: u64) {
        self.queued += bytes;
        self.largest = self.largest.max(largest);
    }

    pub fn settle(&mut self, bytes: u64) {
        self.queued = self.queued.saturating_sub(bytes);
        if self.queued == 0 {
            self.largest = 0;
        }
    }
}

/// Makes files. Its lock is held while it does, so that appenders and the writer do not allocate side by side.
pub(crate) struct Allocator {
    pub disk: Arc<dyn Disk>,
    pub dir: PathBuf,
    pub identity: Identity,
    pub segment_bytes: u64,
    pub reserve_bytes: u64,
    pub keep_free_bytes: u64,
}

/// `None`: the disk is full; nothing is left behind.
type Made<T> = Result<Option<T>, JournalBroken>;

impl Allocator {
    pub fn new(
        disk: Arc<dyn Disk>,
        dir: &Path,
        identity: Identity,
        options: &Options,
    ) -> Allocator {
        Allocator {
            disk,
            dir: dir.to_path_buf(),
            identity,
            segment_bytes: options.segment_bytes,
            reserve_bytes: options.reserve_bytes,
            keep_free_bytes: options.keep_free_bytes,
        }
    }

    /// Whether the file system has less left than is to be left to others. Where it cannot be asked, allocation tells.
    pub fn is_low(&self) -> bool {
        let free = self.disk.free_bytes(&self.dir);
        free.is_ok_and(|free| free < self.keep_free_bytes)
    }

    /// Sizes of the reserve's files, each of which can become a segment.
    pub fn reserve_sizes(&self) -> Vec<u64> {
        let mut left = self.reserve_bytes;
        let mut sizes = Vec::new();
        while left > 0 {
            let bytes = left.min(self.segment_bytes);
            sizes.push(bytes.max(limits::MIN_SEGMENT_BYTES));
            left -= bytes;
        }
        sizes
    }

    pub fn make_spare(&self, sequence: u64) -> Made<Spare> {
        let path = self.dir.join(segment_name(sequence));
        if !self.preallocate(&path, self.segment_bytes)? {
            return Ok(None);
        }
        self.write_head(&path, sequence, self.segment_bytes)?;
        Ok(Some(Spare {
            sequence,
            capacity: self.segment_bytes,
        }))
    }

    pub fn make_reserve(&self, number: usize, bytes: u64) -> Made<ReserveFile> {
        let name = reserve_name(number);
        let path = self.dir.join(&name);
        if !self.preallocate(&path, bytes)? {
            return Ok(None);
        }
        let file = self
            .disk
            .open(&path)
            .map_err(|e| JournalBroken::io("open", &path, &e))?;
        file.flush()
            .map_err(|e| JournalBroken::io("flush", &path, &e))?;
        self.flush_dir()?;
        Ok(Some(ReserveFile { name, bytes }))
    }

    /// Turns a file of the reserve into a segment. Takes no room: this is what the reserve is for.
    pub fn reserve_to_spare(
        &self,
        reserve: &ReserveFile,
        sequence: u64,
    ) -> Result<Spare, JournalBroken> {
        let from = self.dir.join(&reserve.name);
        let path = self.dir.join(segment_name(sequence));
        self.disk
            .rename(&from, &path)
            .map_err(|e| JournalBroken::io("rename", &from, &e))?;
        self.write_head(&path, sequence, reserve.bytes)?;
        Ok(Spare {
            sequence,
            capacity: reserve.bytes,
        })
    }

    /// False if the disk is full.
    fn preallocate(&self, path: &Path, bytes: u64) -> Result<bool, JournalBroken> {
        let file = match self.disk.create(path) {
            Ok(file) => file,
            Err(e) if error::is_full(&e) => return Ok(false),
            Err(e) => return Err(JournalBroken::io("create", path, &e)),
        };
        match file.preallocate(bytes) {
            Ok(()) => Ok(true),
            Err(e) if error::is_full(&e) => {
                drop(file);
                self.disk
                    .remove(path)
                    .map_err(|e| JournalBroken::io("remove", path, &e))?;
                Ok(false)
            }
            Err(e) => Err(JournalBroken::io("preallocate", path, &e)),
        }
    }

    fn write_head(&self, path: &Path, sequence: u64, capacity: u64) -> Result<(), JournalBroken> {
        let file = self
            .disk
            .open(path)
            .map_err(|e| JournalBroken::io("open", path, &e))?;
        let head = SegmentHead {
            identity: self.identity,
            sequence,
            capacity,
        };
        file.write_at(0, &head.encode())
            .map_err(|e| JournalBroken::io("write", path, &e))?;
        file.flush()
            .map_err(|e| JournalBroken::io("flush", path, &e))?;
        self.flush_dir()
    }

    pub fn flush_dir(&self) -> Result<(), JournalBroken> {
        self.disk
            .flush_dir(&self.dir)
            .map_err(|e| JournalBroken::io("flush", &self.dir, &e))
    }
}

pub(crate) fn reserve_name(number: usize) -> String {
    format!("reserve-{number:02}")
}

pub(crate) fn is_reserve_name(name: &str) -> bool {
    name.strip_prefix("reserve-")
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}
