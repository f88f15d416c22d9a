//! INS-1 and INS-2: what one replica sends is what the other has, nothing damaged gets in, and an installation that is
//! cut short anywhere leaves a shard that has folded nothing.

use super::failing::FailingStore;
use super::parts::parts;
use super::workload::{ALICE, SHARD, clock, log, open, rows};
use crate::keys::installing_key;
use crate::{Shard, Stopped};
use bytes::Bytes;
use engine_domain::read;
use engine_store::{Batch, MemoryStore, StoreError, ViewSnapshot, ViewStore, Visit};
use raft_api::{Committed, EntriesError, LogId, LogIndex, ShardId, StateMachine};
use std::sync::Arc;

/// Small enough for a dozen parts of the workload.
const PART_BYTES: usize = 1_500;

struct Sent {
    log_id: LogId,
    parts: Vec<Bytes>,
}

/// The snapshot of a replica that has folded `log`.
fn sent(log: &[Committed]) -> Sent {
    let sender = open(Arc::new(MemoryStore::new()));
    sender.apply(log);
    let source = sender.snapshot().unwrap();
    let parts = parts(&*source, PART_BYTES);
    Sent {
        log_id: source.log_id(),
        parts: parts.into_iter().map(|part| part.bytes).collect(),
    }
}

fn install(shard: &Shard, sent: &Sent) -> Result<(), EntriesError> {
    shard.install(sent.log_id, &mut sent.parts.iter().cloned().map(Ok))
}

#[test]
fn a_snapshot_carries_the_whole_state() {
    let log = log(80);
    let sender = open(Arc::new(MemoryStore::new()));
    sender.apply(&log[..50]);
    let store = Arc::new(MemoryStore::new());
    let receiver = open(store.clone());
    receiver.apply(&log[..20]);
    let mut watcher = receiver.watch_account(ALICE);
    watcher.borrow_and_update();
    install(&receiver, &sent(&log[..50])).unwrap();
    assert_eq!(receiver.digest(), sender.digest());
    assert_eq!(rows(&receiver.view()), rows(&sender.view()));
    assert_eq!(receiver.flushed(), Some(LogIndex(49)));
    assert!(watcher.has_changed().unwrap());
    // On stable storage on return, and the fold goes on from there.
    let left = open(Arc::new(store.after_power_cut()));
    for shard in [&sender, &receiver, &left] {
        shard.apply(&log[50..]);
    }
    assert_eq!(receiver.digest(), sender.digest());
    assert_eq!(left.digest(), sender.digest());
}

/// A first part that is not sound, or not the first one: refused, and all stays as it was.
#[test]
fn a_bad_first_part_changes_nothing() {
    let log = log(60);
    let good = sent(&log);
    let receiver = open(Arc::new(MemoryStore::new()));
    receiver.apply(&log[..5]);
    let before = (receiver.digest(), rows(&receiver.view()));
    let check = |sent: Sent, what: &str| {
        assert!(install(&receiver, &sent).is_err(), "{what}");
        assert_eq!((receiver.digest(), rows(&receiver.view())), before);
        assert_eq!(*receiver.stopped().borrow(), None);
    };
    let with_first = |first: Bytes| Sent {
        log_id: good.log_id,
        parts: [&[first], &good.parts[1..]].concat(),
    };
    let first = &good.parts[0];
    for at in (0..first.len()).step_by(7) {
        let mut bytes = first.to_vec();
        bytes[at] ^= 1;
        check(with_first(bytes.into()), &format!("bit flip at {at}"));
        check(with_first(first.slice(..at)), &format!("cut at {at}"));
    }
    let parts = |parts: &[Bytes]| Sent {
        log_id: good.log_id,
        parts: parts.to_vec(),
    };
    check(parts(&[]), "no parts");
    check(parts(&good.parts[1..]), "the first is missing");
    let elsewhere = Sent {
        log_id: LogId::new(2, 7),
        parts: good.parts.clone(),
    };
    check(elsewhere, "another position");
    let stranger = Shard::open(ShardId(4), Arc::new(MemoryStore::new()), clock()).unwrap();
    assert!(install(&stranger, &good).is_err(), "another shard");
    install(&receiver, &good).unwrap();
    install(&receiver, &good).unwrap();
}

/// Damage behind the first part: the shard stops, readers go on to see the old rows, and a restart has none.
#[test]
fn damage_further_on_leaves_a_shard_that_has_folded_nothing() {
    let log = log(60);
    let good = sent(&log);
    let other = sent(&log[..50]);
    let many = good.parts.len();
    assert!(many > 5, "{many} parts");
    let check = |parts: Vec<Result<Bytes, EntriesError>>, what: &str| {
        let store = Arc::new(MemoryStore::new());
        let receiver = open(store.clone());
        receiver.apply(&log[..9]);
        receiver.flush().unwrap();
        let before = rows(&receiver.view());
        let result = receiver.install(good.log_id, &mut parts.into_iter());
        assert!(result.is_err(), "{what}");
        assert_eq!(rows(&receiver.view()), before, "{what}");
        assert!(read::account(&receiver.view(), SHARD.0, ALICE).is_ok_and(|row| row.is_some()));
        let stopped = receiver.stopped().borrow().clone();
        assert!(
            matches!(stopped, Some(Stopped::NotInstalled { .. })),
            "{what}"
        );
        assert_eq!(receiver.applied(), None);
        assert_eq!(receiver.flushed(), Some(LogIndex(8)));
        assert_eq!(receiver.apply(&log[..1]), [Bytes::new()], "{what}");
        assert!(install(&receiver, &good).is_err(), "stopped is final");
        assert_starts_anew(store, &good, what);
    };
    let ok = |parts: &[Bytes]| parts.iter().cloned().map(Ok).collect::<Vec<_>>();
    for number in 1..many {
        let mut flipped = good.parts[number].to_vec();
        let at = flipped.len() / 2;
        flipped[at] ^= 1;
        let mut parts = ok(&good.parts);
        parts[number] = Ok(flipped.into());
        check(parts, &format!("bit flip in part {number}"));
        let mut parts = ok(&good.parts);
        parts[number] = Ok(other.parts[number.min(other.parts.len() - 1)].clone());
        check(parts, &format!("part {number} of another snapshot"));
        check(ok(&good.parts[..number]), &format!("{number} parts"));
        let mut parts = ok(&good.parts);
        drop(parts.remove(number));
        check(parts, &format!("without part {number}"));
        let mut parts = ok(&good.parts);
        parts.insert(number, Ok(good.parts[number - 1].clone()));
        check(parts, &format!("part {} twice", number - 1));
        let mut parts = ok(&good.parts[..number]);
        parts.push(Err(EntriesError::Missing {
            shard: SHARD,
            index: LogIndex(1),
        }));
        check(parts, "the journal fails");
    }
    let mut parts = ok(&good.parts);
    parts.push(Ok(good.parts[many - 1].clone()));
    check(parts, "one more part");
}

/// Sound parts whose rows are not those of the digest in their heads.
#[test]
fn a_wrong_digest_is_found() {
    use crate::part::{self, PartWriter};
    let log = log(60);
    let good = sent(&log);
    let mut part = part::decode(good.parts[0].clone()).unwrap();
    let mut writer = PartWriter::new(&part.head);
    let mut number = 0;
    while let Some((key, value)) = part.rows.next_row().unwrap() {
        number += 1;
        let value = if number == 1 { Bytes::new() } else { value };
        assert!(writer.push(&key, &value));
    }
    let mut parts = good.parts.clone();
    parts[0] = writer.finish(false);
    let store = Arc::new(MemoryStore::new());
    let receiver = open(store.clone());
    let bad = Sent {
        log_id: good.log_id,
        parts,
    };
    let error = install(&receiver, &bad).unwrap_err();
    assert!(error.to_string().contains("digest"), "{error}");
    assert_starts_anew(store, &good, "wrong digest");
}

#[test]
fn an_older_snapshot_is_refused() {
    let log = log(30);
    let shard = open(Arc::new(MemoryStore::new()));
    let old = sent(&log[..10]);
    shard.apply(&log);
    assert!(install(&shard, &old).is_err());
    assert_eq!(shard.applied(), log.last().map(|entry| entry.log_id));
}

/// Both what was written and what was flushed: a start finds nothing folded, and the snapshot goes in.
#[track_caller]
fn assert_starts_anew(store: Arc<MemoryStore>, sent: &Sent, what: &str) {
    let started = open(store.clone());
    assert_eq!(started.applied(), None, "{what}");
    assert_eq!(rows(&started.view()), [], "{what}");
    install(&started, sent).unwrap();
    assert_eq!(started.applied(), Some(sent.log_id));
    assert_eq!(started.digest(), started.view().recompute_digest().unwrap());
}

/// The state before, none, or the state of the snapshot: never a mixture, and never one that says it is another.
fn check_left(left: MemoryStore, before: &[&Shard], after: &Sent) -> Result<(), String> {
    let left = Arc::new(left);
    let shard = Shard::open(SHARD, left, clock()).map_err(|error| error.to_string())?;
    let digest = shard.digest();
    let recomputed = shard.view().recompute_digest().unwrap();
    if digest != recomputed {
        return Err("the rows are not those of the digest".into());
    }
    match shard.applied() {
        None if rows(&shard.view()).is_empty() => {}
        Some(at) if before.iter().any(|old| old.applied() == Some(at)) => {}
        Some(at) if at == after.log_id => {}
        at => return Err(format!("rows at {at:?}")),
    }
    if shard.applied() != Some(after.log_id) {
        install(&shard, after).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// A store in which each write and flush is followed by a power cut, in turn: what it leaves is checked.
fn cut_everywhere(wrap: fn(Arc<FailingStore>) -> Arc<dyn ViewStore>) -> Result<u64, String> {
    let log = log(60);
    let sent = sent(&log);
    for calls in 0.. {
        let inner = Arc::new(FailingStore::new(u64::MAX));
        let receiver = open(wrap(inner.clone()));
        receiver.apply(&log[..20]);
        receiver.flush().unwrap();
        let old = open(Arc::new(inner.inner.after_power_cut()));
        inner.fail_after(calls);
        let installed = install(&receiver, &sent);
        let what = |error| format!("after {calls} calls: {error}");
        check_left(inner.inner.after_power_cut(), &[&old], &sent).map_err(what)?;
        // The store may flush on its own at any time: whatever was written may be what is left.
        inner.inner.flush().unwrap();
        check_left(inner.inner.after_power_cut(), &[&old], &sent).map_err(what)?;
        if installed.is_ok() {
            assert_eq!(receiver.applied(), Some(sent.log_id));
            return Ok(calls);
        }
    }
    unreachable!("the loop ends by return")
}

#[test]
fn each_call_may_fail_and_be_followed_by_a_power_cut() {
    let calls = cut_everywhere(|store| store).unwrap();
    assert!(calls > 10, "the store is asked often: {calls}");
}

/// A wipe at the start may be cut short as well.
#[test]
fn a_start_that_is_cut_short_starts_again() {
    let log = log(60);
    let sent = sent(&log);
    for calls in 0.. {
        let store = Arc::new(FailingStore::new(u64::MAX));
        let receiver = open(store.clone());
        receiver.apply(&log[..20]);
        let short = Sent {
            log_id: sent.log_id,
            parts: sent.parts[..3].to_vec(),
        };
        assert!(install(&receiver, &short).is_err());
        store.fail_after(calls);
        let opened = Shard::open(SHARD, store.clone(), clock());
        store.inner.flush().unwrap();
        check_left(store.inner.after_power_cut(), &[], &sent).unwrap();
        if opened.is_ok() {
            assert!(calls > 3);
            return;
        }
    }
}

/// The broken twin: a store through which no mark gets.
struct Markless(Arc<FailingStore>);

impl ViewStore for Markless {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.0.get(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        self.0.scan(from, to, visit)
    }

    fn scan_back(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        self.0.scan_back(from, to, visit)
    }

    fn write(&self, mut batch: Batch) -> Result<(), StoreError> {
        let mark = installing_key(SHARD);
        if batch.iter().any(|(key, row)| *key == mark && row.is_some()) {
            // With the mark goes what stands in its batch.
            batch.clear();
        }
        self.0.write(batch)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.0.flush()
    }

    fn snapshot(&self) -> Box<dyn ViewSnapshot> {
        self.0.snapshot()
    }
}

#[test]
fn twin_that_sets_no_mark_is_caught() {
    let caught = cut_everywhere(|store| Arc::new(Markless(store))).unwrap_err();
    assert!(caught.contains("rows without a position"), "{caught}");
}
