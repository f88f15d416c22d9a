//! A snapshot's parts: what they hold, what they name, and their bytes, frozen.

use super::workload::{SHARD, log, open, rows};
use crate::keys::{installing_key, is_own, position_key};
use crate::part::{self, Head, PartWriter};
use bytes::Bytes;
use engine_domain::entries_named;
use engine_store::{MemoryStore, ViewStore};
use raft_api::{LogId, LogIndex, ShardId, SnapshotPart, SnapshotSource, StateMachine};
use std::sync::Arc;

/// All parts of about `bytes_max`, in order.
pub fn parts(source: &dyn SnapshotSource, bytes_max: usize) -> Vec<SnapshotPart> {
    let mut parts = Vec::new();
    let mut cursor = Bytes::new();
    loop {
        let part = source.part(&cursor, bytes_max).unwrap();
        let next = part.next.clone();
        parts.push(part);
        match next {
            Some(next) => cursor = next,
            None => return parts,
        }
    }
}

fn rows_of(part: &SnapshotPart) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut part = part::decode(part.bytes.clone()).unwrap();
    let mut found = Vec::new();
    while let Some((key, value)) = part.rows.next_row().unwrap() {
        found.push((key.to_vec(), value.to_vec()));
    }
    found
}

/// The parts are within the bound, in order, together all rows, and each names what its own rows name.
#[track_caller]
fn check(bytes_max: usize, parts_min: usize) {
    let store = Arc::new(MemoryStore::new());
    let shard = open(store);
    let log = log(120);
    shard.apply(&log[..80]);
    let source = shard.snapshot().unwrap();
    let mut expect = rows(&shard.view());
    expect.retain(|(key, _)| !is_own(SHARD, key));
    // It stands still.
    shard.apply(&log[80..]);
    assert_eq!(source.log_id(), LogId::new(2, 79));
    let parts = parts(&*source, bytes_max);
    assert!(parts.len() >= parts_min, "{} parts", parts.len());
    let mut all = Vec::new();
    let mut named = 0;
    for (number, part) in parts.iter().enumerate() {
        let head = part::decode(part.bytes.clone()).unwrap().head;
        assert_eq!(head.number as usize, number);
        assert_eq!(head.is_last, number + 1 == parts.len());
        assert_eq!((head.shard, head.log_id), (SHARD, source.log_id()));
        let found = rows_of(part);
        assert!(part.bytes.len() <= bytes_max || found.len() == 1);
        let mut needs = Vec::new();
        for (key, value) in &found {
            entries_named(key, value, &mut |index| needs.push(LogIndex(index))).unwrap();
        }
        needs.sort_unstable();
        needs.dedup();
        assert_eq!(part.needs, needs);
        named += needs.len();
        all.extend(found);
    }
    assert_eq!(all, expect);
    assert!(named > 10, "messages name entries: {named}");
}

#[test]
fn parts_are_the_rows() {
    check(1 << 20, 1);
    check(2_000, 5);
    check(1, 100);
}

#[test]
fn one_part_again_is_the_same_part() {
    let shard = open(Arc::new(MemoryStore::new()));
    shard.apply(&log(60));
    let source = shard.snapshot().unwrap();
    let all = parts(&*source, 1_000);
    let cursor = all[1].next.clone().unwrap();
    let again = source.part(&cursor, 1_000).unwrap();
    assert_eq!(again.bytes, all[2].bytes);
    assert_eq!(again.needs, all[2].needs);
}

#[test]
fn what_is_no_cursor_is_refused() {
    let shard = open(Arc::new(MemoryStore::new()));
    assert!(shard.snapshot().is_err(), "nothing is folded");
    shard.apply(&log(20));
    let source = shard.snapshot().unwrap();
    let key = position_key(SHARD);
    let other = position_key(ShardId(SHARD.0 + 1));
    let with = |number: u32, key: &[u8]| [&number.to_be_bytes(), key].concat();
    for bad in [
        vec![1],
        with(1, &[]),
        with(0, &key),
        with(u32::MAX, &key),
        with(1, &other),
    ] {
        assert!(source.part(&bad, 1_000).is_err(), "{bad:?}");
    }
    assert!(source.part(&with(1, &key), 1_000).is_ok());
}

/// A replica whose rows are not those of its digest hands out no last part.
#[test]
fn rows_that_differ_from_their_digest_are_not_a_snapshot() {
    let store = Arc::new(MemoryStore::new());
    let shard = open(store.clone());
    shard.apply(&log(60));
    let mut key = SHARD.0.to_be_bytes().to_vec();
    key.extend([0xee; 9]);
    store.write(vec![(key, Some(b"rot".to_vec()))]).unwrap();
    let source = shard.snapshot().unwrap();
    let mut cursor = Bytes::new();
    let failed = loop {
        match source.part(&cursor, 1_000) {
            Ok(part) => cursor = part.next.expect("the last part is refused"),
            Err(error) => break error,
        }
    };
    assert!(failed.to_string().contains("digest"), "{failed}");
}

/// A shard that has folded nothing but consensus' own entries has a position all the same.
#[test]
fn a_shard_without_rows_is_one_part() {
    let shard = open(Arc::new(MemoryStore::new()));
    shard.apply(&log(1));
    let parts = parts(&*shard.snapshot().unwrap(), 1_000);
    assert_eq!(parts.len(), 1);
    assert_eq!(rows_of(&parts[0]), []);
}

#[test]
fn frozen_bytes() {
    let head = Head {
        shard: ShardId(3),
        log_id: LogId::new(2, 9),
        digest: 0x0102,
        number: 1,
        is_last: true,
    };
    let mut writer = PartWriter::new(&head);
    assert!(writer.is_empty());
    assert_eq!(writer.len_with(b"key", b"row!"), 80);
    assert!(writer.push(b"key", b"row!"));
    let bytes = writer.finish(true);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let expect = [
        "47545448534e5032",
        "00000003",
        "0000000000000002",
        "0000000000000009",
        "00000000000000000000000000000102",
        "00000001",
        "01",
        "000000036b6579",
        "00000004726f7721",
    ];
    assert_eq!(hex[..hex.len() - 32], expect.concat());
    assert_eq!(hex[hex.len() - 32..], format!("{:032x}", hash(&bytes)));
    assert_eq!(bytes.len(), 80);
    assert_eq!(part::decode(bytes).unwrap().head, head);
    assert_ne!(installing_key(SHARD), position_key(SHARD));
}

fn hash(part: &Bytes) -> u128 {
    xxhash_rust::xxh3::xxh3_128(&part[..part.len() - 16])
}
