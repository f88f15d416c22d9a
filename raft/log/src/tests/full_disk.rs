//! A full disk shows before anything is written: entries are refused by name, votes, truncations and purges go on.

use super::model::{DIR, close, identity, ignore, observe, open, settle, small};
use crate::faulty_disk::{Chance, FaultyDisk};
use crate::{
    AppendError, CheckpointPart, EntryKind, Journal, NewEntry, OpenError, Options, Writer,
};
use raft_api::{LogId, LogIndex, ShardId};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const SHARD: ShardId = ShardId(1);

fn entry(index: u64) -> NewEntry {
    NewEntry {
        log_id: LogId::new(1, index),
        kind: EntryKind::Normal,
        payload: vec![index as u8; 500].into(),
    }
}

/// Appends until it is refused. Returns the next index.
fn fill(journal: &Journal, writer: &mut Writer, mut index: u64) -> (u64, AppendError) {
    let mut now = Duration::ZERO;
    loop {
        match journal.append(SHARD, vec![entry(index)], ignore()) {
            Ok(()) => index += 1,
            Err(refused) => return (index, refused),
        }
        settle(writer, &mut now);
        assert!(index < 10_000, "the disk never fills up");
    }
}

#[test]
fn entries_are_refused_and_the_rest_goes_on() {
    let disk = FaultyDisk::default();
    let (journal, mut writer, _) = open(&disk);
    disk.set_free_bytes(40 << 10);
    let (next, refused) = fill(&journal, &mut writer, 0);
    assert_eq!(refused, AppendError::DiskFull);
    assert!(journal.stats().disk_full);
    assert!(next > 40, "room that is there is used: {next}");
    assert!(
        journal.broken().borrow().is_none(),
        "a full disk does not poison"
    );

    // More votes than the current segment holds: the reserve takes them.
    let mut now = Duration::ZERO;
    for round in 0..20 {
        let vote = format!("{round:0>120}");
        journal.save_vote(SHARD, vote.into(), ignore()).unwrap();
        settle(&mut writer, &mut now);
    }
    assert!(journal.stats().reserve_bytes == 0, "the reserve is in use");
    journal
        .truncate_after(SHARD, Some(LogId::new(1, next - 10)), ignore())
        .unwrap();
    journal.purge(SHARD, LogId::new(1, 5), ignore()).unwrap();
    settle(&mut writer, &mut now);
    assert!(journal.broken().borrow().is_none());
    // The reserve is not for entries, nor for what comes with a snapshot.
    assert_eq!(
        journal.adopt(SHARD, vec![entry(3)], ignore()),
        Err(AppendError::DiskFull)
    );
    let part = CheckpointPart {
        is_first: true,
        is_last: true,
    };
    let payload = vec![0; 100].into();
    assert_eq!(
        journal.save_checkpoint_part(SHARD, LogId::new(1, 5), part, payload, ignore()),
        Err(AppendError::DiskFull)
    );
    assert_eq!(
        journal.append(SHARD, vec![entry(next - 9)], ignore()),
        Err(AppendError::DiskFull)
    );

    // Room again: the reserve is filled up first, then entries go on.
    disk.set_free_bytes(1 << 20);
    journal
        .append(SHARD, vec![entry(next - 9)], ignore())
        .unwrap();
    settle(&mut writer, &mut now);
    assert_eq!(journal.stats().reserve_bytes, small().reserve_bytes);
    assert!(!journal.stats().disk_full);
    let model = observe(&journal);
    close(journal, writer);
    let (journal, _writer, recovery) = open(&disk);
    assert!(recovery.damages.is_empty());
    assert_eq!(observe(&journal), model);
}

/// A restart on a full disk: it opens, entries are refused, votes are not.
#[test]
fn a_full_disk_can_be_opened() {
    let disk = FaultyDisk::default();
    let (journal, mut writer, _) = open(&disk);
    disk.set_free_bytes(0);
    let (next, _) = fill(&journal, &mut writer, 0);
    let model = observe(&journal);
    close(journal, writer);
    let (journal, mut writer, recovery) = open(&disk);
    assert!(recovery.damages.is_empty());
    assert_eq!(observe(&journal), model);
    let (_, refused) = fill(&journal, &mut writer, next);
    assert_eq!(refused, AppendError::DiskFull);
    journal.save_vote(SHARD, "vote".into(), ignore()).unwrap();
    settle(&mut writer, &mut Duration::default());
    assert!(journal.broken().borrow().is_none());
}

#[test]
fn a_new_journal_needs_room() {
    let disk = FaultyDisk::default();
    disk.set_free_bytes(20 << 10);
    let opened = Journal::open_stepped(
        Arc::new(disk.clone()),
        Path::new("journal"),
        super::model::identity(),
        small(),
    );
    assert_eq!(opened.err(), Some(OpenError::DiskFull));
    // Nothing half made is in the way later.
    disk.set_free_bytes(1 << 20);
    open(&disk);
}

/// SPC-1, with nothing to fall back on: whatever was accepted has room, or the writer would break.
#[test]
fn what_is_accepted_has_room() {
    for seed in 0..40 {
        let mut chance = Chance(seed);
        let disk = FaultyDisk::default();
        let options = Options {
            reserve_bytes: 0,
            ..small()
        };
        let (journal, mut writer, _) = Journal::open_stepped(
            Arc::new(disk.clone()),
            Path::new("journal"),
            super::model::identity(),
            options,
        )
        .unwrap();
        disk.set_free_bytes(chance.below(60 << 10));
        let mut next = [0_u64; 5];
        let mut now = Duration::default();
        let mut refused = 0;
        while refused < 8 {
            let shard = chance.below(5);
            let length = if chance.below(3) == 0 {
                chance.below(4097)
            } else {
                chance.below(200)
            };
            let index = &mut next[shard as usize];
            let payload = vec![7; length as usize].into();
            let entry = NewEntry {
                log_id: LogId::new(1, *index),
                kind: EntryKind::Normal,
                payload,
            };
            // Many small ones in one call: heads and rows of the footer take more room than payloads do.
            let small = NewEntry {
                payload: vec![7; length.min(5) as usize].into(),
                ..entry.clone()
            };
            let smalls = vec![small; chance.below(150) as usize];
            let adopts = chance.below(4) == 0;
            let accepted = match adopts {
                true => journal.adopt(ShardId(shard as u32), smalls, ignore()),
                false => journal.append(ShardId(shard as u32), vec![entry], ignore()),
            };
            match accepted {
                Ok(()) => *index += u64::from(!adopts),
                Err(AppendError::DiskFull) => refused += 1,
                Err(e) => panic!("seed {seed}: {e}"),
            }
            journal.save_mark(ShardId(shard as u32), LogIndex(*index));
            if chance.below(3) == 0 {
                now += Duration::from_millis(chance.below(120));
                writer.step(now);
            }
        }
        settle(&mut writer, &mut now);
        assert_eq!(*journal.broken().borrow(), None, "seed {seed}");
        let model = observe(&journal);
        close(journal, writer);
        let (journal, _writer, recovery) = open(&disk);
        assert!(
            recovery.damages.is_empty() && recovery.cuts.is_empty(),
            "seed {seed}"
        );
        assert_eq!(observe(&journal), model, "seed {seed}");
    }
}

/// Before nothing is left at all: what is set aside for others is not taken.
#[test]
fn a_disk_that_is_nearly_full_counts_as_full() {
    let disk = FaultyDisk::default();
    let options = Options {
        keep_free_bytes: 1 << 20,
        ..small()
    };
    let open = || {
        let disk = Arc::new(disk.clone());
        Journal::open_stepped(disk, Path::new(DIR), identity(), options.clone())
    };
    let (journal, writer, _) = open().unwrap();
    assert!(journal.look_for_room().unwrap() && !journal.is_full());
    disk.set_free_bytes((1 << 20) - 1);
    assert!(!journal.look_for_room().unwrap() && journal.is_full());
    assert!(journal.has_room(1_000).unwrap(), "what it has is its own");
    disk.set_free_bytes(64 << 20);
    assert!(journal.look_for_room().unwrap() && !journal.is_full());
    close(journal, writer);
}
