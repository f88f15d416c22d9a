//! One suite that every store must pass.

use crate::{Batch, MemoryStore, RocksStore, ViewStore};
use std::path::Path;

/// `"a=1 b"`: puts `a`, deletes `b`.
fn batch(text: &str) -> Batch {
    text.split_whitespace()
        .map(|change| match change.split_once('=') {
            Some((key, value)) => (key.into(), Some(value.into())),
            None => (change.into(), None),
        })
        .collect()
}

#[derive(Clone, Copy)]
enum Way {
    Up,
    Down,
}

/// The rows of [from, to) as `"a=1 b=2"`, at most `limit`.
fn rows(
    read: impl FnOnce(&mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), crate::StoreError>,
    limit: usize,
) -> String {
    let mut found = Vec::new();
    read(&mut |key, value| {
        found.push(format!(
            "{}={}",
            String::from_utf8_lossy(key),
            String::from_utf8_lossy(value)
        ));
        found.len() < limit
    })
    .unwrap();
    found.join(" ")
}

#[track_caller]
fn check(store: &dyn ViewStore, way: Way, range: (&str, &str), limit: usize, expect: &str) {
    let (from, to) = (range.0.as_bytes(), range.1.as_bytes());
    let direct = rows(
        |visit| match way {
            Way::Up => store.scan(from, to, visit),
            Way::Down => store.scan_back(from, to, visit),
        },
        limit,
    );
    assert_eq!(direct, expect, "the store");
    let snapshot = store.snapshot();
    let at_once = rows(
        |visit| match way {
            Way::Up => snapshot.scan(from, to, visit),
            Way::Down => snapshot.scan_back(from, to, visit),
        },
        limit,
    );
    assert_eq!(at_once, expect, "its snapshot");
}

fn ranges(store: &dyn ViewStore) {
    store.write(batch("a=1 b=2 ba=3 c=4 d=5 c")).unwrap();
    check(store, Way::Up, ("a", "z"), 9, "a=1 b=2 ba=3 d=5");
    check(store, Way::Down, ("a", "z"), 9, "d=5 ba=3 b=2 a=1");
    check(store, Way::Up, ("b", "d"), 9, "b=2 ba=3");
    check(store, Way::Down, ("b", "d"), 9, "ba=3 b=2");
    check(store, Way::Up, ("a", "z"), 1, "a=1");
    check(store, Way::Down, ("a", "z"), 1, "d=5");
    check(store, Way::Up, ("e", "z"), 9, "");
    check(store, Way::Up, ("b", "b"), 9, "");
    check(store, Way::Up, ("d", "a"), 9, "");
    check(store, Way::Down, ("d", "a"), 9, "");
    assert_eq!(store.get(b"ba").unwrap().as_deref(), Some(&b"3"[..]));
    assert_eq!(store.get(b"c").unwrap(), None);
    store.write(batch("b a=7")).unwrap();
    store.flush().unwrap();
    check(store, Way::Up, ("a", "z"), 9, "a=7 ba=3 d=5");
}

fn snapshots_stand_still(store: &dyn ViewStore) {
    store.write(batch("a=1 b=2")).unwrap();
    let before = store.snapshot();
    store.write(batch("a b=3 c=4")).unwrap();
    store.flush().unwrap();
    let seen = rows(|visit| before.scan(b"a", b"z", visit), 9);
    assert_eq!(seen, "a=1 b=2");
    assert_eq!(before.get(b"c").unwrap(), None);
    check(store, Way::Up, ("a", "z"), 9, "b=3 c=4");
}

fn visitors_may_read_and_write(store: &dyn ViewStore) {
    store.write(batch("a=1 b=2")).unwrap();
    let mut seen = 0;
    store
        .scan(b"a", b"z", &mut |key, _| {
            assert!(store.get(key).unwrap().is_some());
            store.write(batch("c=3")).unwrap();
            seen += 1;
            true
        })
        .unwrap();
    assert_eq!(seen, 2, "a scan shows one moment");
}

fn both(suite: fn(&dyn ViewStore)) {
    suite(&MemoryStore::new());
    let folder = tempfile::tempdir().unwrap();
    suite(&RocksStore::open(folder.path()).unwrap());
}

#[test]
fn both_read_ranges() {
    both(ranges);
}

#[test]
fn both_hold_snapshots() {
    both(snapshots_stand_still);
}

#[test]
fn both_let_visitors_read_and_write() {
    both(visitors_may_read_and_write);
}

fn copy_folder(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// The files as they are while the store is open are what `kill -9` leaves: the flushed batches, whole, and no more.
#[test]
fn a_crash_leaves_the_last_flush() {
    let memory = MemoryStore::new();
    let folder = tempfile::tempdir().unwrap();
    let rocks = RocksStore::open(folder.path()).unwrap();
    for store in [&memory as &dyn ViewStore, &rocks] {
        store.write(batch("a=1 p=1")).unwrap();
        store.flush().unwrap();
        store.write(batch("a=2 b=2 p=2")).unwrap();
    }
    check(&memory.after_power_cut(), Way::Up, ("a", "z"), 9, "a=1 p=1");
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), copy.path());
    let reopened = RocksStore::open(copy.path()).unwrap();
    check(&reopened, Way::Up, ("a", "z"), 9, "a=1 p=1");
    check(&rocks, Way::Up, ("a", "z"), 9, "a=2 b=2 p=2");
}

/// A flipped byte in a table is an error of the read, never a row that is not there.
#[test]
fn rot_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = RocksStore::open(folder.path()).unwrap();
        store.write(batch("aaaa=1111 bbbb=2222")).unwrap();
        store.flush().unwrap();
    }
    let table = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "sst"))
        .unwrap();
    let mut bytes = std::fs::read(&table).unwrap();
    bytes[4] ^= 0x40; // within the first data block
    std::fs::write(&table, bytes).unwrap();
    let read =
        RocksStore::open(folder.path()).and_then(|store| store.scan(b"a", b"z", &mut |_, _| true));
    assert!(read.is_err());
}

#[test]
fn a_folder_that_cannot_be_made_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(RocksStore::open(&file.path().join("below")).is_err());
}
