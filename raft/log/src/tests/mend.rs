//! A byte rots in one frame. What another node has as well is taken back and is there after each later start; what a peer
//! cannot know keeps the shard out.

use super::model::{DIR, close, ignore, open, settle};
use crate::faulty_disk::FaultyDisk;
use crate::{
    AppendError, CheckpointPart, Disk, EntryKind, Journal, MendError, NewEntry, Scanned, Writer,
    scan,
};
use bytes::Bytes;
use raft_api::{Entries, LogId, LogIndex, ShardId};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(super) const SHARD: ShardId = ShardId(1);
pub(super) const OTHER: ShardId = ShardId(2);

pub(super) fn entry(term: u64, index: u64) -> NewEntry {
    NewEntry {
        log_id: LogId::new(term, index),
        kind: [EntryKind::Normal, EntryKind::Membership][usize::from(index == 0)],
        payload: Bytes::from(format!("entry {index} of term {term}")),
    }
}

/// Writes what is queued, in a batch of its own.
pub(super) fn written(writer: &mut Writer) {
    settle(writer, &mut Duration::ZERO.clone());
}

/// Entries 0 to 9 of term 1, one to a batch; a vote; 10 to 12, of which 11 and 12 are truncated and come again in term 2;
/// a purge; an adopted entry; a checkpoint in two parts that was replaced, and the one that replaced it.
pub(super) fn journal(entries_at_once: bool) -> FaultyDisk {
    let disk = FaultyDisk::default();
    let (journal, mut writer, _) = open(&disk);
    if entries_at_once {
        let entries = (0..10).map(|index| entry(1, index)).collect();
        journal.append(SHARD, entries, ignore()).unwrap();
    } else {
        for index in 0..10 {
            let entries = vec![entry(1, index)];
            journal.append(SHARD, entries, ignore()).unwrap();
            written(&mut writer);
        }
    }
    let vote = Bytes::from_static(b"vote");
    journal.save_vote(SHARD, vote, ignore()).unwrap();
    written(&mut writer);
    let tail = (10..13).map(|index| entry(1, index)).collect();
    journal.append(SHARD, tail, ignore()).unwrap();
    written(&mut writer);
    let keep = Some(LogId::new(1, 10));
    journal.truncate_after(SHARD, keep, ignore()).unwrap();
    written(&mut writer);
    journal.append(SHARD, vec![entry(2, 11)], ignore()).unwrap();
    if !entries_at_once {
        written(&mut writer);
    }
    let tail = (12..14).map(|index| entry(2, index)).collect();
    journal.append(SHARD, tail, ignore()).unwrap();
    written(&mut writer);
    journal.purge(SHARD, LogId::new(1, 4), ignore()).unwrap();
    written(&mut writer);
    journal.adopt(SHARD, vec![entry(3, 40)], ignore()).unwrap();
    written(&mut writer);
    for at in [2, 3] {
        for (is_first, is_last) in [(true, false), (false, true)] {
            let part = CheckpointPart { is_first, is_last };
            let payload = Bytes::from(format!("part {is_last} at {at}"));
            let at = LogId::new(1, at);
            let saved = journal.save_checkpoint_part(SHARD, at, part, payload, ignore());
            saved.unwrap();
            written(&mut writer);
        }
    }
    let other = vec![entry(1, 0)];
    journal.append(OTHER, other, ignore()).unwrap();
    written(&mut writer);
    close(journal, writer);
    disk
}

/// Goes on until the first segment is sealed.
pub(super) fn seal_first(disk: &FaultyDisk) {
    let (journal, mut writer, recovery) = open(disk);
    assert!(recovery.damages.is_empty(), "{recovery:?}");
    for index in 1..20 {
        let entries = vec![NewEntry {
            payload: Bytes::from(vec![b'x'; 1500]),
            ..entry(1, index)
        }];
        journal.append(OTHER, entries, ignore()).unwrap();
        written(&mut writer);
    }
    assert!(journal.stats().segments > 1);
    close(journal, writer);
}

pub(super) fn first() -> PathBuf {
    Path::new(DIR).join("0000000000000001.segment")
}

/// Where the frame lies that `is_it` describes, the last one of several.
pub(super) fn find(disk: &FaultyDisk, is_it: impl Fn(&Scanned) -> bool) -> u64 {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut found = None;
    scan(&disk, Path::new(DIR), |file, offset, frame| {
        if is_it(&frame) && first().ends_with(file) {
            found = Some(offset);
        }
    })
    .unwrap();
    found.expect("there is such a frame")
}

fn find_first(disk: &FaultyDisk, is_it: impl Fn(&Scanned) -> bool) -> u64 {
    let found = std::cell::Cell::new(false);
    find(disk, |frame| is_it(frame) && !found.replace(true))
}

pub(super) fn is_entry(log_id: LogId) -> impl Fn(&Scanned) -> bool {
    move |frame| matches!(frame, Scanned::Entry { shard: SHARD, log_id: at, .. } if *at == log_id)
}

fn is_adopted(frame: &Scanned) -> bool {
    matches!(frame, Scanned::Adopted { .. })
}

pub(super) fn is_part(at: u64) -> impl Fn(&Scanned) -> bool {
    move |frame| matches!(frame, Scanned::CheckpointPart { log_id, .. } if log_id.index.0 == at)
}

fn is_vote(frame: &Scanned) -> bool {
    matches!(frame, Scanned::Vote { .. })
}

fn is_truncate(frame: &Scanned) -> bool {
    matches!(frame, Scanned::Truncate { .. })
}

pub(super) fn is_purge(frame: &Scanned) -> bool {
    matches!(frame, Scanned::Purge { .. })
}

/// What becomes of the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    /// Nothing is lost.
    Whole,
    /// These entries are missing, and then no more.
    Mends(&'static [(u64, u64)]),
    /// Nobody else can give it back.
    Out,
}
use Expect::{Mends, Out, Whole};

/// The payload begins 56 bytes behind the head.
pub(super) const PAYLOAD: u64 = 57;
pub(super) const HEAD: u64 = 33;

fn check(sound: &FaultyDisk, is_it: &dyn Fn(&Scanned) -> bool, byte: u64, expect: Expect) {
    check_at(sound, find(sound, is_it), byte, expect);
}

fn check_at(sound: &FaultyDisk, offset: u64, byte: u64, expect: Expect) {
    let disk = sound.fork();
    disk.flip(&first(), offset + byte, 0x10);
    let (journal, mut writer, recovery) = open(&disk);
    let place = format!("byte {byte} of the frame at {offset}: {recovery:?}");
    let missing = journal.missing(SHARD);
    let ids: Vec<(u64, u64)> = missing
        .iter()
        .map(|missing| (missing.log_id.term.0, missing.log_id.index.0))
        .collect();
    assert!(!journal.has_hole(OTHER), "{place}");
    match expect {
        Whole => assert!(!journal.has_hole(SHARD) && ids.is_empty(), "{place}"),
        Out => assert!(journal.has_hole(SHARD) && ids.is_empty(), "{place}"),
        Mends(expect) => {
            assert_eq!(ids, expect, "{place}");
            assert!(journal.has_hole(SHARD), "{place}");
            let refused = journal.append(SHARD, vec![entry(2, 14)], ignore());
            assert_eq!(refused, Err(AppendError::Hole(SHARD)), "{place}");
            mend_all(&journal, &mut writer, expect);
            assert_eq!(journal.damages(), [], "{place}");
        }
    }
    if expect != Out {
        is_whole(&journal, &place);
        go_on(&journal, &mut writer, 14);
    }
    close(journal, writer);
    // It stays as it is: with a cut short log, and once everything is sealed.
    for index in [15, 16] {
        let (journal, mut writer, recovery) = open(&disk);
        let place = format!("again: {place}: {recovery:?}");
        assert_eq!(journal.has_hole(SHARD), expect == Out, "{place}");
        if expect == Out {
            fill(&journal, &mut writer);
        } else {
            is_whole(&journal, &place);
            go_on(&journal, &mut writer, index);
            fill(&journal, &mut writer);
        }
        close(journal, writer);
    }
}

pub(super) fn mend_all(journal: &Journal, writer: &mut Writer, ids: &[(u64, u64)]) {
    for (term, index) in ids {
        let right = entry(*term, *index);
        let later = NewEntry {
            log_id: LogId::new(term + 1, *index),
            ..right.clone()
        };
        let id = later.log_id;
        let refused = journal.mend(SHARD, vec![later], ignore());
        assert_eq!(refused, Err(MendError::NotMissing(id)));
        journal.mend(SHARD, vec![right], ignore()).unwrap();
        assert!(journal.has_hole(SHARD), "nothing counts before the flush");
    }
    written(writer);
    assert_eq!(journal.stats().mended, ids.len() as u64);
}

pub(super) fn is_whole(journal: &Journal, place: &str) {
    assert!(!journal.has_hole(SHARD), "{place}");
    let entries = journal.history(SHARD, 0..14, usize::MAX).unwrap();
    let expect: Vec<NewEntry> = (0..14)
        .map(|index| entry([1, 2][usize::from(index > 10)], index))
        .collect();
    assert_eq!(entries.len(), expect.len(), "{place}");
    for (read, expect) in entries.into_iter().zip(expect) {
        let read = (read.log_id, read.kind, read.payload);
        assert_eq!(
            read,
            (expect.log_id, expect.kind, expect.payload),
            "{place}"
        );
    }
    let log = journal.log_state(SHARD);
    assert_eq!(log.purged, Some(LogId::new(1, 4)), "{place}");
    assert_eq!(
        journal.vote(SHARD).as_deref(),
        Some(&b"vote"[..]),
        "{place}"
    );
    let adopted = journal.payload(SHARD, LogIndex(40));
    assert_eq!(adopted, Ok(entry(3, 40).payload), "{place}");
    let newest = journal.newest_of(EntryKind::Membership, SHARD, LogIndex(13));
    assert_eq!(newest.unwrap().unwrap().log_id, LogId::new(1, 0), "{place}");
    let checkpoint = journal.checkpoint(SHARD).expect(place);
    assert_eq!(checkpoint.log_id, LogId::new(1, 3), "{place}");
    for part in 0..2 {
        let read = journal.checkpoint_part(SHARD, part);
        let text = format!("part {} at 3", part == 1);
        assert_eq!(read, Ok(Bytes::from(text)), "{place}");
    }
}

pub(super) fn go_on(journal: &Journal, writer: &mut Writer, index: u64) {
    journal
        .append(SHARD, vec![entry(2, index)], ignore())
        .unwrap();
    written(writer);
}

fn fill(journal: &Journal, writer: &mut Writer) {
    let next = journal.log_state(OTHER).last.unwrap().index.0 + 1;
    for index in next..next + 20 {
        let payload = Bytes::from(vec![b'y'; 1500]);
        let entries = vec![NewEntry {
            payload,
            ..entry(1, index)
        }];
        journal.append(OTHER, entries, ignore()).unwrap();
        written(writer);
    }
}

/// In the segment that is being written, whose frames only the batches' heads testify to.
#[test]
fn a_byte_of_the_open_segment() {
    for at_once in [false, true] {
        let disk = journal(at_once);
        let old = LogId::new(1, 7);
        check(&disk, &is_entry(old), PAYLOAD, Mends(&[(1, 7)]));
        check(&disk, &is_entry(old), HEAD, Mends(&[(1, 7)]));
        check(
            &disk,
            &is_entry(LogId::new(1, 0)),
            PAYLOAD,
            Mends(&[(1, 0)]),
        );
        // Only the head of a batch of its own says its term.
        let first = [Mends(&[(1, 0)]), Out][usize::from(at_once)];
        check(&disk, &is_entry(LogId::new(1, 0)), HEAD, first);
        check(&disk, &is_entry(LogId::new(2, 12)), HEAD, Mends(&[(2, 12)]));
        check(&disk, &is_entry(LogId::new(2, 13)), HEAD, Mends(&[(2, 13)]));
        let first = [Mends(&[(2, 11)]), Out][usize::from(at_once)];
        check(&disk, &is_entry(LogId::new(2, 11)), HEAD, first);
        check(
            &disk,
            &is_entry(LogId::new(2, 11)),
            PAYLOAD,
            Mends(&[(2, 11)]),
        );
        // It was truncated.
        check(&disk, &is_entry(LogId::new(1, 12)), PAYLOAD, Whole);
        check(&disk, &is_entry(LogId::new(1, 12)), HEAD, Whole);
        check(&disk, &is_adopted, PAYLOAD, Mends(&[(3, 40)]));
        check(&disk, &is_adopted, HEAD, Out);
        check(&disk, &is_part(2), PAYLOAD, Whole);
        check(&disk, &is_part(3), PAYLOAD, Out);
        check(&disk, &is_vote, PAYLOAD, Whole);
        // Each copy knows where the other one must be.
        check(&disk, &is_vote, HEAD, Whole);
        let first_vote = find_first(&disk, is_vote);
        check_at(&disk, first_vote, HEAD, Whole);
        check_at(&disk, first_vote, PAYLOAD, Whole);
        check(&disk, &is_truncate, HEAD, Out);
        check(&disk, &is_purge, HEAD, Out);
    }
}

/// A footer names all frames of a sealed segment.
#[test]
fn a_byte_of_a_sealed_segment() {
    let disk = journal(false);
    seal_first(&disk);
    for byte in [HEAD, PAYLOAD] {
        check(&disk, &is_entry(LogId::new(1, 7)), byte, Mends(&[(1, 7)]));
        check(&disk, &is_entry(LogId::new(1, 0)), byte, Mends(&[(1, 0)]));
        check(&disk, &is_entry(LogId::new(2, 11)), byte, Mends(&[(2, 11)]));
        check(&disk, &is_entry(LogId::new(1, 12)), byte, Whole);
        check(&disk, &is_adopted, byte, Mends(&[(3, 40)]));
        check(&disk, &is_part(2), byte, Whole);
        check(&disk, &is_part(3), byte, Out);
        check(&disk, &is_vote, byte, Whole);
    }
    check(&disk, &is_truncate, HEAD, Whole);
    check(&disk, &is_purge, HEAD, Whole);
}
