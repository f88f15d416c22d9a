//! The overlay reads as the rows will read once it is written.

use crate::overlay::Overlay;
use engine_domain::{Rows, RowsMut};
use engine_store::{MemoryStore, ViewStore};

fn found(
    read: impl FnOnce(&mut dyn FnMut(&[u8], &[u8]) -> bool),
    limit: usize,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    read(&mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        rows.len() < limit
    });
    rows
}

/// `stored` and `changed` are masks over the keys `a` to `e`; of `changed`, those also in `deleted` go.
fn check(stored: u8, changed: u8, deleted: u8) {
    let keys = || (0..5u8).map(|bit| (1u8 << bit, vec![b'a' + bit]));
    let store = MemoryStore::new();
    let written = MemoryStore::new();
    let base: Vec<_> = keys()
        .filter(|(bit, _)| stored & bit != 0)
        .map(|(_, key)| (key, Some(b"old".to_vec())))
        .collect();
    store.write(base.clone()).unwrap();
    written.write(base).unwrap();
    let mut overlay = Overlay::new(&store);
    for (bit, key) in keys().filter(|(bit, _)| changed & bit != 0) {
        if deleted & bit != 0 {
            overlay.delete(key.clone());
            written.write(vec![(key, None)]).unwrap();
        } else {
            overlay.put(key.clone(), b"new".to_vec());
            written.write(vec![(key, Some(b"new".to_vec()))]).unwrap();
        }
    }
    for (from, to) in [("a", "z"), ("b", "d"), ("c", "c"), ("d", "b")] {
        let (from, to) = (from.as_bytes(), to.as_bytes());
        for limit in [1, 2, 9] {
            let case = format!("{stored:05b} {changed:05b} {deleted:05b} {limit}");
            assert_eq!(
                found(|visit| overlay.scan(from, to, visit).unwrap(), limit),
                found(|visit| written.scan(from, to, visit).unwrap(), limit),
                "{case}"
            );
            assert_eq!(
                found(|visit| overlay.scan_back(from, to, visit).unwrap(), limit),
                found(|visit| written.scan_back(from, to, visit).unwrap(), limit),
                "{case} back"
            );
        }
    }
    for (_, key) in keys() {
        assert_eq!(overlay.get(&key).unwrap(), written.get(&key).unwrap());
    }
}

#[test]
fn every_pattern_of_five_keys() {
    for stored in 0..32 {
        for changed in 0..32 {
            check(stored, changed, 0);
            check(stored, changed, changed);
            check(stored, changed, 0b10101);
        }
    }
}

/// What was changed since the save point goes, what was changed before it stays.
#[test]
fn undo_goes_back_to_the_save_point() {
    let key = |letter: u8| vec![letter];
    let store = MemoryStore::new();
    let stored = |letter: u8| (key(letter), Some(b"stored".to_vec()));
    store.write(vec![stored(b'a'), stored(b'b')]).unwrap();
    let mut overlay = Overlay::new(&store);
    overlay.put(key(b'b'), b"before".to_vec());
    overlay.delete(key(b'c'));
    let all = |overlay: &Overlay<'_>| found(|visit| overlay.scan(b"", b"z", visit).unwrap(), 9);
    let before = all(&overlay);
    overlay.save_point();
    for letter in b'a'..=b'd' {
        overlay.delete(key(letter));
        overlay.put(key(letter), b"after".to_vec());
    }
    overlay.delete(key(b'a'));
    assert_ne!(all(&overlay), before);
    overlay.undo();
    assert_eq!(all(&overlay), before);
    // Deleting what is not there changes nothing.
    let changes = overlay.into_changes().unwrap();
    let changed: Vec<_> = changes
        .iter()
        .map(|change| {
            (
                &change.key[..],
                change.before.as_deref(),
                change.after.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        changed,
        [(&b"b"[..], Some(&b"stored"[..]), Some(&b"before"[..]))]
    );
}
