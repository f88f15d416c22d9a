//! Rules of mail, each by its section.

use crate::world::{ALICE, SHARD, START, World, appended};
use engine_domain::limits::TOMBSTONES_PER_MAILBOX_MAX;
use engine_domain::{invariants, read};
use engine_events::{
    EventOutcome, Kind, MailboxCreated, MailboxDeleted, MailboxRenamed, MessageAppended,
    MessagesExpunged, OutcomeKind, Refusal, UidRanges,
};
use engine_types::{MailboxId, MailboxName, ModSeq, Uid};

fn create(world: &mut World, name: &str, uid_validity: u32) -> EventOutcome {
    world.one(Kind::MailboxCreated(MailboxCreated {
        name: name.to_owned(),
        uid_validity,
        ..MailboxCreated::default()
    }))
}

fn delete(world: &mut World, name: &str) -> EventOutcome {
    let name = name.to_owned();
    world.one(Kind::MailboxDeleted(MailboxDeleted { name }))
}

fn validity(world: &World, name: &str) -> u32 {
    let name = MailboxName::new(name).unwrap();
    let row = read::mailbox_by_name(&world.rows, SHARD, ALICE, &name).unwrap();
    row.unwrap().uid_validity.0
}

fn appended_to(outcome: EventOutcome) -> Result<(String, u32), Refusal> {
    match (outcome.refusal(), outcome.result) {
        (None, Some(OutcomeKind::Appended(done))) => Ok((done.mailbox_name, done.uid)),
        (refusal, _) => Err(refusal.expect("refused")),
    }
}

fn expunge(world: &mut World, mailbox: u64, bounds: Vec<u32>) {
    let outcome = world.one(Kind::MessagesExpunged(MessagesExpunged {
        mailbox,
        uids: Some(UidRanges { bounds }),
        only_deleted: false,
    }));
    assert_eq!(outcome.refusal(), None);
}

/// RFC 9051 §2.3.1.1: a name that comes back gets a greater UIDVALIDITY, also within one second.
#[test]
fn uid_validity_rises_over_delete_and_create() {
    let mut world = World::with_alice();
    assert_eq!(u64::from(validity(&world, "INBOX")), START / 1_000);
    create(&mut world, "a", 0);
    let first = validity(&world, "a");
    delete(&mut world, "a");
    create(&mut world, "a", 0);
    assert!(validity(&world, "a") > first);
}

/// Promise P5: an import may bring its UIDVALIDITY, but none that stood for other messages here.
#[test]
fn an_imported_uid_validity_never_stood_for_something_else() {
    let mut world = World::with_alice();
    let taken = Some(Refusal::NotAllowed);
    assert_eq!(create(&mut world, "old", 12_345).refusal(), None);
    assert_eq!(validity(&world, "old"), 12_345);
    assert_eq!(create(&mut world, "twin", 12_345).refusal(), taken);
    delete(&mut world, "old");
    assert_eq!(create(&mut world, "old", 12_345).refusal(), taken);
    assert_eq!(create(&mut world, "old", 12_344).refusal(), taken);
    assert_eq!(create(&mut world, "old", 12_346).refusal(), None);
    assert_eq!(create(&mut world, "max", u32::MAX).refusal(), taken);
}

#[test]
fn uids_only_rise() {
    let mut world = World::with_alice();
    let with_uid = |uid| MessageAppended {
        uid,
        ..appended("INBOX", "")
    };
    let mut append = |uid| appended_to(world.append_event(1, with_uid(uid))).map(|(_, uid)| uid);
    assert_eq!(append(0), Ok(1));
    assert_eq!(append(7), Ok(7));
    assert_eq!(append(7), Err(Refusal::NotAllowed));
    assert_eq!(append(0), Ok(8));
    assert_eq!(append(u32::MAX), Err(Refusal::UidsExhausted));
    assert_eq!(append(u32::MAX - 1), Ok(u32::MAX - 1));
    assert_eq!(append(0), Err(Refusal::UidsExhausted));
    expunge(&mut world, 1, vec![1, u32::MAX]);
    assert_eq!(
        appended_to(world.append("INBOX", 1, "")),
        Err(Refusal::UidsExhausted)
    );
    assert_eq!(invariants::check(&world.rows, SHARD), Ok(Vec::new()));
}

#[test]
fn deliveries_fall_back_to_inbox_and_appends_do_not() {
    let mut world = World::with_alice();
    let mut event = appended("nowhere", "");
    let refused = appended_to(world.append_event(1, event.clone()));
    assert_eq!(refused, Err(Refusal::NoSuchMailbox));
    event.or_inbox = true;
    let fallen = appended_to(world.append_event(1, event.clone()));
    assert_eq!(fallen, Ok(("INBOX".to_owned(), 1)));
    // A body that is not before it in the command.
    event.body = 1;
    assert_eq!(
        appended_to(world.append_event(1, event)),
        Err(Refusal::Invalid)
    );
}

/// RFC 9051 §6.3.6: INBOX stays and is empty, its children stay, the messages keep their email ids.
#[test]
fn renaming_inbox_moves_its_messages() {
    let mut world = World::with_alice();
    create(&mut world, "INBOX/sub", 0);
    world.append("INBOX", 5, "\\Seen");
    world.append("INBOX", 6, "");
    let done = world.one(Kind::MailboxRenamed(MailboxRenamed {
        from: "inbox".to_owned(),
        to: "old/mail".to_owned(),
    }));
    assert_eq!(done.refusal(), None);
    let rows = read::mailboxes(&world.rows, SHARD, ALICE).unwrap();
    let shown: Vec<_> = rows
        .iter()
        .map(|r| (r.name.as_str(), r.messages, r.size))
        .collect();
    let expect = [
        ("INBOX", 0, 0),
        ("INBOX/sub", 0, 0),
        ("old", 0, 0),
        ("old/mail", 2, 11),
    ];
    assert_eq!(shown, expect);
    let first = read::first_unseen(&world.rows, SHARD, ALICE, rows[3].id);
    assert_eq!(first, Ok(Some(Uid(2))));
}

/// RFC 7162 §3.2.10.1: what is no longer known exactly is answered with more, never with less.
#[test]
fn tombstones_have_a_bound_and_old_clients_still_learn_all() {
    let mut world = World::with_alice();
    let inbox = MailboxId(1);
    world.append("INBOX", 1, "");
    let since = read::account(&world.rows, SHARD, ALICE)
        .unwrap()
        .unwrap()
        .mod_seq;
    for uid in 2..=TOMBSTONES_PER_MAILBOX_MAX + 11 {
        world.append("INBOX", 1, "");
        expunge(&mut world, 1, vec![uid, uid]);
    }
    world.append("INBOX", 1, "");
    assert_eq!(invariants::check(&world.rows, SHARD), Ok(Vec::new()));
    let vanished = |since| {
        let changes = read::changes(&world.rows, SHARD, ALICE, inbox, since).unwrap();
        (changes.0.len(), changes.1.to_string())
    };
    let last = TOMBSTONES_PER_MAILBOX_MAX + 11;
    assert_eq!(vanished(since), (1, format!("2:{last}")));
    let late = ModSeq(since.0 + 2 * u64::from(last - 2));
    assert_eq!(vanished(late), (1, last.to_string()));
}

/// A delivery touches as many rows in a mailbox of two hundred messages as in an empty one.
#[test]
fn a_delivery_touches_few_rows() {
    let mut world = World::with_alice();
    let mut touched = Vec::new();
    for _ in 0..200 {
        let before = world.rows.clone();
        world.append("INBOX", 1, "\\Seen $x");
        let differs = |(key, value): &(&Vec<u8>, &Vec<u8>)| before.0.get(*key) != Some(*value);
        let written = world.rows.0.iter().filter(differs);
        touched.push(
            written
                .map(|(key, value)| key.len() + value.len())
                .sum::<usize>(),
        );
        assert!(world.rows.0.len() - before.0.len() <= 5);
    }
    let most = touched.iter().max().unwrap();
    assert!(*most < 800, "{most} bytes of rows for one delivery");
}
