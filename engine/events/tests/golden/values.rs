//! Bytes of outcomes, facts and blocks, frozen.

use super::{hex, text, uids};
use bytes::Bytes;
use engine_events::{
    Addr, Appended, Block, BodyPart, Codec, Copied, Disposition, Envelope, EventOutcome, Expunged,
    Facts, FlagsStored, MailboxMade, Outcome, OutcomeKind, Param, PartKind, Refusal, decompress,
};
use prost::Message;

#[test]
fn outcomes() {
    let appended = Appended {
        mailbox: 1,
        uid_validity: 2,
        uid: 3,
        mod_seq: 4,
        email: 5,
        mailbox_name: text("INBOX"),
    };
    let copied = Copied {
        mailbox: 1,
        uid_validity: 2,
        from: uids(&[(1, 2)]),
        to: uids(&[(8, 9)]),
        mod_seq: 6,
    };
    let made = MailboxMade {
        mailbox: 12,
        uid_validity: 34,
    };
    let stored = FlagsStored {
        changed: uids(&[(1, 3)]),
        modified: uids(&[(4, 4)]),
        mod_seq: 9,
    };
    let expunged = Expunged {
        uids: uids(&[(2, 2)]),
        mod_seq: 10,
    };
    let result = |result| EventOutcome {
        result: Some(result),
    };
    let check = |events: Vec<EventOutcome>, repeated, expect: &str| {
        let outcome = Outcome { events, repeated };
        let bytes = outcome.encode_outcome();
        assert_eq!(hex(&bytes), expect);
        assert_eq!(Outcome::decode_outcome(&bytes), Ok(outcome));
    };
    check(
        vec![
            EventOutcome::done(),
            EventOutcome::refused(Refusal::OverQuota),
            result(OutcomeKind::Appended(appended)),
            result(OutcomeKind::Copied(copied)),
        ],
        true,
        "0a020a000a0210050a132211080110021803200428053205494e424f580a143212080110021a040a02010222040a02080928061001",
    );
    check(
        vec![
            result(OutcomeKind::Mailbox(made)),
            result(OutcomeKind::Flags(stored)),
            result(OutcomeKind::Expunged(expunged)),
        ],
        false,
        "0a061a04080c10220a102a0e0a040a02010312040a02040418090a0a3a080a040a020202100a",
    );
}

#[test]
fn refusals_keep_their_numbers() {
    let all: Vec<String> = (0..)
        .map_while(|number| Refusal::try_from(number).ok())
        .map(|refusal| format!("{refusal:?}"))
        .collect();
    assert_eq!(
        all.join(" "),
        "Invalid NoSuchAccount WrongShard NoSuchMailbox MailboxExists OverQuota NotAllowed Limit AddressTaken \
         NoSuchAddress Changed AccountExists UidsExhausted Quarantined TooOld"
    );
}

/// Every field of a message's facts.
#[test]
fn facts() {
    let some = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
    let only = |mailbox| {
        vec![Addr {
            mailbox: some(mailbox),
            ..Addr::default()
        }]
    };
    let param = |name: &'static str, value: &'static str| Param {
        name: name.into(),
        value: value.into(),
    };
    let envelope = Envelope {
        date: some("D"),
        subject: some("S"),
        from: vec![Addr {
            name: some("N"),
            adl: some("A"),
            mailbox: some("m"),
            host: some("h"),
        }],
        sender: only("s"),
        reply_to: only("r"),
        to: only("t"),
        cc: only("c"),
        bcc: only("b"),
        in_reply_to: some("I"),
        message_id: some("M"),
    };
    let inner = BodyPart {
        kind: PartKind::Text as i32,
        media_type: text("TEXT"),
        subtype: text("PLAIN"),
        params: vec![param("charset", "utf-8")],
        id: some("i"),
        description: some("d"),
        encoding: text("8BIT"),
        md5: some("5"),
        disposition: Some(Disposition {
            kind: text("inline"),
            params: vec![param("filename", "f")],
        }),
        language: vec![text("de")],
        location: some("l"),
        header_start: 10,
        body_start: 20,
        body_end: 30,
        lines: 2,
        ..BodyPart::default()
    };
    let outer = BodyPart {
        kind: PartKind::Message as i32,
        media_type: text("MESSAGE"),
        subtype: text("RFC822"),
        encoding: text("7BIT"),
        envelope: Some(Envelope {
            subject: some("x"),
            ..Envelope::default()
        }),
        children: vec![inner],
        ..BodyPart::default()
    };
    let facts = Facts {
        envelope: Some(envelope),
        body: Some(outer),
    };
    let bytes = facts.encode_to_vec();
    assert_eq!(
        hex(&bytes),
        "0a330a01441201531a0c0a014e1201411a016d22016822031a01732a031a017232031a01743a031a016342031a01624a014952014d127a080212074d4553534147451a065246433832323a04374249548201031201788a015808011204544558541a05504c41494e22100a076368617273657412057574662d382a01693201643a04384249544201354a170a06696e6c696e65120d0a0866696c656e616d65120166520264655a016c600a6814701e7802"
    );
    assert_eq!(Facts::decode(&bytes[..]), Ok(facts));
}

/// A frame that the command-line `zstd` made with the dictionary: what is in logs stays readable, whatever library reads it.
#[test]
fn a_compressed_block_stays_readable() {
    let frame = "28b52ffd2381a9652f592d0100f3c00258b6d334a3e52e779a663407fc4ba842de2cbfea44cf22b7c5d61eb970718d8e7b01";
    let bytes: Vec<u8> = (0..frame.len() / 2)
        .map(|at| u8::from_str_radix(&frame[2 * at..2 * at + 2], 16).expect("hexadecimal"))
        .collect();
    let content = b"Subject: hello\r\nFrom: bob@example.org\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\r\nhello\r\n";
    let block = Block {
        codec: Codec::ZstdV1 as i32,
        content_len: content.len() as u32,
        bytes: bytes.into(),
    };
    assert_eq!(decompress(&block).as_deref(), Ok(&content[..]));
}
