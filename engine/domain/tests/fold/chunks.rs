//! Pieces of large bodies: a row each until they are old, and what a snapshot must bring with a row.

use crate::world::{MapRows, SHARD, World, appended};
use engine_domain::limits::{CHUNK_AGE_MS_MAX, CHUNKS_PRUNED_PER_ENTRY_MAX};
use engine_domain::{entries_named, invariants};
use engine_events::limits::CHUNKS_PER_BODY_MAX;
use engine_events::{
    BodyChunkStored, BodyStored, Kind, MessagesCopied, MessagesExpunged, QuotaSet, Refusal,
    UidRanges,
};

/// The log index of the chunk's entry.
fn chunk(world: &mut World) -> u64 {
    let outcome = world.one(Kind::BodyChunkStored(BodyChunkStored::default()));
    assert_eq!(outcome.refusal(), None);
    world.log.last().unwrap().0.index
}

/// A message whose body names `chunks`; the log index of its entry.
fn append(world: &mut World, chunks: Vec<u64>) -> Result<u64, Refusal> {
    let body = BodyStored {
        chunks,
        ..BodyStored::default()
    };
    let append = Kind::MessageAppended(appended("INBOX", ""));
    let command = world.command(vec![Kind::BodyStored(body), append]);
    let outcome = world.fold(&command).outcome.events.remove(1);
    match outcome.refusal() {
        Some(refusal) => Err(refusal),
        None => Ok(world.log.last().unwrap().0.index),
    }
}

/// An entry that brings nothing.
fn pass(world: &mut World) {
    world.one(Kind::QuotaSet(QuotaSet { quota_bytes: 0 }));
}

#[track_caller]
fn named(rows: &MapRows) -> Vec<u64> {
    let mut named = Vec::new();
    for (key, value) in &rows.0 {
        entries_named(key, value, &mut |index| named.push(index)).unwrap();
    }
    named.sort_unstable();
    named.dedup();
    assert_eq!(invariants::check(rows, SHARD), Ok(Vec::new()));
    named
}

#[test]
fn rows_name_every_entry_that_a_body_lies_in() {
    let mut world = World::with_alice();
    assert_eq!(named(&world.rows), []);
    let first = chunk(&mut world);
    let second = chunk(&mut world);
    assert_eq!(named(&world.rows), [first, second], "on their way");
    let body = append(&mut world, vec![first, second]).unwrap();
    let small = append(&mut world, Vec::new()).unwrap();
    let all = [first, second, body, small];
    assert_eq!(named(&world.rows), all);
    // Old enough for the chunks' own rows to go: the message names them still, and so do its copies.
    world.clock_ms += CHUNK_AGE_MS_MAX + 1;
    pass(&mut world);
    assert_eq!(named(&world.rows), all);
    let uids = Some(UidRanges { bounds: vec![1, 1] });
    let to = "INBOX".to_owned();
    world.one(Kind::MessagesCopied(MessagesCopied {
        from: 1,
        uids: uids.clone(),
        to,
        remove: false,
    }));
    world.one(Kind::MessagesExpunged(MessagesExpunged {
        mailbox: 1,
        uids,
        only_deleted: false,
    }));
    assert_eq!(named(&world.rows), all);
    world.one(Kind::MessagesExpunged(MessagesExpunged {
        mailbox: 1,
        uids: Some(UidRanges { bounds: vec![3, 3] }),
        only_deleted: false,
    }));
    assert_eq!(named(&world.rows), [small]);
}

#[test]
fn a_chunk_that_nobody_names_goes_in_time() {
    let mut world = World::with_alice();
    let many = CHUNKS_PRUNED_PER_ENTRY_MAX + 3;
    let old: Vec<u64> = (0..many).map(|_| chunk(&mut world)).collect();
    world.clock_ms += CHUNK_AGE_MS_MAX;
    let young = chunk(&mut world);
    assert_eq!(named(&world.rows).len(), many + 1, "not above the age");
    world.clock_ms += 1;
    pass(&mut world);
    let left = [&old[many - 3..], &[young]].concat();
    assert_eq!(named(&world.rows), left, "few in one entry");
    pass(&mut world);
    assert_eq!(named(&world.rows), [young]);
    world.clock_ms += CHUNK_AGE_MS_MAX;
    pass(&mut world);
    assert_eq!(named(&world.rows), []);
    let next = chunk(&mut world);
    assert_eq!(named(&world.rows), [next]);
}

/// What has no row may not be held by a replica that was installed from a snapshot.
#[test]
fn a_body_names_chunks_that_are_here() {
    let mut world = World::with_alice();
    let here = chunk(&mut world);
    let own = world.log.len() as u64 + 1;
    let no_chunk = 1;
    for bad in [own, own + 1, no_chunk, u64::MAX] {
        assert_eq!(append(&mut world, vec![here, bad]), Err(Refusal::TooOld));
    }
    let many = vec![here; CHUNKS_PER_BODY_MAX + 1];
    assert_eq!(append(&mut world, many), Err(Refusal::Limit));
    assert!(append(&mut world, vec![here]).is_ok());
    assert!(append(&mut world, vec![here]).is_ok(), "a second command");
    world.clock_ms += CHUNK_AGE_MS_MAX + 1;
    pass(&mut world);
    assert_eq!(append(&mut world, vec![here]), Err(Refusal::TooOld));
}
