//! What comes with a snapshot: adopted entries and checkpoints, and what is read of purged entries.

use super::model::{DIR, close, ignore, open, settle};
use crate::faulty_disk::FaultyDisk;
use crate::{
    AppendError, Checkpoint, CheckpointPart, Disk, EntryKind, Journal, Meaning, NewEntry, Scanned,
    Writer, scan,
};
use raft_api::{Entries, EntriesError, LogId, LogIndex, ShardId};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const SHARD: ShardId = ShardId(3);

fn entry(kind: EntryKind, term: u64, index: u64) -> NewEntry {
    NewEntry {
        log_id: LogId::new(term, index),
        kind,
        payload: format!("entry {index} of term {term}").into(),
    }
}

fn normal(term: u64, range: std::ops::Range<u64>) -> Vec<NewEntry> {
    range
        .map(|index| entry(EntryKind::Normal, term, index))
        .collect()
}

fn flush(writer: &mut Writer) {
    settle(writer, &mut Duration::default());
}

/// One letter a part: `<` the first, `>` the last, `-` one between, `=` the only one.
fn save(journal: &Journal, index: u64, parts: &str) {
    for letter in parts.chars() {
        let part = CheckpointPart {
            is_first: "<=".contains(letter),
            is_last: ">=".contains(letter),
        };
        let payload = format!("{letter} at {index}").into();
        journal
            .save_checkpoint_part(SHARD, LogId::new(2, index), part, payload, ignore())
            .unwrap();
    }
}

/// The newest checkpoint as `position:parts`.
fn saved(journal: &Journal) -> String {
    let Some(Checkpoint { log_id, parts }) = journal.checkpoint(SHARD) else {
        return "none".to_string();
    };
    let letter = |part| {
        let part = journal.checkpoint_part(SHARD, part).unwrap();
        assert!(part.ends_with(format!(" at {}", log_id.index.0).as_bytes()));
        char::from(part[0])
    };
    let letters: String = (0..parts).map(letter).collect();
    format!("{}:{letters}", log_id.index.0)
}

/// Steps of `position:parts`, each flushed, and what is there in the end: before and after opening again.
fn check(steps: &str, expect: &str) {
    let disk = FaultyDisk::default();
    let (journal, mut writer, _) = open(&disk);
    for step in steps.split_whitespace() {
        let (index, parts) = step.split_once(':').unwrap();
        save(&journal, index.parse().unwrap(), parts);
        flush(&mut writer);
    }
    assert_eq!(saved(&journal), expect, "{steps}");
    close(journal, writer);
    let (journal, _writer, recovery) = open(&disk);
    assert!(recovery.holes.is_empty() && recovery.damages.is_empty());
    assert_eq!(saved(&journal), expect, "{steps}, opened again");
}

#[test]
fn the_newest_complete_checkpoint_counts() {
    for (steps, expect) in [
        ("5:=", "5:="),
        ("5:<->", "5:<->"),
        ("5:<-", "none"),
        // The older one stays until the newer one is complete.
        ("5:<> 9:<-", "5:<>"),
        ("5:<> 9:<- 9:>", "9:<->"),
        // A first part drops what was begun before, at whatever position.
        ("9:<--- 9:<>", "9:<>"),
        ("9:<-- 5:=", "5:="),
        // Parts that nothing was begun for, or something else.
        ("9:->", "none"),
        ("5:< 9:->", "none"),
        ("5:< 9:- 5:>", "5:<>"),
        ("5:<> 5:>", "5:<>"),
        // Complete last counts, not the highest position.
        ("9:= 5:=", "5:="),
    ] {
        check(steps, expect);
    }
}

#[test]
fn a_checkpoint_shows_once_it_is_flushed() {
    let disk = FaultyDisk::default();
    let (journal, mut writer, _) = open(&disk);
    save(&journal, 5, "<>");
    assert_eq!(saved(&journal), "none");
    flush(&mut writer);
    save(&journal, 9, "<->");
    assert_eq!(saved(&journal), "5:<>");
    flush(&mut writer);
    assert_eq!(saved(&journal), "9:<->");
    assert_eq!(
        journal.checkpoint_part(SHARD, 3),
        Err(EntriesError::Missing {
            shard: SHARD,
            index: LogIndex(9)
        })
    );
    assert!(journal.checkpoint(ShardId(77)).is_none());
    assert_eq!(journal.shards(), [SHARD]);
}

/// A node goes on with what it had begun: recovery keeps the parts that were flushed.
#[test]
fn an_unfinished_checkpoint_is_finished_after_a_restart() {
    let disk = FaultyDisk::default();
    let (journal, mut writer, _) = open(&disk);
    save(&journal, 5, "<-");
    flush(&mut writer);
    close(journal, writer);
    let (journal, mut writer, _) = open(&disk);
    save(&journal, 5, ">");
    flush(&mut writer);
    assert_eq!(saved(&journal), "5:<->");
}

/// Payloads at indexes 0..7, in the letters of the terms that they come from.
fn terms(journal: &Journal) -> String {
    let term = |index| {
        let index = LogIndex(index);
        let payload = journal.payload(SHARD, index);
        let kept = journal.kept(SHARD, index);
        match (payload, kept) {
            (Ok(payload), Ok(kept)) => {
                let term = kept.log_id.term.0;
                assert_eq!(payload, kept.payload);
                assert_eq!(payload, format!("entry {index} of term {term}"));
                char::from_digit(term as u32, 10).unwrap()
            }
            (Err(missing), Err(also)) => {
                assert_eq!(missing, also);
                '.'
            }
            other => panic!("{other:?}"),
        }
    };
    (0..7).map(term).collect()
}

/// KEPT-2. Neither a purge nor a truncation of the shard's own log touches them.
#[test]
fn an_adopted_entry_counts_before_our_own() {
    let disk = FaultyDisk::default();
    let (journal, mut writer, _) = open(&disk);
    journal.append(SHARD, normal(1, 0..4), ignore()).unwrap();
    assert_eq!(terms(&journal), "1111...");
    // In any order, twice, above our end; and nothing at all.
    let adopted = [normal(2, 5..6), normal(2, 2..4), normal(2, 3..4)].concat();
    journal.adopt(SHARD, adopted, ignore()).unwrap();
    journal.adopt(SHARD, Vec::new(), ignore()).unwrap();
    assert_eq!(terms(&journal), "1111...", "not before it is flushed");
    flush(&mut writer);
    assert_eq!(terms(&journal), "1122.2.");
    // Not part of Raft's log.
    assert_eq!(journal.log_state(SHARD).last, Some(LogId::new(1, 3)));
    let read = journal.read(SHARD, 0..9, usize::MAX).unwrap();
    assert!(read.iter().all(|entry| entry.log_id.term.0 == 1));
    let at = |index| journal.log_id_at(SHARD, LogIndex(index));
    assert_eq!((at(3), at(5)), (Some(LogId::new(1, 3)), None));
    let is_adopted = |index| journal.is_adopted(SHARD, LogIndex(index));
    assert_eq!(
        [1, 2, 3, 4, 5].map(is_adopted),
        [false, true, true, false, true]
    );

    journal
        .truncate_after(SHARD, Some(LogId::new(1, 0)), ignore())
        .unwrap();
    journal.purge(SHARD, LogId::new(2, 5), ignore()).unwrap();
    journal.append(SHARD, normal(3, 6..7), ignore()).unwrap();
    assert_eq!(terms(&journal), "1.22.23");
    close(journal, writer);
    let (journal, _writer, _) = open(&disk);
    assert_eq!(terms(&journal), "1.22.23", "opened again");
}

#[test]
fn history_begins_where_it_is_here_and_ends_at_a_gap() {
    let disk = FaultyDisk::default();
    let (journal, mut writer, _) = open(&disk);
    journal.append(SHARD, normal(1, 2..8), ignore()).unwrap();
    journal.purge(SHARD, LogId::new(1, 4), ignore()).unwrap();
    // A snapshot far ahead leaves a gap.
    journal.purge(SHARD, LogId::new(2, 20), ignore()).unwrap();
    journal.append(SHARD, normal(2, 21..24), ignore()).unwrap();
    flush(&mut writer);
    let check = |journal: &Journal| {
        for (range, max_bytes, expect) in [
            (0..99, usize::MAX, 2..8),
            (0..2, usize::MAX, 0..0),
            (3..5, usize::MAX, 3..5),
            (3..99, 0, 3..4),
            (8..20, usize::MAX, 0..0),
            (8..99, usize::MAX, 21..24),
            (22..u64::MAX, usize::MAX, 22..24),
            (24..99, usize::MAX, 0..0),
        ] {
            let read = journal.history(SHARD, range.clone(), max_bytes).unwrap();
            let indexes = read.iter().map(|entry| entry.log_id.index.0);
            assert!(indexes.eq(expect), "{range:?}");
        }
        let at = |index| journal.log_id_at(SHARD, LogIndex(index));
        assert_eq!(
            [1, 2, 7, 8, 20, 21].map(at),
            [
                None,
                Some(LogId::new(1, 2)),
                Some(LogId::new(1, 7)),
                None,
                None,
                Some(LogId::new(2, 21))
            ]
        );
    };
    check(&journal);
    close(journal, writer);
    check(&open(&disk).0);
}

#[test]
fn the_newest_entry_of_a_kind_is_found_also_if_it_is_purged() {
    use EntryKind::{Membership, Mode, Normal};
    let disk = FaultyDisk::default();
    let (journal, mut writer, _) = open(&disk);
    let kinds = [Membership, Normal, Mode, Normal, Membership, Normal];
    let entries = kinds.iter().zip(3..).map(|(kind, at)| entry(*kind, 1, at));
    journal.append(SHARD, entries.collect(), ignore()).unwrap();
    journal.purge(SHARD, LogId::new(1, 6), ignore()).unwrap();
    journal.purge(SHARD, LogId::new(2, 20), ignore()).unwrap();
    let entries = vec![entry(Normal, 2, 21), entry(Membership, 2, 22)];
    journal.append(SHARD, entries, ignore()).unwrap();
    flush(&mut writer);
    // Adopted ones are not of our log.
    let adopted = vec![entry(Membership, 2, 15)];
    journal.adopt(SHARD, adopted, ignore()).unwrap();
    flush(&mut writer);
    for (kind, upto, expect) in [
        (Membership, 0, None),
        (Membership, 2, None),
        (Membership, 3, Some(3)),
        (Membership, 6, Some(3)),
        (Membership, 7, Some(7)),
        (Membership, 21, Some(7)),
        (Membership, 22, Some(22)),
        (Membership, u64::MAX, Some(22)),
        (Mode, 4, None),
        (Mode, u64::MAX, Some(5)),
    ] {
        let found = journal.newest_of(kind, SHARD, LogIndex(upto)).unwrap();
        if let Some(found) = &found {
            let expect = entry(kind, found.log_id.term.0, found.log_id.index.0);
            assert_eq!((found.kind, &found.payload), (kind, &expect.payload));
        }
        let found = found.map(|found| found.log_id.index.0);
        assert_eq!(found, expect, "{kind:?} up to {upto}");
    }
    let other = journal.newest_of(Mode, ShardId(77), LogIndex(9)).unwrap();
    assert_eq!(other, None);
}

#[test]
fn too_large_and_closed_are_refused() {
    let disk = FaultyDisk::default();
    let (journal, writer, _) = open(&disk);
    let bytes = journal.max_payload_bytes() + 1;
    let large = NewEntry {
        payload: vec![0; bytes].into(),
        ..entry(EntryKind::Normal, 1, 0)
    };
    let refused = journal.adopt(SHARD, vec![large], ignore());
    assert_eq!(refused, Err(AppendError::TooLarge { bytes }));
    let clone = journal.clone();
    close(journal, writer);
    let refused = clone.adopt(SHARD, normal(1, 0..1), ignore());
    assert!(matches!(refused, Err(AppendError::Broken(_))));
}

/// Both are seen by a scan, and a rotten one is a hole that says what it was.
#[test]
fn a_scan_shows_them_and_their_damage() {
    let disk = FaultyDisk::default();
    let (journal, mut writer, _) = open(&disk);
    journal.adopt(SHARD, normal(2, 4..5), ignore()).unwrap();
    save(&journal, 9, "<>");
    flush(&mut writer);
    close(journal, writer);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut seen = Vec::new();
    let report = scan(&shared, Path::new(DIR), |file, offset, frame| {
        let meaning = match &frame {
            Scanned::Adopted { log_id, kind, .. } => {
                assert_eq!((*log_id, *kind), (LogId::new(2, 4), EntryKind::Normal));
                Meaning::Adopted
            }
            Scanned::CheckpointPart { log_id, part, .. } => {
                assert_eq!(*log_id, LogId::new(2, 9));
                assert_ne!(part.is_first, part.is_last);
                Meaning::CheckpointPart
            }
            other => panic!("{other:?}"),
        };
        seen.push((Path::new(DIR).join(file), offset, meaning));
    });
    let report = report.unwrap();
    assert!(report.is_sound());
    let checkpoint = Some(Checkpoint {
        log_id: LogId::new(2, 9),
        parts: 2,
    });
    assert_eq!(report.shards[0].checkpoint, checkpoint);
    assert_eq!(seen.len(), 3);

    for (file, offset, meaning) in seen {
        let disk = disk.fork();
        disk.flip(&file, offset + 56, 1);
        let (journal, _writer, recovery) = open(&disk);
        assert_eq!(recovery.holes.len(), 1);
        let damage = &recovery.holes[0].damage;
        assert_eq!((damage.offset, damage.meaning), (offset, meaning));
        assert_eq!(
            (recovery.holes[0].shard, damage.shard),
            (SHARD, Some(SHARD))
        );
        assert!(damage.log_id.is_some());
        assert_eq!(journal.checkpoint(SHARD), None);
        let newest = journal.newest_of(EntryKind::Membership, SHARD, LogIndex(9));
        assert!(newest.is_err(), "what is not found may be what is missing");
        let refused = journal.adopt(SHARD, normal(2, 5..6), ignore());
        assert_eq!(refused, Err(AppendError::Hole(SHARD)));
        let named = journal.payload(SHARD, LogIndex(4));
        assert_eq!(named.is_err(), meaning == Meaning::Adopted);
    }
}
