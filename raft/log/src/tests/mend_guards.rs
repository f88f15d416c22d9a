//! What mending must not do: take another payload, cut what is committed, count before the flush, forget a vote, take a purge
//! for an entry. And what rots while the journal is open.

use super::mend::{
    HEAD, OTHER, PAYLOAD, SHARD, entry, find, first, go_on, is_entry, is_part, is_purge, is_whole,
    journal, mend_all, seal_first, written,
};
use super::model::{DIR, close, identity, ignore, open, small};
use crate::faulty_disk::FaultyDisk;
use crate::{
    CheckpointPart, Disk, EntryKind, Journal, MendError, NewEntry, Options, Recovery, Scanned,
    Writer, scan,
};
use bytes::Bytes;
use raft_api::LogId;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn rotten(byte: u64) -> (FaultyDisk, Journal, Writer) {
    let disk = journal(false);
    let offset = find(&disk, is_entry(LogId::new(1, 7)));
    disk.flip(&first(), offset + byte, 1);
    let (journal, writer, _) = open(&disk);
    (disk, journal, writer)
}

/// The rotten frame's own head knows its payload's checksum.
#[test]
fn another_payload_under_the_same_log_id_is_refused() {
    let (_disk, journal, writer) = rotten(PAYLOAD);
    let with = |payload: &'static [u8], kind| NewEntry {
        payload: Bytes::from_static(payload),
        kind,
        ..entry(1, 7)
    };
    for wrong in [
        with(b"entry 8 of term 1", EntryKind::Normal),
        with(b"entry 7", EntryKind::Normal),
        with(b"entry 7 of term 1", EntryKind::Blank),
    ] {
        let refused = journal.mend(SHARD, vec![wrong], ignore());
        let is_refused = matches!(refused, Err(MendError::AnotherEntry { .. }));
        assert!(is_refused, "{refused:?}");
    }
    assert!(journal.has_hole(SHARD));
    close(journal, writer);
}

/// The cluster has committed another entry where ours is missing: it goes, and all after it.
#[test]
fn what_was_never_committed_is_cut() {
    let (disk, journal, mut writer) = rotten(PAYLOAD);
    let refuse = |id| {
        let refused = journal.cut_missing(SHARD, id, ignore());
        assert!(refused.is_err(), "{id}");
    };
    // The same entry; those that are not missing, purged or not; one that is not there.
    refuse(LogId::new(1, 7));
    refuse(LogId::new(3, 4));
    refuse(LogId::new(3, 6));
    refuse(LogId::new(3, 99));
    let committed = LogId::new(3, 7);
    journal.cut_missing(SHARD, committed, ignore()).unwrap();
    assert!(journal.has_hole(SHARD), "nothing counts before the flush");
    written(&mut writer);
    assert!(!journal.has_hole(SHARD));
    close(journal, writer);
    let (journal, mut writer, _) = open(&disk);
    assert!(!journal.has_hole(SHARD));
    assert_eq!(journal.log_state(SHARD).last, Some(LogId::new(1, 6)));
    let next = vec![entry(3, 7)];
    journal.append(SHARD, next, ignore()).unwrap();
    written(&mut writer);
    close(journal, writer);
}

/// A crash at any moment while it mends leaves the hole, or the entry.
#[test]
fn power_is_cut_while_it_mends() {
    let mut outcomes = [0, 0];
    for operation in 0.. {
        let (disk, journal, mut writer) = rotten(HEAD);
        disk.cut_power_at(disk.operations() + operation);
        let mend = journal.mend(SHARD, vec![entry(1, 7)], ignore());
        mend.unwrap();
        written(&mut writer);
        let is_mended = !journal.has_hole(SHARD);
        let was_cut = disk.is_off();
        journal.close();
        drop(writer);
        disk.power_on_without_luck();
        let (journal, writer, _) = open(&disk);
        let is_whole = !journal.has_hole(SHARD);
        assert!(is_whole || !is_mended, "it counted before it was flushed");
        outcomes[usize::from(is_whole)] += 1;
        if is_whole {
            let entries = journal.history(SHARD, 7..8, usize::MAX).unwrap();
            assert_eq!(entries[0].payload, entry(1, 7).payload);
        }
        close(journal, writer);
        if !was_cut {
            break;
        }
    }
    assert!(outcomes[0] > 0 && outcomes[1] > 0, "{outcomes:?}");
}

/// What stands in can rot as well.
#[test]
fn the_replacement_rots_too() {
    let (disk, journal, mut writer) = rotten(PAYLOAD);
    mend_all(&journal, &mut writer, &[(1, 7)]);
    close(journal, writer);
    let stand_in = |frame: &Scanned| matches!(frame, Scanned::Adopted { log_id, .. } if *log_id == LogId::new(1, 7));
    disk.flip(&first(), find(&disk, stand_in) + PAYLOAD, 1);
    let (journal, mut writer, _) = open(&disk);
    assert_eq!(journal.missing(SHARD)[0].log_id, LogId::new(1, 7));
    mend_all(&journal, &mut writer, &[(1, 7)]);
    is_whole(&journal, "mended twice");
    close(journal, writer);
    let (journal, writer, _) = open(&disk);
    is_whole(&journal, "after a start");
    close(journal, writer);
}

fn unchecked(disk: &FaultyDisk) -> (Journal, Writer, Recovery) {
    let options = Options {
        check_at_open_bytes: 0,
        ..small()
    };
    Journal::open_stepped(Arc::new(disk.clone()), Path::new(DIR), identity(), options).unwrap()
}

/// Both copies of the newest vote: the older one is no vote, also where only reading them has shown it.
#[test]
fn a_vote_whose_copies_are_gone_is_a_hole() {
    let disk = journal(false);
    let (journal, mut writer, _) = open(&disk);
    let vote = Bytes::from_static(b"newer vote");
    journal.save_vote(SHARD, vote, ignore()).unwrap();
    written(&mut writer);
    close(journal, writer);
    seal_first(&disk);
    let scanned: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut copies = Vec::new();
    scan(&scanned, Path::new(DIR), |file, offset, frame| {
        if matches!(&frame, Scanned::Vote { vote, .. } if vote == "newer vote") {
            copies.push((Path::new(DIR).join(file), offset));
        }
    })
    .unwrap();
    assert_eq!(copies.len(), 2);
    for (path, offset) in &copies {
        disk.flip(path, offset + PAYLOAD, 1);
    }
    for (journal, writer, recovery) in [unchecked(&disk.fork()), open(&disk.fork())] {
        assert!(journal.has_hole(SHARD), "{recovery:?}");
        assert!(journal.missing(SHARD).is_empty());
        assert!(!journal.has_hole(OTHER));
        close(journal, writer);
    }
}

/// While the journal is open, a missing entry keeps nobody from the others.
#[test]
fn the_scrub_finds_what_rots_while_it_runs() {
    let disk = journal(false);
    seal_first(&disk);
    let offset = find(&disk, is_entry(LogId::new(1, 7)));
    let part = find(&disk, is_part(2));
    let (journal, mut writer, _) = open(&disk);
    let mut scrub = journal.scrub().unwrap();
    let mut now = Duration::ZERO;
    let mut pass = |journal: &Journal| {
        let before = journal.stats();
        while journal.stats().scrub_passes == before.scrub_passes {
            now = scrub.step(now);
        }
        let after = journal.stats();
        (
            after.scrubbed_bytes - before.scrubbed_bytes,
            after.scrub_damages - before.scrub_damages,
        )
    };
    let (bytes, damages) = pass(&journal);
    assert_eq!(damages, 0, "{:?}", journal.damages());
    assert!(bytes > 8192, "{bytes}");
    let seen = journal.watch_damages();
    disk.flip(&first(), offset + PAYLOAD, 1);
    disk.flip(&first(), part + HEAD, 1);
    disk.flip(&first(), 100, 1);
    // A batch's head: nothing is lost.
    disk.flip(&first(), 4096 + HEAD, 1);
    assert_eq!(pass(&journal), (bytes, 4), "{:?}", journal.damages());
    assert!(seen.has_changed().unwrap());
    assert_eq!(journal.damages().len(), 4);
    assert_eq!(journal.missing(SHARD)[0].log_id, LogId::new(1, 7));
    assert_eq!(journal.holes().len(), 1);
    assert_eq!(pass(&journal), (bytes, 0), "nothing is news twice");
    let read = journal.history(SHARD, 7..8, usize::MAX);
    assert!(read.is_err(), "{read:?}");
    assert!(journal.history(SHARD, 8..9, usize::MAX).is_ok());
    go_on(&journal, &mut writer, 14);
    mend_all(&journal, &mut writer, &[(1, 7)]);
    is_whole(&journal, "mended while it runs");
    assert_eq!(journal.damages().len(), 3);
    assert_eq!(pass(&journal).1, 0, "what is mended is no news");
    close(journal, writer);
    // A start that reads nothing of it finds the replacement when it meets the rotten frame.
    let (journal, writer, _) = unchecked(&disk);
    is_whole(&journal, "after a start");
    close(journal, writer);
}

/// A purge that replaces the log by a checkpoint looks like an entry to the batch around it.
#[test]
fn a_lost_purge_behind_a_checkpoint_is_not_taken_for_an_entry() {
    for (purged, is_mendable) in [(LogId::new(3, 14), false), (LogId::new(2, 14), true)] {
        let disk = journal(false);
        let (journal, mut writer, _) = open(&disk);
        let part = CheckpointPart {
            is_first: true,
            is_last: true,
        };
        let saved = journal.save_checkpoint_part(SHARD, purged, part, Bytes::new(), ignore());
        saved.unwrap();
        written(&mut writer);
        journal.purge(SHARD, purged, ignore()).unwrap();
        written(&mut writer);
        close(journal, writer);
        let disk = disk.fork();
        disk.flip(&first(), find(&disk, is_purge) + HEAD, 1);
        let (journal, writer, recovery) = open(&disk);
        assert!(journal.has_hole(SHARD), "{recovery:?}");
        // Within a term the entry does as well: whoever had its neighbour and committed it had it.
        let missing = journal.missing(SHARD);
        assert_eq!(missing.len(), usize::from(is_mendable), "{recovery:?}");
        close(journal, writer);
    }
}
