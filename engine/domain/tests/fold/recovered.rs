//! A shard goes on from what one site had: numbers jump, and what clients may hold of a lost site is not believed.

use crate::world::{ALICE, SHARD, World, flag_set};
use engine_domain::invariants;
use engine_domain::read;
use engine_events::{
    Event, FlagMode, FlagsChanged, Kind, OutcomeKind, Refusal, ShardRecovered, UidRanges,
    ranges_into,
};
use engine_types::{AccountId, CommandId, ModSeq, Uid, UidSet};

const UID_JUMP: u32 = 1 << 20;

fn recovered(world: &mut World, incarnation: u32) -> Option<Refusal> {
    let kind = Kind::ShardRecovered(ShardRecovered { incarnation });
    let event = Event::new(AccountId(0), 0, kind);
    world.commands += 1;
    let id = CommandId(world.commands);
    let command = engine_events::Command::new(id, 0, "test", vec![event]);
    let folded = world.fold(&command);
    folded.outcome.events[0].refusal()
}

fn inbox(world: &World) -> read::MailboxRow {
    let mailboxes = read::mailboxes(&world.rows, SHARD, ALICE).expect("rows in a map");
    mailboxes
        .into_iter()
        .find(|m| m.name.is_inbox())
        .expect("an INBOX")
}

fn uids(uid: u32) -> UidRanges {
    let mut set = UidSet::new();
    set.insert(Uid(uid));
    ranges_into(&set)
}

/// Which of two outcomes `STORE 1 (UNCHANGEDSINCE since)` has: done, or MODIFIED.
fn is_modified(world: &World, since: u64) -> bool {
    let mut world = world.clone();
    let event = FlagsChanged {
        mailbox: inbox(&world).id.0,
        uids: Some(uids(1)),
        mode: FlagMode::Add as i32,
        flags: Some(flag_set("\\Flagged")),
        unchanged_since: Some(since),
    };
    let outcome = world.one(Kind::FlagsChanged(event));
    match outcome.result {
        Some(OutcomeKind::Flags(stored)) => {
            stored.modified.is_some_and(|uids| !uids.bounds.is_empty())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_number_that_a_client_can_hold_jumps() {
    let mut world = World::with_alice();
    for _ in 0..3 {
        assert_eq!(world.append("INBOX", 10, "").refusal(), None);
    }
    let before = inbox(&world);
    assert_eq!(recovered(&mut world, 2), None);
    let after = inbox(&world);
    assert_eq!(after.uid_validity, before.uid_validity);
    assert_eq!(after.uid_next.0, before.uid_next.0 + UID_JUMP);
    assert_eq!(after.messages, 3);
    assert!(after.highest_mod_seq.0 > before.highest_mod_seq.0 + (1 << 31));
    assert_eq!(invariants::check(&world.rows, SHARD), Ok(Vec::new()));

    assert_eq!(world.append("INBOX", 10, "").refusal(), None);
    let mut wanted = UidSet::new();
    wanted.insert(after.uid_next);
    let found = read::messages(&world.rows, SHARD, ALICE, after.id, &wanted, 9);
    let found = found.expect("rows in a map");
    assert!(
        found.len() == 1 && found[0].1.email.0 > 1 << 31,
        "{found:?}"
    );
    let made = engine_events::MailboxCreated {
        name: "New".to_owned(),
        ..Default::default()
    };
    assert_eq!(world.one(Kind::MailboxCreated(made)).refusal(), None);
    let all = read::mailboxes(&world.rows, SHARD, ALICE).expect("rows in a map");
    let new = all.iter().find(|m| m.name.as_str() == "New").expect("made");
    assert!(new.id.0 > 1 << 31 && new.uid_validity > after.uid_validity);
    assert_eq!(invariants::check(&world.rows, SHARD), Ok(Vec::new()));

    // The event of an interrupted recovery may come twice; a later one counts again.
    assert_eq!(recovered(&mut world, 2), Some(Refusal::Invalid));
    assert_eq!(recovered(&mut world, 1), Some(Refusal::Invalid));
    let once = inbox(&world).uid_next;
    assert_eq!(recovered(&mut world, 3), None);
    assert_eq!(inbox(&world).uid_next.0, once.0 + UID_JUMP);
}

#[test]
fn what_a_lost_site_gave_is_not_believed() {
    let mut world = World::with_alice();
    assert_eq!(world.append("INBOX", 10, "").refusal(), None);
    let last = inbox(&world).highest_mod_seq.0;
    assert_eq!(recovered(&mut world, 2), None);
    let lost = inbox(&world).lost;
    let now = inbox(&world).highest_mod_seq.0;
    let twice = {
        let mut twice = world.clone();
        assert_eq!(recovered(&mut twice, 3), None);
        inbox(&twice).lost
    };
    // What the first lost site gave stays lost after a second recovery.
    assert_eq!(twice.known(ModSeq(last + 1)), ModSeq(0));
    assert_eq!(twice.known(ModSeq(last)), ModSeq(last));
    for (holds, known, modified) in [
        (last - 1, last - 1, true),
        (last, last, false),
        // Given by the lost site, if at all.
        (last + 1, 0, true),
        (now - 1, 0, true),
        (now, now, false),
    ] {
        assert_eq!(lost.known(ModSeq(holds)), ModSeq(known), "{holds}");
        assert_eq!(is_modified(&world, holds), modified, "{holds}");
    }
}

#[test]
fn a_mailbox_without_numbers_to_jump_over_gets_a_new_uidvalidity() {
    let mut world = World::with_alice();
    let append = engine_events::MessageAppended {
        uid: u32::MAX - 5,
        ..crate::world::appended("INBOX", "")
    };
    assert_eq!(world.append_event(1, append).refusal(), None);
    let before = inbox(&world);
    assert_eq!(recovered(&mut world, 2), None);
    let after = inbox(&world);
    assert!(after.uid_validity > before.uid_validity);
    assert_eq!(after.uid_next, before.uid_next);
    assert_eq!(invariants::check(&world.rows, SHARD), Ok(Vec::new()));
}
