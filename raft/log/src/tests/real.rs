//! On the machine's own file system, with the writer's thread.

use super::model::{identity, small};
use crate::faulty_disk::FaultyDisk;
use crate::{Disk, EntryKind, Journal, NewEntry, OpenError, Options, RealDisk, scan};
use raft_api::{Entries, LogId, LogIndex, ShardId};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

fn open(dir: &Path) -> Journal {
    Journal::open(disk(), dir, identity(), small())
        .unwrap_or_else(|e| panic!("{e}"))
        .0
}

/// Several threads, a shard each, all over segment changes; everything is there after reopening.
#[test]
fn many_threads_share_the_writer() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("deep").join("journal");
    let journal = open(&dir);
    let threads: Vec<_> = (0..6_u32)
        .map(|shard| {
            let journal = journal.clone();
            std::thread::spawn(move || {
                let (sender, receiver) = mpsc::sync_channel(200);
                for index in 0..200_u64 {
                    let payload = vec![shard as u8; (index % 90) as usize].into();
                    let entry = NewEntry {
                        log_id: LogId::new(1, index),
                        kind: EntryKind::Normal,
                        payload,
                    };
                    let sender = sender.clone();
                    let done = Box::new(move |result| sender.send((index, result)).unwrap_or(()));
                    journal.append(ShardId(shard), vec![entry], done).unwrap();
                }
                drop(sender);
                let fired: Vec<u64> = receiver
                    .iter()
                    .map(|(index, result)| result.map(|()| index).unwrap())
                    .collect();
                assert_eq!(fired, (0..200).collect::<Vec<u64>>());
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let stats = journal.stats();
    assert_eq!(stats.entries_written, 1200);
    assert!(stats.flushes < 1200, "flushes are shared: {stats:?}");
    assert_eq!(
        Journal::open(disk(), &dir, identity(), small()).err(),
        Some(OpenError::Locked {
            dir: dir.display().to_string()
        })
    );
    journal.close();

    let report = scan(&disk(), &dir, |_, _, _| {}).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.entries, 1200);
    let journal = open(&dir);
    for shard in (0..6).map(ShardId) {
        assert_eq!(journal.flushed(shard), Some(LogId::new(1, 199)));
        assert_eq!(
            journal.payload(shard, LogIndex(89)).unwrap(),
            vec![shard.0 as u8; 89]
        );
    }
    // The last clone closes.
    drop(journal);
    open(&dir);
}

#[test]
fn nonsense_options_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        segment_bytes: 1,
        ..small()
    };
    assert!(matches!(
        Journal::open(disk(), folder.path(), identity(), options),
        Err(OpenError::Options { .. })
    ));
}

/// While a flush is held back, appends return and can be read, and nobody is told that they are durable.
#[test]
fn a_slow_flush_holds_nobody_but_those_who_wait_for_it() {
    let disk = FaultyDisk::default();
    // One segment is enough for all: allocating the next one would wait for the flush too.
    let options = Options {
        segment_bytes: 1 << 20,
        ..small()
    };
    let (journal, _) = Journal::open(
        Arc::new(disk.clone()),
        Path::new("journal"),
        identity(),
        options,
    )
    .unwrap();
    let (sender, receiver) = mpsc::sync_channel(200);
    disk.hold_flushes();
    for index in 0..50 {
        let entry = NewEntry {
            log_id: LogId::new(1, index),
            kind: EntryKind::Normal,
            payload: vec![1; 40].into(),
        };
        let sender = sender.clone();
        let done = Box::new(move |result: Result<(), _>| {
            sender.send((index, result.is_ok())).unwrap_or(())
        });
        journal.append(ShardId(1), vec![entry], done).unwrap();
    }
    assert_eq!(
        journal.read(ShardId(1), 0..50, usize::MAX).unwrap().len(),
        50
    );
    assert_eq!(journal.flushed(ShardId(1)), None);
    assert!(
        receiver.try_recv().is_err(),
        "acknowledged before the flush"
    );
    disk.release_flushes();
    for index in 0..50 {
        assert_eq!(receiver.recv(), Ok((index, true)));
    }
    assert_eq!(journal.flushed(ShardId(1)), Some(LogId::new(1, 49)));
    // All that was queued behind the held flush shares the next one.
    assert!(journal.stats().batches <= 4, "{:?}", journal.stats());
}

/// On the thread that a journal has for it, and through the system's cache: a byte rots under an open journal.
#[test]
fn the_scrub_reads_the_medium() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("journal");
    let options = Options {
        scrub_every: Duration::from_millis(20),
        scrub_bytes_per_s: 1 << 30,
        ..small()
    };
    let (journal, _) = Journal::open(disk(), &dir, identity(), options).unwrap();
    let (sender, flushed) = mpsc::sync_channel(1);
    for index in 0..40_u64 {
        let entry = NewEntry {
            log_id: LogId::new(1, index),
            kind: EntryKind::Normal,
            payload: vec![7; 1000].into(),
        };
        let sender = sender.clone();
        let done = Box::new(move |result| sender.send(result).unwrap_or(()));
        journal.append(ShardId(1), vec![entry], done).unwrap();
        flushed.recv().unwrap().unwrap();
    }
    let mut damages = journal.watch_damages();
    assert_eq!(journal.damages(), []);
    let first = dir.join("0000000000000001.segment");
    let file = std::fs::OpenOptions::new().write(true).open(first).unwrap();
    // Within a payload: batches of one entry begin at 4096 and take 1176 bytes.
    std::os::unix::fs::FileExt::write_all_at(&file, b"x", 4096 + 500).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(damages.changed()).unwrap();
    assert_eq!(journal.missing(ShardId(1))[0].log_id, LogId::new(1, 0));
    journal.close();
}
