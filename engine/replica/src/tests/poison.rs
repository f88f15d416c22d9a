//! A poison event closes a mailbox on all replicas alike; rows that only one replica has stop it.

use super::workload::{ALICE, BOB, SHARD, command, entry, log, open, rows};
use crate::keys::position_key;
use crate::position::PositionRow;
use crate::{Shard, Stopped, View};
use bytes::Bytes;
use engine_domain::invariants;
use engine_events::{Kind, MessagesExpunged, Outcome, Payload, QuotaSet, Refusal, UidRanges};
use engine_store::{MemoryStore, ViewStore};
use engine_types::UnixMillis;
use raft_api::{Committed, LogId, StateMachine};
use std::sync::Arc;

const LEN: u64 = 60;
const INBOX: u64 = 1;

fn mailbox_key() -> Vec<u8> {
    let mut key = SHARD.0.to_be_bytes().to_vec();
    key.extend(ALICE.0.to_be_bytes());
    key.push(0x02);
    key.extend(INBOX.to_be_bytes());
    key
}

/// INBOX counts one octet: field 8 once more, and the last one wins.
fn spoil(store: &MemoryStore) {
    let mut row = store.get(&mailbox_key()).unwrap().unwrap().to_vec();
    row.extend([0x40, 1]);
    store.write(vec![(mailbox_key(), Some(row))]).unwrap();
}

/// As though the fold had written what is there.
fn agree(store: &MemoryStore) {
    let view = View::at_rest(SHARD, store);
    let (position, _) = view.position_row().unwrap().unwrap();
    let digest = u128::from_be_bytes(view.recompute_digest().unwrap().value);
    let row = PositionRow::new(position, digest).encode_row();
    let batch = vec![(position_key(SHARD), Some(row))];
    store.write(batch).unwrap();
}

/// A replica that has folded the workload but for its end, spoilt.
fn replica(log: &[Committed], agrees: bool) -> Arc<Shard> {
    let store = Arc::new(MemoryStore::new());
    open(store.clone()).apply(log);
    spoil(&store);
    if agrees {
        agree(&store);
    }
    open(store)
}

/// What meets the breach, twice, with events for others around it.
fn poison() -> Vec<Committed> {
    let expunge = || {
        let event = MessagesExpunged {
            mailbox: INBOX,
            uids: Some(UidRanges {
                bounds: vec![1, 99],
            }),
            only_deleted: false,
        };
        vec![Kind::MessagesExpunged(event)]
    };
    let quota = |quota_bytes| vec![Kind::QuotaSet(QuotaSet { quota_bytes })];
    let commands = [
        command(LEN, BOB, quota(1_000_000)),
        command(LEN + 1, ALICE, expunge()),
        command(LEN + 2, ALICE, quota(2_000_000)),
        command(LEN + 3, ALICE, expunge()),
        command(LEN + 4, BOB, quota(3_000_000)),
    ];
    let stamp = |(at, bytes): (usize, Bytes)| {
        let index = LEN - 2 + at as u64;
        entry(index, Payload::stamp(UnixMillis(1_800_000_000_000), &bytes))
    };
    commands.into_iter().enumerate().map(stamp).collect()
}

fn refusals(outcomes: &[Bytes]) -> Vec<Option<Refusal>> {
    let decode = |bytes: &Bytes| Outcome::decode_outcome(bytes).unwrap().events[0].refusal();
    outcomes.iter().map(decode).collect()
}

#[test]
fn all_replicas_close_the_mailbox_alike() {
    let log = log(LEN);
    let log = &log[..LEN as usize - 2];
    let mut ends = Vec::new();
    for batch_len in [1, 2, 5] {
        let shard = replica(log, true);
        let mut outcomes = Vec::new();
        for batch in poison().chunks(batch_len) {
            outcomes.extend(shard.apply(batch));
        }
        let closed = Some(Refusal::Quarantined);
        assert_eq!(refusals(&outcomes), [None, closed, None, closed, None]);
        assert_eq!(*shard.stopped().borrow(), None);
        let view = shard.view();
        assert_eq!(shard.digest(), view.recompute_digest().unwrap());
        let quarantined = view.quarantined(9).unwrap();
        assert_eq!(quarantined.len(), 1);
        assert_eq!((quarantined[0].account, quarantined[0].index), (ALICE, 59));
        // But for what was spoilt, all is as it should be.
        let breaches = invariants::check(&view, SHARD.0).unwrap();
        let of_spoilt =
            |breach: &String| breach.starts_with("MBX-1") || breach.starts_with("ACC-1");
        assert!(breaches.iter().all(of_spoilt), "{breaches:?}");
        ends.push((shard.digest(), rows(&view)));
    }
    assert!(ends.iter().all(|end| *end == ends[0]));
}

/// The row is this replica's alone: it must not decide by it.
#[test]
fn rot_is_not_poison() {
    let log = log(LEN);
    let log = &log[..LEN as usize - 2];
    for batch_len in [1, 5] {
        let shard = replica(log, false);
        let mut outcomes = Vec::new();
        for batch in poison().chunks(batch_len) {
            outcomes.extend(shard.apply(batch));
        }
        let stopped = shard.stopped().borrow().clone();
        let at = LogId::new(2, LEN - 1);
        assert!(
            matches!(&stopped, Some(Stopped::Rotten { at: found, .. }) if *found == at),
            "{stopped:?}"
        );
        // What stood before it in the same batch is not written either.
        let applied = if batch_len == 1 { LEN - 2 } else { LEN - 3 };
        assert_eq!(shard.applied(), Some(LogId::new(2, applied)));
        assert_eq!(shard.view().quarantined(9).unwrap(), []);
        assert!(outcomes[1..].iter().all(Bytes::is_empty));
    }
}

/// The broken twin: a replica that takes its rot for poison. Its digest is not that of the others.
#[test]
fn twin_that_decides_by_its_own_rot_is_caught() {
    let log = log(LEN);
    let log = &log[..LEN as usize - 2];
    let twin = replica(log, true);
    let sound = Arc::new(MemoryStore::new());
    let sound = open(sound);
    sound.apply(log);
    let outcomes = [twin.apply(&poison()), sound.apply(&poison())];
    assert_ne!(outcomes[0], outcomes[1]);
    assert_eq!(twin.digest().position, sound.digest().position);
    assert_ne!(twin.digest().value, sound.digest().value);
}
