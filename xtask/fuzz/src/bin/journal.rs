//! The journal reader on rotten files: it never panics, and what it gives out is what was put in.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use raft_api::{Entries, LogId, LogIndex, NodeId, ShardId};
use raft_log::faulty_disk::FaultyDisk;
use raft_log::{Disk, EntryKind, Identity, Journal, NewEntry, Options, Step, Writer, scan};

const DIR: &str = "journal";
const SHARDS: u32 = 3;
const ENTRIES: u64 = 40;

/// A closed journal of a few small segments, and the names of its files.
struct Sound {
    disk: FaultyDisk,
    files: Vec<PathBuf>,
}

static SOUND: LazyLock<Sound> = LazyLock::new(|| {
    let disk = FaultyDisk::default();
    let (journal, mut writer) = open(&disk).expect("an empty folder opens");
    for index in 0..ENTRIES {
        for shard in (0..SHARDS).map(ShardId) {
            let log_id = LogId::new(1, index);
            let entry = NewEntry {
                log_id,
                kind: EntryKind::Normal,
                payload: payload(shard, index),
            };
            journal
                .append(shard, vec![entry], Box::new(|_| {}))
                .expect("there is room");
        }
        work(&mut writer);
    }
    journal.close();
    work(&mut writer);
    drop(writer);
    let files = disk.paths();
    Sound { disk, files }
});

fn payload(shard: ShardId, index: u64) -> Bytes {
    let text = format!("shard {} entry {index} ", shard.0);
    Bytes::from(text.repeat(index as usize % 13 + 1))
}

fn open(disk: &FaultyDisk) -> Result<(Journal, Writer), raft_log::OpenError> {
    let identity = Identity {
        cluster: *b"a cluster's name",
        incarnation: 1,
        node: NodeId(7),
    };
    let options = Options {
        segment_bytes: 16 << 10,
        reserve_bytes: 16 << 10,
        cache_bytes: 2048,
        ..Options::default()
    };
    let (journal, writer, _) =
        Journal::open_stepped(Arc::new(disk.clone()), Path::new(DIR), identity, options)?;
    Ok((journal, writer))
}

fn work(writer: &mut Writer) {
    let mut now = Duration::ZERO;
    loop {
        match writer.step(now) {
            Step::Worked => {}
            Step::Gather { until } => now = until,
            Step::Wait { .. } | Step::Idle | Step::Stopped => return,
        }
    }
}

// Four bytes a change: file, offset (two bytes), mask.
libfuzzer_sys::fuzz_target!(|changes: &[u8]| {
    let disk = SOUND.disk.fork();
    for change in changes.chunks_exact(4).take(64) {
        let file = &SOUND.files[change[0] as usize % SOUND.files.len()];
        disk.flip(
            file,
            u64::from(u16::from_le_bytes([change[1], change[2]])),
            change[3],
        );
    }
    let reader: Arc<dyn Disk> = Arc::new(disk.clone());
    let report = scan(&reader, Path::new(DIR), |_, _, _| {});
    let Ok((journal, _writer)) = open(&disk) else {
        assert!(
            !report.is_ok_and(|report| report.is_sound()),
            "a sound journal does not open"
        );
        return;
    };
    for shard in (0..SHARDS).map(ShardId) {
        for index in 0..ENTRIES {
            if let Ok(found) = journal.payload(shard, LogIndex(index)) {
                assert_eq!(
                    found,
                    payload(shard, index),
                    "shard {} entry {index}",
                    shard.0
                );
            }
        }
    }
});
