//! What is in a log lives for decades: the bytes of events, payloads and outcomes, frozen.

#[path = "golden/values.rs"]
mod values;

use bytes::Bytes;
use engine_events::{
    AccountClosed, AccountForgotten, AccountOpened, AccountRegistered, AccountStateSet,
    AddressRemoved, AddressSet, AddressTarget, Block, BodyChunkStored, BodyStored, Codec, Command,
    CredentialSet, DomainSet, Event, FlagMode, FlagsChanged, Kind, MailboxCreated, MailboxDeleted,
    MailboxRenamed, MessageAppended, MessagesCopied, MessagesExpunged, Payload, QuotaSet,
    ShardRecovered, SubscriptionSet, UidRanges, flags_into, ranges_into,
};
use engine_types::{AccountId, CommandId, Flag, Flags, Uid, UidSet, UnixMillis};
use prost::Message;
use std::collections::BTreeSet;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The payload of one event, both ways. Behind the stamp stand id, actor, session, then the event.
#[track_caller]
fn check(kind: Kind, expect: &str) {
    let event = Event::new(AccountId(7), 3, kind);
    let command = Command::new(CommandId(0x0102), 9, "s1", vec![event]);
    let payload = Payload::stamp(UnixMillis(0x0123_4567), &command.encode_command());
    let head = "6745230100000000\
                0a1000000000000000000000000000000102\
                1009\
                1a027331";
    let shown = hex(&payload);
    assert_eq!(shown, format!("{head}{expect}"));
    let decoded = Payload::decode(payload).expect("bytes made here");
    assert_eq!(
        (decoded.decided_at, decoded.command),
        (UnixMillis(0x0123_4567), command)
    );
}

fn flags(words: &[&str]) -> Flags {
    let parse = |word: &&str| Flag::parse(word).expect("a flag");
    words.iter().map(parse).collect()
}

fn uids(ranges: &[(u32, u32)]) -> Option<UidRanges> {
    let set = UidSet::from_ranges(ranges.iter().map(|&(a, b)| (Uid(a), Uid(b))));
    Some(ranges_into(&set))
}

/// An event, and its bytes behind the command's head.
type Row = (Kind, &'static str);

fn text(text: &str) -> String {
    text.to_owned()
}

fn directory() -> Vec<Row> {
    let (credential, only_if) = (text("{A}b"), text("{B}c"));
    let registered = AccountRegistered {
        account: 9,
        shard: 4,
        epoch: 2,
        address: text("a@x.org"),
        credential: credential.clone(),
    };
    let target = |account, folder| AddressTarget {
        account,
        folder: text(folder),
    };
    let address = AddressSet {
        local: text("a"),
        domain: text("x.org"),
        targets: vec![target(9, "Work"), target(8, "")],
        refusal: text("no"),
        login: true,
        only_new: true,
    };
    let (local, domain) = (text("*"), text("x.org"));
    vec![
        (
            Kind::DomainSet(DomainSet {
                domain: text("example.org"),
                served: true,
            }),
            "221508071003520f0a0b6578616d706c652e6f72671001",
        ),
        (
            Kind::AccountRegistered(registered),
            "221b080710035a1508091004180222076140782e6f72672a047b417d62",
        ),
        (
            Kind::AccountStateSet(AccountStateSet {
                account: 9,
                state: 1,
            }),
            "220a08071003620408091001",
        ),
        (
            Kind::CredentialSet(CredentialSet {
                account: 9,
                credential,
                only_if,
            }),
            "2214080710036a0e080912047b417d621a047b427d63",
        ),
        (
            Kind::AddressSet(address),
            "22260807100372200a01611205782e6f72671a0808091204576f726b1a02080822026e6f28013001",
        ),
        (
            Kind::AddressRemoved(AddressRemoved { local, domain }),
            "2210080710037a0a0a012a1205782e6f7267",
        ),
        (
            Kind::AccountForgotten(AccountForgotten { account: 9 }),
            "2209080710038201020809",
        ),
    ]
}

fn account() -> Vec<Row> {
    let mailbox = |name, special_use, uid_validity| MailboxCreated {
        name: text(name),
        special_use,
        uid_validity,
        subscribed: true,
    };
    let opened = AccountOpened {
        mailboxes: vec![mailbox("INBOX", 0, 0), mailbox("Sent", 4, 77)],
        quota_bytes: 1_000,
    };
    let (from, to, name) = (text("a"), text("b/c"), text("a"));
    let subscription = SubscriptionSet {
        name: name.clone(),
        subscribed: true,
    };
    vec![
        (
            Kind::AccountOpened(opened),
            "222308071003a2011c0a090a05494e424f5820010a0c0a0453656e741004184d200110e807",
        ),
        (Kind::AccountClosed(AccountClosed {}), "220708071003aa0100"),
        (
            Kind::QuotaSet(QuotaSet { quota_bytes: 300 }),
            "220a08071003b2010308ac02",
        ),
        (
            Kind::MailboxCreated(mailbox("Sent", 4, 0)),
            "221108071003ba010a0a0453656e7410042001",
        ),
        (
            Kind::MailboxRenamed(MailboxRenamed { from, to }),
            "220f08071003c201080a01611203622f63",
        ),
        (
            Kind::MailboxDeleted(MailboxDeleted { name }),
            "220a08071003ca01030a0161",
        ),
        (
            Kind::SubscriptionSet(subscription),
            "220c08071003d201050a01611001",
        ),
    ]
}

fn body_chunk_stored() -> Vec<Row> {
    let block = Block {
        codec: Codec::ZstdV1 as i32,
        content_len: 5,
        bytes: vec![0x28, 0xb5].into(),
    };
    let event = BodyChunkStored { block: Some(block) };
    vec![(
        Kind::BodyChunkStored(event),
        "221108071003fa010a0a08080110051a0228b5",
    )]
}

fn body_stored() -> Vec<Row> {
    let block = Block {
        codec: Codec::Plain as i32,
        content_len: 4,
        bytes: vec![1, 2, 3, 4].into(),
    };
    let event = BodyStored {
        block: Some(block),
        facts_len: 1,
        size: 3,
        hash: vec![0xaa; 16].into(),
        chunks: vec![5, 300],
    };
    vec![(
        Kind::BodyStored(event),
        "222c08071003f201250a0810041a0401020304100118032210aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2a0305ac02",
    )]
}

fn message_appended() -> Vec<Row> {
    let event = MessageAppended {
        mailbox: "INBOX".to_owned(),
        or_inbox: true,
        body: 1,
        trace: b"T".to_vec().into(),
        internal_date: 1_000,
        flags: Some(flags_into(&flags(&["\\Seen", "$x"]))),
        uid: 4,
        thread_keys: vec![0x0102],
        check_quota: true,
        internal_date_zone: -60,
        once: Bytes::new(),
    };
    let once = MessageAppended {
        once: Bytes::from_static(&[0x5a; 16]),
        ..event.clone()
    };
    vec![
        (
            Kind::MessageAppended(event),
            "2230080710038202290a05494e424f581001180122015428e807320608011202247838044208020100000000000048015077",
        ),
        (
            Kind::MessageAppended(once),
            "22420807100382023b0a05494e424f581001180122015428e8073206080112022478380442080201000000000000480150775a105a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a",
        ),
    ]
}

fn flags_changed() -> Vec<Row> {
    let event = FlagsChanged {
        mailbox: 2,
        uids: uids(&[(1, 3), (7, 7)]),
        mode: FlagMode::Remove as i32,
        flags: Some(flags_into(&flags(&["\\Deleted"]))),
        unchanged_since: Some(0),
    };
    vec![(
        Kind::FlagsChanged(event),
        "2219080710038a0212080212060a04010307071802220208082800",
    )]
}

fn messages_copied() -> Vec<Row> {
    let event = MessagesCopied {
        from: 2,
        uids: uids(&[(1, 1)]),
        to: "a/b".to_owned(),
        remove: true,
    };
    vec![(
        Kind::MessagesCopied(event),
        "22160807100392020f080212040a0201011a03612f622001",
    )]
}

fn messages_expunged() -> Vec<Row> {
    let event = MessagesExpunged {
        mailbox: 2,
        uids: uids(&[(1, u32::MAX)]),
        only_deleted: true,
    };
    vec![(
        Kind::MessagesExpunged(event),
        "2215080710039a020e080212080a0601ffffffff0f1801",
    )]
}

/// The tag of an event's kind: behind account and epoch of the only event.
fn tag(kind: &Kind) -> u32 {
    let event = Event {
        account: 0,
        epoch: 0,
        kind: Some(kind.clone()),
    };
    let mut bytes = Bytes::from(event.encode_to_vec());
    let key = prost::encoding::decode_varint(&mut bytes).expect("bytes made here");
    (key >> 3) as u32
}

/// Kinds that this build can read: an event that has nothing but an empty message under the tag.
fn known_tags() -> BTreeSet<u32> {
    let is_known = |tag: &u32| {
        let mut bytes = Vec::new();
        prost::encoding::encode_varint(u64::from(*tag) << 3 | 2, &mut bytes);
        bytes.push(0);
        let event = Event::decode(&bytes[..]);
        event.is_ok_and(|event| event.kind.is_some())
    };
    // 1 and 2 are numbers.
    (3..1_000).filter(is_known).collect()
}

fn shard_recovered() -> Vec<Row> {
    let recovered = Kind::ShardRecovered(ShardRecovered { incarnation: 2 });
    vec![(recovered, "2209080710039203020802")]
}

#[test]
fn every_kind_has_its_bytes() {
    let mut rows = directory();
    rows.extend(account());
    for more in [
        body_stored,
        body_chunk_stored,
        message_appended,
        flags_changed,
        messages_copied,
        messages_expunged,
        shard_recovered,
    ] {
        rows.extend(more());
    }
    let frozen: BTreeSet<u32> = rows.iter().map(|(kind, _)| tag(kind)).collect();
    assert_eq!(frozen, known_tags(), "a kind without frozen bytes");
    for (kind, expect) in rows {
        check(kind, expect);
    }
}
