//! Data directories as nodes leave them, with one thing wrong at a time.

use super::{check, problems};
use crate::clock::SystemClock;
use bytes::Bytes;
use engine_events::{
    AccountOpened, BodyChunkStored, BodyStored, Command, Event, Kind, MessageAppended, Payload,
};
use engine_replica::Shard;
use engine_store::{MemoryStore, RocksStore, ViewStore};
use engine_types::{AccountId, CommandId, UnixMillis};
use raft_api::{Committed, LogId, LogIndex, NodeId, ShardId, SnapshotPart, StateMachine};
use raft_log::{CheckpointPart, EntryKind, Identity, Journal, NewEntry, Options, RealDisk};
use std::path::Path;
use std::sync::Arc;

const SHARD: ShardId = ShardId(1);
const ALICE: AccountId = AccountId(7);
/// Entries that the snapshot stands for: a large message and a small one; others come behind it.
const UPTO: usize = 6;

fn command(number: u64, kinds: Vec<Kind>) -> Bytes {
    let event = |kind| Event::new(ALICE, 1, kind);
    let events = kinds.into_iter().map(event).collect();
    let command = Command::new(CommandId(u128::from(number) + 1), 0, "s", events);
    Payload::stamp(UnixMillis(1_000 * number), &command.encode_command())
}

fn message(number: u64, chunks: Vec<u64>) -> Bytes {
    let body = BodyStored {
        chunks,
        ..BodyStored::default()
    };
    let append = MessageAppended {
        mailbox: "INBOX".to_owned(),
        ..MessageAppended::default()
    };
    command(
        number,
        vec![Kind::BodyStored(body), Kind::MessageAppended(append)],
    )
}

fn log() -> Vec<NewEntry> {
    let chunk = |number| {
        let chunk = Kind::BodyChunkStored(BodyChunkStored::default());
        command(number, vec![chunk])
    };
    let opened = Kind::AccountOpened(AccountOpened::default());
    let payloads = [
        Bytes::new(),
        command(1, vec![opened]),
        chunk(2),
        chunk(3),
        message(4, vec![2, 3]),
        message(5, Vec::new()),
        message(6, Vec::new()),
        chunk(7),
    ];
    let entry = |(index, payload): (usize, Bytes)| NewEntry {
        log_id: LogId::new(1, index as u64),
        kind: match index {
            0 => EntryKind::Membership,
            _ => EntryKind::Normal,
        },
        payload,
    };
    payloads.into_iter().enumerate().map(entry).collect()
}

fn committed(entries: &[NewEntry]) -> Vec<Committed> {
    let committed = |entry: &NewEntry| Committed {
        log_id: entry.log_id,
        payload: entry.payload.clone(),
    };
    entries.iter().map(committed).collect()
}

fn open(store: Arc<dyn ViewStore>) -> Arc<Shard> {
    Shard::open(SHARD, store, Arc::new(SystemClock)).unwrap()
}

fn snapshot(entries: &[NewEntry]) -> Vec<SnapshotPart> {
    let sender = open(Arc::new(MemoryStore::new()));
    sender.apply(&committed(entries));
    let source = sender.snapshot().unwrap();
    let mut parts = vec![source.part(&[], 200).unwrap()];
    while let Some(next) = parts[parts.len() - 1].next.clone() {
        parts.push(source.part(&next, 200).unwrap());
    }
    assert!(parts.len() > 2);
    parts
}

fn journal(dir: &Path) -> Journal {
    let identity = Identity {
        cluster: [1; 16],
        incarnation: 1,
        node: NodeId(1),
    };
    let options = Options {
        segment_bytes: 1 << 20,
        reserve_bytes: 1 << 20,
        ..Options::default()
    };
    std::fs::create_dir_all(dir).unwrap();
    Journal::open(Arc::new(RealDisk), dir, identity, options)
        .unwrap()
        .0
}

/// What is done to a node before it is verified.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Nothing,
    /// This payload did not come with the snapshot.
    NotAdopted(u64),
    LastPartMissing,
    RowChanged,
    /// It was cut off before the views were replaced.
    NotInstalled,
}

fn done() -> raft_log::FlushDone {
    Box::new(|result| result.unwrap())
}

/// A node that got its first entries as a snapshot, and the others as entries.
fn installed(dir: &Path, wrong: Wrong) {
    let log = log();
    let parts = snapshot(&log[..UPTO]);
    let at = log[UPTO - 1].log_id;
    let journal = journal(&dir.join("journal"));
    let save = |payload, is_first, is_last| {
        let part = CheckpointPart { is_first, is_last };
        let saved = journal.save_checkpoint_part(SHARD, at, part, payload, done());
        saved.unwrap();
    };
    // An older one that was never finished.
    save(Bytes::from_static(b"members"), true, false);
    save(Bytes::from_static(b"members"), true, false);
    for part in &parts {
        for needed in &part.needs {
            if wrong != Wrong::NotAdopted(needed.0) {
                let entry = log[needed.0 as usize].clone();
                journal.adopt(SHARD, vec![entry], done()).unwrap();
            }
        }
        let is_last = part.next.is_none();
        if !(is_last && wrong == Wrong::LastPartMissing) {
            save(part.bytes.clone(), false, is_last);
        }
    }
    let store = Arc::new(RocksStore::open(&dir.join("views")).unwrap());
    let shard = open(store.clone());
    if wrong == Wrong::NotInstalled {
        shard.apply(&committed(&log[..2]));
    } else {
        journal.purge(SHARD, at, done()).unwrap();
        journal.append(SHARD, log[UPTO..].to_vec(), done()).unwrap();
        let mut bytes = parts.into_iter().map(|part| Ok(part.bytes));
        shard.install(at, &mut bytes).unwrap();
        shard.apply(&committed(&log[UPTO..]));
    }
    if wrong == Wrong::RowChanged {
        let mut key = SHARD.0.to_be_bytes().to_vec();
        key.extend([0xee; 9]);
        store.write(vec![(key, Some(b"rot".to_vec()))]).unwrap();
    }
    shard.flush().unwrap();
    journal.close();
}

#[track_caller]
fn expect(dir: &Path, texts: &[&str]) {
    let found = check(dir).unwrap();
    let problems = problems(&found);
    assert_eq!(problems.len(), texts.len(), "{problems:?}");
    for (problem, text) in problems.iter().zip(texts) {
        assert!(problem.contains(text), "{problem}");
    }
}

#[track_caller]
fn check_installed(wrong: Wrong, texts: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    installed(dir.path(), wrong);
    expect(dir.path(), texts);
}

#[test]
fn a_node_that_was_installed_from_a_snapshot() {
    check_installed(Wrong::Nothing, &[]);
    check_installed(Wrong::NotInstalled, &[]);
    let lost = "no frame holds entry 5, the body of message 2 of mailbox 1 of account 7";
    check_installed(Wrong::NotAdopted(5), &[lost]);
    let piece = "no frame holds entry 3, the body of a piece of a message";
    let lost = "no frame holds entry 3, the body of message 1 of mailbox 1";
    check_installed(Wrong::NotAdopted(3), &[piece, lost]);
    let incomplete = "does not hold all entries up to 1.7";
    check_installed(Wrong::LastPartMissing, &[incomplete]);
    check_installed(
        Wrong::RowChanged,
        &["the rows on disk are not those of their own digest"],
    );
}

#[test]
fn a_node_that_has_the_whole_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = log();
    let journal = journal(&dir.path().join("journal"));
    journal.append(SHARD, log.clone(), done()).unwrap();
    // What was never committed, and went.
    let tail = |term| NewEntry {
        log_id: LogId::new(term, log.len() as u64),
        kind: EntryKind::Normal,
        payload: message(9, Vec::new()),
    };
    journal.append(SHARD, vec![tail(1)], done()).unwrap();
    let last = Some(log[log.len() - 1].log_id);
    journal.truncate_after(SHARD, last, done()).unwrap();
    journal.append(SHARD, vec![tail(2)], done()).unwrap();
    // The start of the log is purged; its frames are still here.
    let upto = log[3].log_id;
    journal.purge(SHARD, upto, done()).unwrap();
    journal.close();
    let store = Arc::new(RocksStore::open(&dir.path().join("views")).unwrap());
    let shard = open(store);
    shard.apply(&committed(&log));
    shard.flush().unwrap();
    drop(shard);
    let found = check(dir.path()).unwrap();
    assert!(problems(&found).is_empty(), "{:?}", problems(&found));
    let shard = &found.shards[0];
    assert_eq!(shard.position, Some(LogId::new(1, 7)));
    assert_eq!(LogIndex(7), shard.position.unwrap().index);
    // Three messages, two chunks of one of them, and three pieces' own rows.
    assert_eq!(shard.references, 8);
    assert!(shard.text.contains("views agree with the journal at 1.7"));
}

/// Views that hold something else than the log says.
#[test]
fn views_that_differ_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = log();
    let journal = journal(&dir.path().join("journal"));
    journal.append(SHARD, log.clone(), done()).unwrap();
    journal.close();
    log[6].payload = Bytes::new();
    let store = Arc::new(RocksStore::open(&dir.path().join("views")).unwrap());
    let shard = open(store);
    shard.apply(&committed(&log));
    shard.flush().unwrap();
    drop(shard);
    expect(dir.path(), &["views differ from the journal at 1.7"]);
}
