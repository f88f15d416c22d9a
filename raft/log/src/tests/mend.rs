//! A byte rots in one frame. What another node has as well is taken back and is there after each later start; what a peer
//! cannot know keeps the shard out.

use super::model::{DIR, close, identity, ignore, open, settle, small};
use crate::faulty_disk::FaultyDisk;
use crate::{
    AppendError, CheckpointPart, Disk, EntryKind, Journal, MendError, NewEntry, Options, Recovery,
    Scanned, Writer, scan,
};
use bytes::Bytes;
use raft_api::{Entries, LogId, LogIndex, ShardId};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const SHARD: ShardId = ShardId(1);
const OTHER: ShardId = ShardId(2);

fn entry(term: u64, index: u64) -> NewEntry {
    NewEntry {
        log_id: LogId::new(term, index),
        kind: [EntryKind::Normal, EntryKind::Membership][usize::from(index == 0)],
        payload: Bytes::from(format!("entry {index} of term {term}")),
    }
}

/// Writes what is queued, in a batch of its own.
fn written(writer: &mut Writer) {
    settle(writer, &mut Duration::ZERO.clone());
}

/// Entries 0 to 9 of term 1, one to a batch; a vote; 10 to 12, of which 11 and 12 are truncated and come again in term 2;
/// a purge; an adopted entry; a checkpoint in two parts that was replaced, and the one that replaced it.
fn journal(entries_at_once: bool) -> FaultyDisk {
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
    let tail = (11..14).map(|index| entry(2, index)).collect();
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
fn seal_first(disk: &FaultyDisk) {
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

fn first() -> PathBuf {
    Path::new(DIR).join("0000000000000001.segment")
}

/// Where the frame lies that `is_it` describes, the last one of several.
fn find(disk: &FaultyDisk, is_it: impl Fn(&Scanned) -> bool) -> u64 {
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

fn is_entry(log_id: LogId) -> impl Fn(&Scanned) -> bool {
    move |frame| matches!(frame, Scanned::Entry { shard: SHARD, log_id: at, .. } if *at == log_id)
}

fn is_adopted(frame: &Scanned) -> bool {
    matches!(frame, Scanned::Adopted { .. })
}

fn is_part(at: u64) -> impl Fn(&Scanned) -> bool {
    move |frame| matches!(frame, Scanned::CheckpointPart { log_id, .. } if log_id.index.0 == at)
}

fn is_vote(frame: &Scanned) -> bool {
    matches!(frame, Scanned::Vote { .. })
}

fn is_truncate(frame: &Scanned) -> bool {
    matches!(frame, Scanned::Truncate { .. })
}

fn is_purge(frame: &Scanned) -> bool {
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
const PAYLOAD: u64 = 57;
const HEAD: u64 = 33;

fn check(sound: &FaultyDisk, is_it: &dyn Fn(&Scanned) -> bool, byte: u64, expect: Expect) {
    let disk = sound.fork();
    let offset = find(sound, is_it);
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

fn mend_all(journal: &Journal, writer: &mut Writer, ids: &[(u64, u64)]) {
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

fn is_whole(journal: &Journal, place: &str) {
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

fn go_on(journal: &Journal, writer: &mut Writer, index: u64) {
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
        // Before it was nothing: a purge up to it looks the same.
        check(&disk, &is_entry(LogId::new(1, 0)), HEAD, Out);
        check(&disk, &is_entry(LogId::new(2, 12)), HEAD, Mends(&[(2, 12)]));
        check(&disk, &is_entry(LogId::new(2, 13)), HEAD, Mends(&[(2, 13)]));
        // The first of a term: the one before it may be of a tail that was never committed.
        check(&disk, &is_entry(LogId::new(2, 11)), HEAD, Out);
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
        check(&disk, &is_vote, HEAD, Out);
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
