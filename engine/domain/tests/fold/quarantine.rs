//! A poison event closes one mailbox to changes, and nothing else happens.

use crate::world::{ALICE, EPOCH, MapRows, SHARD, World, appended, body};
use engine_domain::{Quarantined, invariants, quarantined, read};
use engine_events::{
    AccountClosed, AccountOpened, Command, Event, FlagMode, FlagsChanged, Kind, MailboxCreated,
    MailboxDeleted, MailboxRenamed, MessagesCopied, MessagesExpunged, QuotaSet, Refusal, UidRanges,
};
use engine_types::{AccountId, CommandId, MailboxId, MailboxName};

const INBOX: u64 = 1;
const WORK: u64 = 2;
const BOB: AccountId = AccountId(8);

/// alice with two messages in INBOX and one in Work, and bob.
fn world() -> World {
    let mut world = World::with_alice();
    world.one(Kind::MailboxCreated(MailboxCreated {
        name: "Work".to_owned(),
        ..MailboxCreated::default()
    }));
    for mailbox in ["INBOX", "INBOX", "Work"] {
        assert_eq!(world.append(mailbox, 100, "x").refusal(), None);
    }
    let opened = Kind::AccountOpened(AccountOpened::default());
    assert_eq!(bob(&mut world, opened), None);
    world
}

fn bob(world: &mut World, kind: Kind) -> Option<Refusal> {
    world.commands += 1;
    let event = Event::new(BOB, EPOCH, kind);
    let command = Command::new(CommandId(world.commands), 0, "test", vec![event]);
    world.fold(&command).outcome.events[0].refusal()
}

fn key(tag: u8, rest: &[&[u8]]) -> Vec<u8> {
    let mut key = SHARD.to_be_bytes().to_vec();
    key.extend(ALICE.0.to_be_bytes());
    key.push(tag);
    key.extend(rest.concat());
    key
}

fn mailbox_key(mailbox: u64) -> Vec<u8> {
    key(0x02, &[&mailbox.to_be_bytes()])
}

/// Of protobuf, a later field of the same number wins.
fn add(world: &mut World, key: &[u8], field: &[u8]) {
    let row = world.rows.0.get_mut(key).expect("a row to spoil");
    row.extend(field);
}

fn uids() -> Option<UidRanges> {
    Some(UidRanges { bounds: vec![1, 9] })
}

fn expunge(mailbox: u64) -> Kind {
    Kind::MessagesExpunged(MessagesExpunged {
        mailbox,
        uids: uids(),
        only_deleted: false,
    })
}

fn copy(from: u64, to: &str, remove: bool) -> Kind {
    Kind::MessagesCopied(MessagesCopied {
        from,
        uids: uids(),
        to: to.to_owned(),
        remove,
    })
}

fn flag(mailbox: u64) -> Kind {
    Kind::FlagsChanged(FlagsChanged {
        mailbox,
        uids: uids(),
        mode: FlagMode::Remove as i32,
        flags: Some(crate::world::flag_set("x")),
        unchanged_since: None,
    })
}

fn delete(name: &str) -> Kind {
    let name = name.to_owned();
    Kind::MailboxDeleted(MailboxDeleted { name })
}

fn closed(rows: &MapRows) -> Vec<(AccountId, Option<u64>)> {
    let all = quarantined(rows, SHARD, 100).unwrap();
    let closed = |one: Quarantined| (one.account, one.mailbox.map(|mailbox| mailbox.0));
    all.into_iter().map(closed).collect()
}

/// All but the heads and the rows of quarantine.
fn others(rows: &MapRows) -> Vec<(&Vec<u8>, &Vec<u8>)> {
    let is_other = |key: &[u8]| !matches!(key[12], 0x01 | 0x12);
    rows.0.iter().filter(|(key, _)| is_other(key)).collect()
}

/// `kind` meets what `spoil` did, and closes `expect`; all else stays as it was, and goes on.
#[track_caller]
fn check(spoil: impl Fn(&mut World), kind: Kind, expect: &[Option<u64>]) {
    let mut world = world();
    spoil(&mut world);
    let before = world.rows.clone();
    let head = before.0[&key(0x01, &[])].clone();
    let command = world.command(vec![kind.clone()]);
    let folded = world.fold(&command);
    let outcome = &folded.outcome.events[0];
    assert_eq!(outcome.refusal(), Some(Refusal::Quarantined));
    let told: Vec<_> = folded
        .breaches
        .iter()
        .map(|b| b.mailbox.map(|m| m.0))
        .collect();
    assert_eq!(told, expect);
    assert!(folded.breaches.iter().all(|breach| breach.account == ALICE));
    assert!(
        folded
            .breaches
            .iter()
            .all(|breach| !breach.detail.is_empty())
    );
    assert_eq!(folded.touched, []);
    assert_eq!(others(&world.rows), others(&before));
    assert_eq!(world.rows.0[&key(0x01, &[])], head);
    let expect: Vec<_> = expect.iter().map(|mailbox| (ALICE, *mailbox)).collect();
    assert_eq!(closed(&world.rows), expect);
    // The same again is refused, and is no news.
    let command = world.command(vec![kind]);
    let folded = world.fold(&command);
    assert_eq!(
        folded.outcome.events[0].refusal(),
        Some(Refusal::Quarantined)
    );
    assert_eq!(folded.breaches, []);
    assert_eq!(closed(&world.rows), expect);
    let quota = Kind::QuotaSet(QuotaSet { quota_bytes: 0 });
    assert_eq!(bob(&mut world, quota), None, "another account");
}

fn unreadable(key: Vec<u8>) -> impl Fn(&mut World) {
    move |world| drop(world.rows.0.insert(key.clone(), vec![0xff]))
}

#[test]
fn what_is_met_is_closed() {
    let uid = 2u32.to_be_bytes();
    let inbox = INBOX.to_be_bytes();
    let message = || key(0x05, &[&inbox, &uid]);
    let keyword = || key(0x08, &[&inbox, b"x"]);
    check(unreadable(mailbox_key(INBOX)), flag(INBOX), &[Some(INBOX)]);
    check(unreadable(mailbox_key(WORK)), expunge(WORK), &[Some(WORK)]);
    check(unreadable(message()), flag(INBOX), &[Some(INBOX)]);
    check(unreadable(keyword()), flag(INBOX), &[Some(INBOX)]);
    // The row tells which of two mailboxes it is.
    check(
        unreadable(mailbox_key(WORK)),
        copy(INBOX, "Work", false),
        &[Some(WORK)],
    );
    check(
        unreadable(message()),
        copy(INBOX, "Work", true),
        &[Some(INBOX)],
    );
    // MBX-9: fewer messages than unseen ones.
    let contradicts = |world: &mut World| add(world, &mailbox_key(INBOX), &[0x28, 0]);
    check(contradicts, flag(INBOX), &[Some(INBOX)]);
}

/// A row that looks right and is not: the fold's arithmetic does not come out, in the middle of the event.
#[test]
fn a_panic_is_taken_back_as_a_whole() {
    let too_small =
        |mailbox| move |world: &mut World| add(world, &mailbox_key(mailbox), &[0x40, 1]);
    check(too_small(INBOX), expunge(INBOX), &[Some(INBOX)]);
    let moved = copy(INBOX, "Work", true);
    check(too_small(INBOX), moved, &[Some(INBOX), Some(WORK)]);
    let rename = Kind::MailboxRenamed(MailboxRenamed {
        from: "INBOX".to_owned(),
        to: "Old/2026".to_owned(),
    });
    check(too_small(INBOX), rename, &[Some(INBOX)]);
}

/// Where no mailbox is to blame, the account as a whole is closed.
#[test]
fn an_account_may_be_closed() {
    let head = || unreadable(key(0x01, &[]));
    let name = || unreadable(key(0x03, &[b"INBOX"]));
    check_account(head(), flag(INBOX));
    check_account(head(), delete("Work"));
    check(name(), Kind::MailboxCreated(created("INBOX")), &[None]);
    let mailboxes = |world: &mut World| {
        // Field 9 of the account: fewer mailboxes than there are.
        add(world, &key(0x01, &[]), &[0x48, 0]);
    };
    check(mailboxes, delete("Work"), &[Some(WORK)]);
}

fn created(name: &str) -> MailboxCreated {
    MailboxCreated {
        name: name.to_owned(),
        ..MailboxCreated::default()
    }
}

/// As `check`, where the head itself does not decode.
#[track_caller]
fn check_account(spoil: impl Fn(&mut World), kind: Kind) {
    let mut world = world();
    spoil(&mut world);
    for round in 0..2 {
        let command = world.command(vec![kind.clone()]);
        let folded = world.fold(&command);
        let refusal = folded.outcome.events[0].refusal();
        assert_eq!(refusal, Some(Refusal::Quarantined));
        assert_eq!(folded.breaches.len(), usize::from(round == 0));
    }
    assert_eq!(closed(&world.rows), [(ALICE, None)]);
    let quota = Kind::QuotaSet(QuotaSet { quota_bytes: 0 });
    assert_eq!(bob(&mut world, quota), None);
}

/// What is closed refuses all changes; all other mailboxes take them, and reads go on.
#[test]
fn the_rest_of_the_account_goes_on() {
    let mut world = world();
    add(&mut world, &mailbox_key(WORK), &[0x40, 1]);
    let refused = Some(Refusal::Quarantined);
    assert_eq!(world.one(expunge(WORK)).refusal(), refused);
    for kind in [
        flag(WORK),
        expunge(WORK),
        copy(WORK, "INBOX", false),
        copy(INBOX, "Work", false),
        Kind::MailboxRenamed(MailboxRenamed {
            from: "Work".to_owned(),
            to: "Play".to_owned(),
        }),
    ] {
        assert_eq!(world.one(kind).refusal(), refused);
    }
    assert_eq!(world.append("Work", 5, "").refusal(), refused);
    assert_eq!(world.append("INBOX", 5, "").refusal(), None);
    assert_eq!(world.one(flag(INBOX)).refusal(), None);
    assert_eq!(
        world.one(Kind::MailboxCreated(created("New"))).refusal(),
        None
    );
    let name = MailboxName::new("Work").unwrap();
    let row = read::mailbox_by_name(&world.rows, SHARD, ALICE, &name).unwrap();
    assert_eq!(row.unwrap().messages, 1);
    // One event of a command that names both: the other one is applied.
    let kinds = vec![
        body(1),
        Kind::MessageAppended(appended("Work", "")),
        Kind::MessageAppended(appended("INBOX", "")),
    ];
    let command = world.command(kinds);
    let outcome = world.fold(&command).outcome;
    let refusals: Vec<_> = outcome.events.iter().map(|event| event.refusal()).collect();
    assert_eq!(refusals, [None, refused, None]);
}

/// The ways out: the mailbox is deleted, or the account is closed.
#[test]
fn deletion_lifts_it() {
    let spoilt = |row: Option<Vec<u8>>| {
        let mut world = world();
        match row {
            Some(row) => drop(world.rows.0.insert(mailbox_key(WORK), row)),
            None => add(&mut world, &mailbox_key(WORK), &[0x40, 1]),
        }
        let refusal = world.one(expunge(WORK)).refusal();
        assert_eq!(refusal, Some(Refusal::Quarantined));
        world
    };
    for row in [None, Some(vec![0xff])] {
        let mut world = spoilt(row.clone());
        assert_eq!(world.one(delete("Work")).refusal(), None);
        assert_eq!(closed(&world.rows), []);
        assert_eq!(invariants::check(&world.rows, SHARD), Ok(Vec::new()));
        let account = read::account(&world.rows, SHARD, ALICE).unwrap().unwrap();
        assert_eq!(account.used_bytes, 200);
        let mailbox = MailboxId(WORK);
        assert_eq!(read::mailbox(&world.rows, SHARD, ALICE, mailbox), Ok(None));
        assert_eq!(
            world.one(Kind::MailboxCreated(created("Work"))).refusal(),
            None
        );
        let mut world = spoilt(row);
        let close = Kind::AccountClosed(AccountClosed {});
        assert_eq!(world.one(close).refusal(), None);
        assert_eq!(closed(&world.rows), []);
        assert_eq!(invariants::check(&world.rows, SHARD), Ok(Vec::new()));
    }
}

/// What a command led to before stays its answer.
#[test]
fn a_repeated_command_has_its_old_answer() {
    let mut world = world();
    let kinds = vec![body(1), Kind::MessageAppended(appended("Work", ""))];
    let early = world.command(kinds);
    let first = world.fold(&early).outcome;
    add(&mut world, &mailbox_key(WORK), &[0x40, 1]);
    world.one(expunge(WORK));
    let again = world.fold(&early).outcome;
    assert_eq!(again.events, first.events);
    // A refusal is not kept: after the way out, the same command may take effect.
    let late = world.command(vec![flag(WORK)]);
    let refusal = |outcome: engine_events::Outcome| outcome.events[0].refusal();
    assert_eq!(
        refusal(world.fold(&late).outcome),
        Some(Refusal::Quarantined)
    );
    world.one(delete("Work"));
    assert_eq!(
        refusal(world.fold(&late).outcome),
        Some(Refusal::NoSuchMailbox)
    );
}
