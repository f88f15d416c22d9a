//! Rows go to other nodes in snapshots and into checkpoints: their keys and values (`docs/formats/rows.md`), frozen in
//! `golden.rows`, one `key = value` (or a key alone) a line, after a short life of a shard and of the control group.

use crate::world::{ALICE, EPOCH, SHARD, World, appended, flag_set};
use bytes::Bytes;
use engine_domain::RowsMut as _;
use engine_events::{
    AccountClosed, AccountOpened, AccountRegistered, AddressSet, AddressTarget, BodyChunkStored,
    BodyStored, Command, DomainSet, Event, FlagMode, FlagsChanged, Kind, MailboxCreated,
    MessageAppended, MessagesCopied, MessagesExpunged, SubscriptionSet, UidRanges,
};
use engine_types::{AccountId, CommandId};
use std::collections::BTreeSet;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn shown(world: &World) -> String {
    let row = |(key, value): (&Vec<u8>, &Vec<u8>)| match value.is_empty() {
        true => format!("{}\n", hex(key)),
        false => format!("{} = {}\n", hex(key), hex(value)),
    };
    world.rows.0.iter().map(row).collect()
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn uids(bounds: &[u32]) -> Option<UidRanges> {
    let bounds = bounds.to_vec();
    Some(UidRanges { bounds })
}

fn done(world: &mut World, kind: Kind) {
    assert_eq!(world.one(kind).refusal(), None);
}

/// Every kind of row of a mail shard.
fn mail() -> World {
    let mut world = World::with_alice();
    done(
        &mut world,
        Kind::MailboxCreated(MailboxCreated {
            name: text("Sent"),
            special_use: 4,
            uid_validity: 0,
            subscribed: true,
        }),
    );
    let (name, subscribed) = (text("gone"), true);
    done(
        &mut world,
        Kind::SubscriptionSet(SubscriptionSet { name, subscribed }),
    );
    done(
        &mut world,
        Kind::BodyChunkStored(BodyChunkStored::default()),
    );
    let chunks = vec![world.log.len() as u64];
    let stored = BodyStored {
        size: 300,
        hash: Bytes::from_static(&[0xaa; 16]),
        chunks,
        ..BodyStored::default()
    };
    let message = MessageAppended {
        trace: Bytes::from_static(b"T"),
        internal_date: 1_000,
        internal_date_zone: -60,
        flags: Some(flag_set("\\Seen $Label")),
        thread_keys: vec![0x0102],
        once: Bytes::from_static(&[0x5a; 16]),
        ..appended("INBOX", "")
    };
    let kinds = vec![Kind::BodyStored(stored), Kind::MessageAppended(message)];
    let command = world.command(kinds);
    assert!(
        world
            .fold(&command)
            .outcome
            .events
            .iter()
            .all(|e| e.refusal().is_none())
    );
    assert_eq!(world.append("INBOX", 5, "").refusal(), None);
    world.clock_ms += 1;
    done(
        &mut world,
        Kind::FlagsChanged(FlagsChanged {
            mailbox: 1,
            uids: uids(&[2, 2]),
            mode: FlagMode::Add as i32,
            flags: Some(flag_set("\\Deleted $label")),
            unchanged_since: None,
        }),
    );
    done(
        &mut world,
        Kind::MessagesCopied(MessagesCopied {
            from: 1,
            uids: uids(&[1, 2]),
            to: text("Sent"),
            remove: false,
        }),
    );
    done(
        &mut world,
        Kind::MessagesExpunged(MessagesExpunged {
            mailbox: 1,
            uids: uids(&[1, 2]),
            only_deleted: true,
        }),
    );
    other_account(&mut world, Kind::AccountOpened(AccountOpened::default()));
    other_account(&mut world, Kind::AccountClosed(AccountClosed {}));
    poison(&mut world);
    world
}

/// A row that cannot be, and an event that meets it: the mailbox is closed.
fn poison(world: &mut World) {
    let mut sent = SHARD.to_be_bytes().to_vec();
    sent.extend(ALICE.0.to_be_bytes());
    sent.push(0x02);
    sent.extend(2_u64.to_be_bytes());
    world.rows.put(sent, vec![0xff]);
    let event = FlagsChanged {
        mailbox: 2,
        uids: uids(&[1, 1]),
        flags: Some(flag_set("\\Draft")),
        ..FlagsChanged::default()
    };
    assert!(world.one(Kind::FlagsChanged(event)).refusal().is_some());
}

fn other_account(world: &mut World, kind: Kind) {
    world.commands += 1;
    let event = Event::new(AccountId(8), EPOCH, kind);
    let command = Command::new(CommandId(world.commands), 0, "test", vec![event]);
    assert_eq!(world.fold(&command).outcome.events[0].refusal(), None);
}

/// Every kind of row of the control group.
fn control() -> World {
    let mut world = World::empty(0);
    let (domain, served) = (text("x.org"), true);
    done(&mut world, Kind::DomainSet(DomainSet { domain, served }));
    done(
        &mut world,
        Kind::AccountRegistered(AccountRegistered {
            account: 9,
            shard: 4,
            epoch: 2,
            address: text("a@x.org"),
            credential: text("{A}b"),
        }),
    );
    let target = AddressTarget {
        account: 9,
        folder: text("Work"),
    };
    done(
        &mut world,
        Kind::AddressSet(AddressSet {
            local: text("b"),
            domain: text("x.org"),
            targets: vec![target],
            refusal: text("no"),
            login: false,
            only_new: true,
        }),
    );
    world
}

/// The tags that stand behind shard and account.
fn tags(rows: &World) -> BTreeSet<u8> {
    rows.rows.0.keys().map(|key| key[12]).collect()
}

#[test]
fn rows_keep_their_bytes() {
    let (mail, control) = (mail(), control());
    let shown = format!("mail\n{}control\n{}", shown(&mail), shown(&control));
    assert!(shown == include_str!("golden.rows"), "{shown}");
    let all: Vec<u8> = tags(&mail).union(&tags(&control)).copied().collect();
    let frozen = [
        1, 2, 3, 4, 5, 6, 7, 8, 0x0a, 0x0b, 0x10, 0x11, 0x12, 0x20, 0x21, 0x22, 0x23, 0x24,
    ];
    assert_eq!(all, frozen, "every tag of `keys.rs`");
}
