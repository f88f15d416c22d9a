//! One fold, whatever the batches: the overlay must not be seen.

use super::workload::{ALICE, SHARD, command, entry, log, open, rows};
use crate::Stopped;
use bytes::Bytes;
use engine_domain::{At, Rows, RowsError, RowsMut};
use engine_events::{Outcome, Payload, Refusal};
use engine_store::MemoryStore;
use engine_types::{ModSeq, UnixMillis};
use raft_api::{LogId, StateMachine};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows with nothing between them and the fold.
#[derive(Default)]
struct Direct(BTreeMap<Vec<u8>, Vec<u8>>);

impl Rows for Direct {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, RowsError> {
        Ok(self.0.get(key).map(|value| Bytes::copy_from_slice(value)))
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), RowsError> {
        for (key, value) in &self.0 {
            if key.as_slice() >= from && key.as_slice() < to && !visit(key, value) {
                break;
            }
        }
        Ok(())
    }

    fn scan_back(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), RowsError> {
        for (key, value) in self.0.iter().rev() {
            if key.as_slice() >= from && key.as_slice() < to && !visit(key, value) {
                break;
            }
        }
        Ok(())
    }
}

impl RowsMut for Direct {
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.0.insert(key, value);
    }

    fn delete(&mut self, key: Vec<u8>) {
        self.0.remove(&key);
    }

    fn save_point(&mut self) {}

    fn undo(&mut self) {
        unreachable!("the workload meets no breach")
    }
}

#[track_caller]
fn check(batch_len: usize) {
    let log = log(120);
    let mut direct = Direct::default();
    let mut expect = Vec::new();
    for entry in &log {
        let at = At {
            shard: SHARD.0,
            term: entry.log_id.term.0,
            index: entry.log_id.index.0,
        };
        expect.push(if entry.payload.is_empty() {
            Bytes::new()
        } else {
            let payload = Payload::decode(entry.payload.clone()).unwrap();
            let folded = engine_domain::apply(&mut direct, at, &payload).unwrap();
            folded.outcome.encode_outcome()
        });
    }
    let shard = open(Arc::new(MemoryStore::new()));
    let mut outcomes = Vec::new();
    for batch in log.chunks(batch_len) {
        outcomes.extend(shard.apply(batch));
        assert_eq!(
            shard.digest(),
            shard.view().recompute_digest().unwrap(),
            "kept and recomputed, after {:?}",
            shard.applied()
        );
    }
    assert_eq!(outcomes, expect, "outcomes");
    let mut folded = rows(&shard.view());
    folded.retain(|(key, _)| *key != crate::keys::position_key(SHARD));
    assert_eq!(folded, rows(&direct), "rows");
    assert_eq!(shard.applied(), Some(LogId::new(2, 119)));
    let breaches = engine_domain::invariants::check(&shard.view(), SHARD.0).unwrap();
    assert_eq!(breaches, Vec::<String>::new(), "the fold's own sentences");
    assert!(folded.len() > 20, "the workload leaves rows");
    let applied = outcomes
        .iter()
        .filter(|bytes| {
            let outcome = Outcome::decode_outcome(bytes).unwrap();
            outcome.events.iter().any(|event| event.refusal().is_none())
        })
        .count();
    assert!(applied > 60, "most of the workload takes effect: {applied}");
}

#[test]
fn batches_do_not_show() {
    check(1);
    check(7);
    check(120);
}

/// SHD-3: nothing at or after an unknown kind is folded, what stood before it is.
#[test]
fn an_unknown_kind_stops_the_shard() {
    let shard = open(Arc::new(MemoryStore::new()));
    let log = log(5);
    let mut unknown = command(9, ALICE, Vec::new()).to_vec();
    // One event (field 4, two octets) whose account is 1 and which has no kind that is known here.
    unknown.extend_from_slice(&[0x22, 2, 0x08, 1]);
    let stamped = Payload::stamp(UnixMillis(1), &unknown.into());
    let batch = [
        log[0].clone(),
        log[1].clone(),
        entry(2, stamped),
        entry(3, Bytes::new()),
    ];
    let outcomes = shard.apply(&batch);
    assert_eq!(outcomes.len(), 4);
    assert!(!outcomes[1].is_empty());
    assert_eq!(&outcomes[2..], [Bytes::new(), Bytes::new()]);
    let at = LogId::new(2, 2);
    assert_eq!(*shard.stopped().borrow(), Some(Stopped::UnknownKind { at }));
    assert_eq!(shard.applied(), Some(LogId::new(2, 1)));
    let before = shard.digest();
    assert_eq!(shard.apply(&log[2..3]), [Bytes::new()]);
    assert_eq!(shard.digest(), before, "a stopped shard folds nothing");
}

#[test]
fn a_gap_stops_the_shard() {
    let shard = open(Arc::new(MemoryStore::new()));
    let log = log(6);
    shard.apply(&log[..3]);
    shard.apply(&log[4..5]);
    assert!(matches!(
        *shard.stopped().borrow(),
        Some(Stopped::Gap { .. })
    ));
    assert_eq!(shard.applied(), Some(LogId::new(2, 2)));
}

/// The same on every replica, so the fold goes on.
#[test]
fn what_cannot_be_decoded_is_refused() {
    let shard = open(Arc::new(MemoryStore::new()));
    let outcomes = shard.apply(&[entry(0, Bytes::from_static(b"short"))]);
    let outcome = Outcome::decode_outcome(&outcomes[0]).unwrap();
    assert_eq!(outcome.events[0].refusal(), Some(Refusal::Invalid));
    assert_eq!(shard.applied(), Some(LogId::new(2, 0)));
    assert_eq!(*shard.stopped().borrow(), None);
}

#[test]
fn watchers_wake_for_their_account_only() {
    let shard = open(Arc::new(MemoryStore::new()));
    let log = log(10);
    let mut alice = shard.watch_account(ALICE);
    let mut bob = shard.watch_account(super::workload::BOB);
    assert_eq!(*alice.borrow_and_update(), ModSeq(0));
    shard.apply(&log[..2]);
    assert!(alice.has_changed().unwrap());
    assert!(!bob.has_changed().unwrap());
    shard.apply(&log[2..3]);
    assert!(bob.has_changed().unwrap());
    bob.borrow_and_update();
    alice.borrow_and_update();
    shard.apply(&log[3..4]);
    assert!(alice.has_changed().unwrap());
    assert!(!bob.has_changed().unwrap());
    let late = shard.watch_account(ALICE);
    assert_eq!(*late.borrow(), *alice.borrow_and_update());
}

/// A view stands still.
#[test]
fn a_view_keeps_its_position() {
    let shard = open(Arc::new(MemoryStore::new()));
    let log = log(10);
    shard.apply(&log[..4]);
    let view = shard.view();
    let before = rows(&view);
    shard.apply(&log[4..]);
    assert_eq!(rows(&view), before);
    assert_eq!(view.position().unwrap(), Some(LogId::new(2, 3)));
    assert_ne!(rows(&shard.view()), before);
}
