//! What is in a log lives for decades: the bytes of events, payloads and outcomes, frozen.

use bytes::Bytes;
use engine_events::{
    Appended, Block, BodyStored, Codec, Command, Copied, Event, EventOutcome, FlagMode,
    FlagsChanged, Kind, MailboxCreated, MessageAppended, MessagesCopied, MessagesExpunged, Outcome,
    OutcomeKind, Payload, Refusal, UidRanges, flags_into, ranges_into,
};
use engine_types::{AccountId, CommandId, Flag, Flags, Uid, UidSet, UnixMillis};

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

#[test]
fn body_stored() {
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
    check(
        Kind::BodyStored(event),
        "222c08071003f201250a0810041a0401020304100118032210aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2a0305ac02",
    );
}

#[test]
fn message_appended() {
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
    check(
        Kind::MessageAppended(event.clone()),
        "2230080710038202290a05494e424f581001180122015428e807320608011202247838044208020100000000000048015077",
    );
    let once = MessageAppended {
        once: Bytes::from_static(&[0x5a; 16]),
        ..event
    };
    check(
        Kind::MessageAppended(once),
        "22420807100382023b0a05494e424f581001180122015428e8073206080112022478380442080201000000000000480150775a105a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a",
    );
}

#[test]
fn flags_changed() {
    let event = FlagsChanged {
        mailbox: 2,
        uids: uids(&[(1, 3), (7, 7)]),
        mode: FlagMode::Remove as i32,
        flags: Some(flags_into(&flags(&["\\Deleted"]))),
        unchanged_since: Some(0),
    };
    check(
        Kind::FlagsChanged(event),
        "2219080710038a0212080212060a04010307071802220208082800",
    );
}

#[test]
fn messages_copied() {
    let event = MessagesCopied {
        from: 2,
        uids: uids(&[(1, 1)]),
        to: "a/b".to_owned(),
        remove: true,
    };
    check(
        Kind::MessagesCopied(event),
        "22160807100392020f080212040a0201011a03612f622001",
    );
}

#[test]
fn messages_expunged() {
    let event = MessagesExpunged {
        mailbox: 2,
        uids: uids(&[(1, u32::MAX)]),
        only_deleted: true,
    };
    check(
        Kind::MessagesExpunged(event),
        "2215080710039a020e080212080a0601ffffffff0f1801",
    );
}

#[test]
fn mailbox_created() {
    let event = MailboxCreated {
        name: "Sent".to_owned(),
        special_use: 4,
        uid_validity: 0,
        subscribed: true,
    };
    check(
        Kind::MailboxCreated(event),
        "221108071003ba010a0a0453656e7410042001",
    );
}

#[test]
fn outcome() {
    let appended = Appended {
        mailbox: 1,
        uid_validity: 2,
        uid: 3,
        mod_seq: 4,
        email: 5,
        mailbox_name: "INBOX".to_owned(),
    };
    let copied = Copied {
        mailbox: 1,
        uid_validity: 2,
        from: uids(&[(1, 2)]),
        to: uids(&[(8, 9)]),
        mod_seq: 6,
    };
    let result = |result| EventOutcome {
        result: Some(result),
    };
    let outcome = Outcome {
        events: vec![
            EventOutcome::done(),
            EventOutcome::refused(Refusal::OverQuota),
            result(OutcomeKind::Appended(appended)),
            result(OutcomeKind::Copied(copied)),
        ],
        repeated: true,
    };
    let bytes = outcome.encode_outcome();
    assert_eq!(
        hex(&bytes),
        "0a020a000a0210050a132211080110021803200428053205494e424f580a143212080110021a040a02010222040a02080928061001"
    );
    assert_eq!(Outcome::decode_outcome(&bytes), Ok(outcome));
}
