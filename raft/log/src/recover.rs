//! Opens a journal: reads it, cuts a torn tail, and flushes all of it before any position is reported.
//!
//! After a kill, frames that were never flushed are still readable. Whoever reported them as durable would vote with
//! entries that the next power cut takes away; so files and folder are flushed first.

use crate::eras::Eras;
use crate::format::{FrameKind, HEAD_AREA_BYTES, Seed, segment_name};
use crate::load::{How, Loaded, Tail, load};
use crate::log_end::{Current, LogEnd};
use crate::queue::Item;
use crate::read::{Wanted, read_frame};
use crate::segments::Readers;
use crate::space::{Allocator, ReserveFile, Spare};
use crate::state::{Shared, State};
use crate::writer::Writer;
use crate::{Damage, Disk, DiskLock, Hole, Identity, OpenError, Options};
use parking_lot::{Condvar, Mutex};
use raft_api::{LogIndex, ShardId};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use tokio::sync::watch;

/// A torn batch that was cut off: power was lost before it was flushed, and nobody was told that it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    pub file: String,
    pub offset: u64,
    pub bytes: u64,
}

/// What opening found. Everything that is reported is on stable storage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// There was no journal in the folder. Whoever expected one has lost it, and must not vote.
    pub created: bool,
    pub segments: u64,
    /// Entries in all segments, truncated ones included.
    pub entries: u64,
    /// Read to find all this.
    pub read_bytes: u64,
    pub cuts: Vec<Cut>,
    pub damages: Vec<Damage>,
    /// Shards that must stay out of Raft.
    pub holes: Vec<Hole>,
    /// What `save_mark` was told, where it got to the disk.
    pub marks: BTreeMap<ShardId, LogIndex>,
}

pub(crate) const LOCK_NAME: &str = "lock";

pub(crate) fn open(
    disk: Arc<dyn Disk>,
    dir: &Path,
    identity: Identity,
    options: Options,
) -> Result<(Arc<Shared>, Writer, Recovery), OpenError> {
    options.check()?;
    make_folder(&*disk, dir)?;
    let lock = lock(&*disk, dir)?;
    let how = How {
        identity: Some(identity),
        check_bytes: options.check_at_open_bytes,
        keep_rows: false,
    };
    let mut loaded = load(&*disk, dir, &how)?;
    let mut recovery = Recovery {
        created: loaded.identity.is_none(),
        segments: loaded.used.len() as u64,
        entries: loaded.replay.entries,
        read_bytes: loaded.read_bytes,
        cuts: loaded
            .zero
            .iter()
            .map(|zero| Cut {
                file: segment_name(zero.sequence),
                offset: zero.from,
                bytes: zero.to - zero.from,
            })
            .collect(),
        marks: loaded.marks.clone(),
        ..Recovery::default()
    };
    clean_up(&*disk, dir, &mut loaded)?;
    let eras = loaded.eras.clone().unwrap_or(Eras::of(identity));
    let readers = Readers::new(Arc::clone(&disk), dir, eras);
    let single_votes = find_votes(&mut loaded, &readers);
    let (shared, mut writer) = assemble(disk, dir, identity, options, loaded, readers, lock)?;
    finish(&shared, &mut writer, &single_votes, recovery.created)?;
    let state = shared.state.lock();
    recovery.damages.clone_from(&state.damages);
    recovery.holes = state.holes();
    drop(state);
    report(dir, &recovery);
    Ok((shared, writer, recovery))
}

fn make_folder(disk: &dyn Disk, dir: &Path) -> Result<(), OpenError> {
    match disk.list(dir) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            disk.create_dir(dir)
                .map_err(|e| OpenError::io("create", dir, &e))?;
            let parent = dir.parent().unwrap_or(dir);
            disk.flush_dir(parent)
                .map_err(|e| OpenError::io("flush", parent, &e))
        }
        Err(e) => Err(OpenError::io("list", dir, &e)),
    }
}

pub(crate) fn lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn DiskLock>, OpenError> {
    let path = dir.join(LOCK_NAME);
    disk.lock(&path).map_err(|e| match e.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked {
            dir: dir.display().to_string(),
        },
        _ => OpenError::io("lock", &path, &e),
    })
}

/// Removes what was never finished, zeroes what is torn, and flushes everything that a kill may have left unflushed.
fn clean_up(disk: &dyn Disk, dir: &Path, loaded: &mut Loaded) -> Result<(), OpenError> {
    for name in loaded.unfinished.drain(..) {
        let path = dir.join(name);
        disk.remove(&path)
            .map_err(|e| OpenError::io("remove", &path, &e))?;
    }
    let mut to_flush: Vec<u64> = loaded
        .spares
        .iter()
        .map(|(sequence, _)| *sequence)
        .collect();
    // Sealed segments before the last one were flushed before anything was written behind them.
    to_flush.extend(loaded.tail.as_ref().map(|tail| tail.sequence));
    to_flush.extend(loaded.trim.iter().map(|(sequence, _)| *sequence));
    to_flush.sort_unstable();
    to_flush.dedup();
    for sequence in to_flush {
        let path = dir.join(segment_name(sequence));
        let file = disk
            .open(&path)
            .map_err(|e| OpenError::io("open", &path, &e))?;
        let length = file.len().map_err(|e| OpenError::io("length", &path, &e))?;
        for zero in loaded.zero.iter().filter(|zero| zero.sequence == sequence) {
            let zeros = vec![0; zero.to.min(length).saturating_sub(zero.from) as usize];
            file.write_at(zero.from, &zeros)
                .map_err(|e| OpenError::io("write", &path, &e))?;
        }
        for (_, bytes) in loaded
            .trim
            .iter()
            .filter(|(trimmed, _)| *trimmed == sequence)
        {
            file.truncate(*bytes)
                .map_err(|e| OpenError::io("truncate", &path, &e))?;
        }
        file.flush()
            .map_err(|e| OpenError::io("flush", &path, &e))?;
    }
    disk.flush_dir(dir)
        .map_err(|e| OpenError::io("flush", dir, &e))
}

pub(crate) fn find_votes(loaded: &mut Loaded, readers: &Readers) -> Vec<ShardId> {
    loaded.replay.find_votes(|shard, copy| {
        let wanted = Wanted {
            kind: FrameKind::Vote,
            shard,
            term: copy.copy,
            index: copy.number,
        };
        read_frame(readers, copy.spot, wanted).ok()
    })
}

fn assemble(
    disk: Arc<dyn Disk>,
    dir: &Path,
    identity: Identity,
    options: Options,
    loaded: Loaded,
    readers: Readers,
    lock: Box<dyn DiskLock>,
) -> Result<(Arc<Shared>, Writer), OpenError> {
    let mut state = State::new(&options);
    let mut last = BTreeMap::new();
    state.shards = loaded.replay.shards;
    for (id, shard) in &mut state.shards {
        shard.all_is_flushed();
        if let Some(log_id) = shard.last() {
            last.insert(*id, log_id);
        }
    }
    state.lost_everything = loaded.replay.lost_everything;
    let mended = loaded.replay.mended;
    for damage in &mended {
        tracing::info!(%damage, "a frame is rotten, and another one stands in for it");
    }
    state.damages = loaded.replay.damages;
    state.damages.retain(|damage| !mended.contains(damage));
    state.space.next_sequence = loaded.sequence_max + 1;
    let allocator = Allocator::new(Arc::clone(&disk), dir, identity, &options);
    state.space.reserve = keep_reserve(&allocator, loaded.reserve)?;
    state.space.used_segments = loaded.used.len() as u64;
    state.space.used_bytes = loaded.used.iter().map(|(_, bytes, _)| *bytes).sum();
    state.space.sealed.extend(&loaded.sealed);
    let tail_sequence = loaded.tail.as_ref().map_or(0, |tail| tail.sequence);
    // A spare before the tail can't be used in order any more; `clean_up` keeps it, and it stays empty.
    let spares = loaded
        .spares
        .iter()
        .filter(|(sequence, _)| *sequence > tail_sequence);
    state.space.spares = spares
        .map(|(sequence, bytes)| Spare {
            sequence: *sequence,
            capacity: *bytes,
        })
        .collect();
    let unsealed = loaded.tail.as_ref().is_some_and(|tail| !tail.sealed);
    let current = match loaded.tail {
        Some(tail) if !tail.has_footer => {
            state.space.used_bytes = state.space.used_bytes - tail.bytes + tail.end;
            Some(open_tail(
                &*disk,
                dir,
                readers.eras.seed(tail.sequence),
                tail,
            )?)
        }
        _ => None,
    };
    let log = LogEnd {
        current,
        next_batch: loaded.last_batch + 1,
        previous_frames: loaded.last_frames,
        unsealed,
        last,
        marks: loaded.marks,
    };
    let shared = Arc::new(Shared {
        state: Mutex::new(state),
        wake: Condvar::new(),
        #[cfg(any(test, feature = "testing"))]
        news: tokio::sync::Notify::new(),
        expected: AtomicUsize::new(0),
        allocator: Mutex::new(allocator),
        readers,
        options,
        broken_watch: watch::Sender::new(None),
        damages_watch: watch::Sender::new(0),
    });
    let writer = Writer::new(Arc::clone(&shared), log, lock);
    Ok((shared, writer))
}

fn open_tail(disk: &dyn Disk, dir: &Path, seed: Seed, tail: Tail) -> Result<Current, OpenError> {
    let path = dir.join(segment_name(tail.sequence));
    let file = disk
        .open(&path)
        .map_err(|e| OpenError::io("open", &path, &e))?;
    Ok(Current {
        sequence: tail.sequence,
        path,
        file,
        seed,
        capacity: tail.bytes,
        end: tail.end.max(HEAD_AREA_BYTES),
        rows: tail.rows,
        first_batch: tail.first_batch,
        may_get_footer: tail.may_get_footer,
    })
}

/// Files of the reserve that have the right length; others are left over from other options or a crash.
fn keep_reserve(
    allocator: &Allocator,
    found: Vec<(String, u64)>,
) -> Result<Vec<ReserveFile>, OpenError> {
    let sizes = allocator.reserve_sizes();
    let mut kept = Vec::new();
    for (name, bytes) in found {
        let is_wanted = sizes
            .iter()
            .enumerate()
            .any(|(number, size)| crate::space::reserve_name(number) == name && *size == bytes);
        if is_wanted {
            kept.push(ReserveFile { name, bytes });
        } else {
            let path = allocator.dir.join(&name);
            allocator
                .disk
                .remove(&path)
                .map_err(|e| OpenError::io("remove", &path, &e))?;
        }
    }
    Ok(kept)
}

/// Room, votes that have only one sound copy left, and the seal of what was recovered.
fn finish(
    shared: &Shared,
    writer: &mut Writer,
    single_votes: &[ShardId],
    created: bool,
) -> Result<(), OpenError> {
    let has_room = shared.allocate(|state| !state.space.spares.is_empty())?;
    if created && !has_room {
        return Err(OpenError::DiskFull);
    }
    let again: Vec<Item> = {
        let mut state = shared.state.lock();
        let mut again = Vec::new();
        for shard in single_votes {
            let ticket = state.next_ticket();
            let Some(state) = state.shards.get_mut(shard) else {
                continue;
            };
            let Some(vote) = state.vote.clone() else {
                continue;
            };
            state.vote_number += 1;
            again.push(Item::Vote {
                shard: *shard,
                number: state.vote_number,
                copy: 1,
                vote,
                ticket,
            });
        }
        let left = writer.log.current_left(&state);
        state.space.current_left = left;
        again
    };
    writer.save_again(again);
    Ok(writer.write_now()?)
}

fn report(dir: &Path, recovery: &Recovery) {
    for hole in &recovery.holes {
        tracing::error!(dir = %dir.display(), shard = hole.shard.0, damage = %hole.damage, "the journal has a hole");
    }
    for damage in &recovery.damages {
        tracing::warn!(dir = %dir.display(), %damage, "the journal is damaged");
    }
    for cut in &recovery.cuts {
        tracing::info!(
            file = cut.file,
            offset = cut.offset,
            bytes = cut.bytes,
            "cut a batch that was never flushed"
        );
    }
}
