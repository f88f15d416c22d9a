//! What the calls promise, one at a time.

use super::model::{DIR, close, identity, ignore, open, settle, small, try_open};
use crate::faulty_disk::FaultyDisk;
use crate::{
    AppendError, EntryKind, Expected, FlushDone, Identity, Journal, JournalBroken, NewEntry,
    OpenError, Step,
};
use parking_lot::Mutex;
use raft_api::{Entries, EntriesError, LogId, LogIndex, NodeId, ShardId};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const SHARD: ShardId = ShardId(3);

fn entry(term: u64, index: u64) -> NewEntry {
    let payload = format!("entry {index} of term {term}").into();
    NewEntry {
        log_id: LogId::new(term, index),
        kind: EntryKind::Normal,
        payload,
    }
}

fn entries(term: u64, range: std::ops::Range<u64>) -> Vec<NewEntry> {
    range.map(|index| entry(term, index)).collect()
}

/// Completions in the order in which they fire.
#[derive(Clone, Default)]
struct Fired(Arc<Mutex<Vec<(&'static str, bool)>>>);

impl Fired {
    fn done(&self, name: &'static str) -> FlushDone {
        let fired = Arc::clone(&self.0);
        Box::new(move |result| fired.lock().push((name, result.is_ok())))
    }

    fn names(&self) -> Vec<&'static str> {
        self.0.lock().iter().map(|(name, _)| *name).collect()
    }
}

#[test]
fn readable_on_return_durable_on_completion() {
    let disk = FaultyDisk::default();
    let (journal, mut writer, recovery) = open(&disk);
    assert!(recovery.created);
    let fired = Fired::default();
    let flushed = journal.watch_flushed(SHARD);
    journal
        .append(SHARD, entries(1, 0..3), fired.done("append"))
        .unwrap();
    assert_eq!(journal.read(SHARD, 0..3, usize::MAX).unwrap().len(), 3);
    assert_eq!(journal.log_state(SHARD).last, Some(LogId::new(1, 2)));
    assert_eq!((journal.flushed(SHARD), *flushed.borrow()), (None, None));
    assert!(fired.names().is_empty());
    settle(&mut writer, &mut Duration::default());
    assert_eq!(fired.names(), ["append"]);
    assert_eq!(
        (journal.flushed(SHARD), *flushed.borrow()),
        (Some(LogId::new(1, 2)), Some(LogIndex(2)))
    );
}

/// Batches are shared, completions keep the order of the calls, and a vote's waits for its second copy.
#[test]
fn completions_fire_in_order() {
    let disk = FaultyDisk::default();
    let (journal, mut writer, _) = open(&disk);
    // The first batch also makes a spare segment.
    journal
        .append(ShardId(8), entries(1, 0..1), ignore())
        .unwrap();
    settle(&mut writer, &mut Duration::default());
    let fired = Fired::default();
    journal
        .append(SHARD, entries(1, 0..2), fired.done("a"))
        .unwrap();
    journal
        .save_vote(SHARD, "vote".into(), fired.done("vote"))
        .unwrap();
    journal
        .append(ShardId(9), entries(1, 0..2), fired.done("b"))
        .unwrap();
    journal
        .append(SHARD, vec![], fired.done("nothing"))
        .unwrap();
    let flushes = disk.flushes();
    assert_eq!(writer.step(Duration::ZERO), Step::Worked);
    assert_eq!(disk.flushes(), flushes + 1, "one flush for all shards");
    assert_eq!(fired.names(), ["a"]);
    assert_eq!(writer.step(Duration::ZERO), Step::Worked);
    assert_eq!(fired.names(), ["a", "vote", "b", "nothing"]);
}

/// While an entry waits for its flush, it is truncated, and another one takes its index: the first one's flush says
/// nothing of the second one.
#[test]
fn a_flush_counts_for_its_own_entry_only() {
    let disk = FaultyDisk::default();
    let (journal, mut writer, _) = open(&disk);
    let log = Arc::new(Mutex::new(Vec::new()));
    // The completion runs after the flush of the first batch; the second one is queued from there.
    let (clone, seen) = (journal.clone(), Arc::clone(&log));
    journal
        .append(
            SHARD,
            entries(1, 0..2),
            Box::new(move |_| {
                seen.lock().push(clone.flushed(SHARD));
                clone
                    .truncate_after(SHARD, Some(LogId::new(1, 0)), ignore())
                    .unwrap();
                seen.lock().push(clone.flushed(SHARD));
                clone.append(SHARD, vec![entry(2, 1)], ignore()).unwrap();
                seen.lock().push(clone.flushed(SHARD));
            }),
        )
        .unwrap();
    settle(&mut writer, &mut Duration::default());
    assert_eq!(
        *log.lock(),
        [
            Some(LogId::new(1, 1)),
            Some(LogId::new(1, 0)),
            Some(LogId::new(1, 0))
        ]
    );
    assert_eq!(journal.flushed(SHARD), Some(LogId::new(2, 1)));

    // All in one batch: the frame of term 2 is overtaken before it is flushed.
    journal.append(SHARD, vec![entry(2, 2)], ignore()).unwrap();
    journal
        .truncate_after(SHARD, Some(LogId::new(2, 1)), ignore())
        .unwrap();
    journal.append(SHARD, vec![entry(3, 2)], ignore()).unwrap();
    settle(&mut writer, &mut Duration::default());
    assert_eq!(journal.flushed(SHARD), Some(LogId::new(3, 2)));
    close(journal, writer);
    let (journal, _writer, _) = open(&disk);
    assert_eq!(
        journal.payload(SHARD, LogIndex(2)).unwrap(),
        "entry 2 of term 3"
    );
}

#[test]
fn purged_payloads_stay_readable() {
    let disk = FaultyDisk::default();
    let (journal, mut writer, _) = open(&disk);
    journal.append(SHARD, entries(1, 0..10), ignore()).unwrap();
    journal.purge(SHARD, LogId::new(1, 4), ignore()).unwrap();
    settle(&mut writer, &mut Duration::default());
    let read = journal.read(SHARD, 0..100, usize::MAX).unwrap();
    assert_eq!(
        read.first().map(|entry| entry.log_id.index),
        Some(LogIndex(5))
    );
    // A snapshot far ahead: the log begins after it, entries before it stay.
    journal.purge(SHARD, LogId::new(2, 100), ignore()).unwrap();
    let log = journal.log_state(SHARD);
    assert_eq!(
        (log.purged, log.last, log.first),
        (Some(LogId::new(2, 100)), Some(LogId::new(2, 100)), None)
    );
    let refused = journal.append(SHARD, vec![entry(2, 10)], ignore());
    assert_eq!(
        refused,
        Err(AppendError::NotConsecutive {
            shard: SHARD,
            expected: LogIndex(101),
            got: LogIndex(10)
        })
    );
    journal
        .append(SHARD, vec![entry(2, 101)], ignore())
        .unwrap();
    close(journal, writer);
    let (journal, _writer, _) = open(&disk);
    for index in (0..10).chain([101]) {
        assert!(journal.payload(SHARD, LogIndex(index)).is_ok(), "{index}");
    }
    assert_eq!(
        journal.payload(SHARD, LogIndex(50)),
        Err(EntriesError::Missing {
            shard: SHARD,
            index: LogIndex(50)
        })
    );
    assert_eq!(journal.log_state(SHARD).first, Some(LogIndex(101)));
    assert_eq!(journal.flushed(SHARD), Some(LogId::new(2, 101)));
}

#[test]
fn reading_is_bounded_but_never_empty_handed() {
    let disk = FaultyDisk::default();
    let (journal, mut writer, _) = open(&disk);
    journal.append(SHARD, entries(1, 0..10), ignore()).unwrap();
    for (range, max_bytes, expect) in [
        (0..10, 0, 0..1),
        (0..10, 1000, 0..10),
        (3..5, usize::MAX, 3..5),
        (8..99, 1000, 8..10),
        (10..12, 1000, 0..0),
        (0..10, 40, 0..2),
    ] {
        let read = journal.read(SHARD, range.clone(), max_bytes).unwrap();
        let indexes: Vec<u64> = read.iter().map(|entry| entry.log_id.index.0).collect();
        assert_eq!(
            indexes,
            expect.collect::<Vec<u64>>(),
            "{range:?} {max_bytes}"
        );
    }
    settle(&mut writer, &mut Duration::default());
    assert!(journal.read(ShardId(77), 0..10, 10).unwrap().is_empty());
}

/// What is cached is read at once; what is not would wait for the disk, and is left to `read`.
#[test]
fn only_what_is_in_memory_is_read_from_the_cache() {
    let disk = FaultyDisk::default();
    let (journal, mut writer, _) = open(&disk);
    // More than the cache holds once they are flushed.
    journal.append(SHARD, entries(1, 0..40), ignore()).unwrap();
    let cached = |range| journal.read_cached(SHARD, range, usize::MAX).unwrap();
    let read = |range| journal.read(SHARD, range, usize::MAX).unwrap();
    assert_eq!(cached(0..40), Some(read(0..40)));
    settle(&mut writer, &mut Duration::default());
    assert_eq!(cached(39..40), Some(read(39..40)));
    assert_eq!(cached(0..3), None);
    assert_eq!(
        cached(38..60),
        Some(read(38..60)),
        "as far as there are any"
    );
    assert_eq!(read(0..3).len(), 3);
}

/// With 20 in flight a batch is held back for 2 ms; with fewer, and flushes that take no time, it is written at once.
#[test]
fn gathers_only_under_load() {
    let disk = FaultyDisk::default();
    let (journal, mut writer, _) = open(&disk);
    let now = Duration::from_secs(1);
    for index in 0..19 {
        journal
            .append(SHARD, vec![entry(1, index)], ignore())
            .unwrap();
    }
    assert_eq!(writer.step(now), Step::Worked);
    for index in 19..39 {
        journal
            .append(SHARD, vec![entry(1, index)], ignore())
            .unwrap();
    }
    let until = now + Duration::from_millis(2);
    assert_eq!(writer.step(now), Step::Gather { until });
    journal.append(SHARD, vec![entry(1, 39)], ignore()).unwrap();
    assert_eq!(writer.step(until), Step::Worked);
    assert_eq!(journal.stats().batches, 2);
    assert_eq!(journal.flushed(SHARD), Some(LogId::new(1, 39)));
}

/// Appends that are announced are waited for, three quarters of them, or 2 ms; a few are not.
#[test]
fn gathers_what_is_expected() {
    let disk = FaultyDisk::default();
    let (journal, mut writer, _) = open(&disk);
    let now = Duration::from_secs(1);
    let until = now + Duration::from_millis(2);
    let mut next = 0;
    let mut append = |count: u64| {
        let entries = (next..next + count).map(|index| entry(1, index)).collect();
        next += count;
        journal.append(SHARD, entries, ignore()).unwrap();
    };
    // Expected, queued: what the writer does at once.
    let rows = [
        (19, 1, Step::Worked),
        (20, 14, Step::Gather { until }),
        (20, 15, Step::Worked),
        (21, 15, Step::Gather { until }),
        (21, 16, Step::Worked),
    ];
    for (expected, queued, expect) in rows {
        let guards: Vec<Expected> = (0..expected).map(|_| journal.expect_append()).collect();
        append(queued);
        assert_eq!(
            writer.step(now),
            expect,
            "{expected} expected, {queued} queued"
        );
        drop(guards);
        // Nothing more is expected: what was held back is written.
        settle(&mut writer, &mut now.clone());
    }
}

/// From 8 in flight on a batch is held back for as long as batches take, an eighth of the last one's time counted.
#[test]
fn gathers_a_few_while_flushes_are_slow() {
    let ms = Duration::from_millis;
    // In flight, what the batch before took, how long this one is held back.
    let rows = [
        (7, ms(8), None),
        (8, ms(8), Some(ms(1))),
        (19, ms(4), Some(ms(4) / 8)),
        (19, ms(80), Some(ms(2))),
        (20, ms(8), Some(ms(2))),
        (8, ms(0), None),
    ];
    for (in_flight, took, held) in rows {
        let disk = FaultyDisk::default();
        let (journal, mut writer, _) = open(&disk);
        journal.append(SHARD, vec![entry(1, 0)], ignore()).unwrap();
        let begun = Duration::from_secs(1);
        assert_eq!(writer.step(begun), Step::Worked);
        let now = begun + took;
        for index in 1..=in_flight {
            journal
                .append(SHARD, vec![entry(1, index)], ignore())
                .unwrap();
        }
        let expect = held.map_or(Step::Worked, |held| Step::Gather { until: now + held });
        assert_eq!(writer.step(now), expect, "{in_flight} after {took:?}");
    }
}

/// After 100 ms without work a seal testifies to the last batch, once, and takes the marks with it.
#[test]
fn idle_seals_and_keeps_marks() {
    let disk = FaultyDisk::default();
    let (journal, mut writer, _) = open(&disk);
    assert_eq!(writer.step(Duration::ZERO), Step::Idle);
    journal.append(SHARD, entries(1, 0..2), ignore()).unwrap();
    let mut now = Duration::from_secs(1);
    let until = now + Duration::from_millis(100);
    assert_eq!(settle(&mut writer, &mut now), Step::Wait { until });
    journal.save_mark(SHARD, LogIndex(1));
    assert_eq!(writer.step(until), Step::Worked);
    assert_eq!(writer.step(until), Step::Idle);
    assert_eq!(journal.stats().seals, 1);
    drop(journal);
    drop(writer);
    disk.kill_process();
    let (journal, _writer, recovery) = open(&disk);
    assert_eq!(recovery.marks.get(&SHARD), Some(&LogIndex(1)));
    assert_eq!(journal.log_state(SHARD).mark, Some(LogIndex(1)));
}

#[test]
fn one_at_a_time_and_only_its_own() {
    let disk = FaultyDisk::default();
    let (journal, writer, _) = open(&disk);
    let locked = OpenError::Locked {
        dir: DIR.to_string(),
    };
    assert_eq!(try_open(&disk).err(), Some(locked));
    close(journal, writer);
    let open_as = |other: Identity| {
        Journal::open_stepped(Arc::new(disk.clone()), Path::new(DIR), other, small())
    };
    for other in [
        Identity {
            node: NodeId(8),
            ..identity()
        },
        Identity {
            cluster: [0; 16],
            ..identity()
        },
        Identity {
            incarnation: 2,
            ..identity()
        },
    ] {
        let refused = OpenError::OtherIdentity {
            found: Box::new(identity()),
            expected: Box::new(other),
        };
        assert_eq!(open_as(other).err(), Some(refused));
    }
    let (_, _, recovery) = open(&disk);
    assert!(!recovery.created);
}

/// The last reader of a closed journal is told so.
#[test]
fn closed_is_closed() {
    let disk = FaultyDisk::default();
    let (journal, writer, _) = open(&disk);
    let fired = Fired::default();
    journal
        .append(SHARD, entries(1, 0..2), fired.done("append"))
        .unwrap();
    let clone = journal.clone();
    close(journal, writer);
    assert_eq!(fired.names(), ["append"]);
    let refused = clone.append(SHARD, entries(1, 2..3), ignore());
    assert_eq!(refused, Err(AppendError::Broken(JournalBroken::Closed)));
}

#[test]
fn what_the_caller_does_wrong_is_refused() {
    let disk = FaultyDisk::default();
    let (journal, _writer, _) = open(&disk);
    let large = NewEntry {
        payload: vec![0; journal.max_payload_bytes() + 1].into(),
        ..entry(1, 0)
    };
    assert!(matches!(
        journal.append(SHARD, vec![large], ignore()),
        Err(AppendError::TooLarge { .. })
    ));
    assert!(matches!(
        journal.save_vote(SHARD, vec![0; 5000].into(), ignore()),
        Err(AppendError::TooLarge { .. })
    ));
    journal.append(SHARD, entries(1, 0..2), ignore()).unwrap();
    for wrong in [
        vec![entry(1, 1)],
        vec![entry(1, 3)],
        vec![entry(1, 2), entry(1, 4)],
    ] {
        assert!(matches!(
            journal.append(SHARD, wrong, ignore()),
            Err(AppendError::NotConsecutive { .. })
        ));
    }
    assert_eq!(
        journal.log_state(SHARD).last,
        Some(LogId::new(1, 1)),
        "a refusal changes nothing"
    );
}
