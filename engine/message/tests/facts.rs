//! Known answers, and properties that hold for any octets.

use engine_events::{Addr, BodyPart, PartKind};
use engine_message::{facts, limits, thread_keys};
use proptest::prelude::*;
use prost::Message as _;
use std::fmt::Write as _;

/// `type/subtype[params] lines "body"`, children in brackets.
fn show(message: &[u8], part: &BodyPart, out: &mut String) {
    let body = &message[part.body_start as usize..part.body_end as usize];
    let _ = write!(out, "{}/{}", part.media_type, part.subtype);
    for param in &part.params {
        let name = String::from_utf8_lossy(&param.name);
        if !name.eq_ignore_ascii_case("boundary") {
            let _ = write!(out, ";{name}={}", String::from_utf8_lossy(&param.value));
        }
    }
    if part.children.is_empty() {
        let _ = write!(out, " {} {:?}", part.lines, String::from_utf8_lossy(body));
        return;
    }
    if let Some(envelope) = &part.envelope {
        let subject = envelope.subject.clone().unwrap_or_default();
        let _ = write!(out, " <{}>", String::from_utf8_lossy(&subject));
    }
    out.push_str(" [");
    for (at, child) in part.children.iter().enumerate() {
        out.push_str(if at == 0 { "" } else { ", " });
        show(message, child, out);
    }
    out.push(']');
}

#[track_caller]
fn check(message: &str, expect: &str) {
    let message = message.replace('\n', "\r\n");
    let mut shown = String::new();
    let found = facts(message.as_bytes());
    show(message.as_bytes(), &found.body.unwrap(), &mut shown);
    assert_eq!(shown, expect);
}

#[test]
fn nothing_can_break_it() {
    let root = |message: &[u8]| facts(message).body.unwrap();
    for message in [
        &b""[..],
        b"\r\n",
        b"\n",
        b"-",
        b"--",
        b":",
        b"\0\xff",
        b"a: b",
    ] {
        hold(message);
    }
    // 10,000 parts: the first have a structure, the rest is one part that reaches to the end.
    let mut many = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    for _ in 0..10_000 {
        many.extend_from_slice(b"--b\r\n\r\nx\r\n");
    }
    many.extend_from_slice(b"--b--\r\n");
    let children = root(&many).children;
    assert_eq!(children.len(), limits::PARTS_MAX - 1);
    assert_eq!(children[0].body_end - children[0].body_start, 1);
    let last = children.last().unwrap();
    assert_eq!(last.subtype, "OCTET-STREAM");
    assert_eq!(last.body_end, many.len() as u64);
    hold(&many);
    // Deep nesting, of multiparts and of messages.
    let mut deep = Vec::new();
    for level in 0..5_000 {
        deep.extend_from_slice(
            format!("Content-Type: multipart/x; boundary={level}\r\n\r\n--{level}\r\n").as_bytes(),
        );
    }
    hold(&deep);
    hold(&b"Content-Type: message/rfc822\r\n\r\n".repeat(5_000));
    // A header of 1 MiB: one long field, many fields, many addresses.
    hold(format!("Subject: {}\r\n\r\n", "x".repeat(1 << 20)).as_bytes());
    hold("To: a@b\r\n".repeat(100_000).as_bytes());
    hold(format!("To: {}\r\n\r\n", "<@a,".repeat(1 << 18)).as_bytes());
    hold(format!("Content-Type: a/b{}\r\n\r\n", ";n=v".repeat(1 << 18)).as_bytes());
}

/// Children inside parents and in order, offsets in range, lines as counted, and facts that fit an entry.
fn hold(message: &[u8]) {
    let found = facts(message);
    assert!(found.encoded_len() <= limits::FACTS_BYTES_MAX);
    assert_eq!(
        engine_events::Facts::decode(&found.encode_to_vec()[..]).unwrap(),
        found
    );
    let root = found.body.unwrap();
    assert_eq!(
        (root.header_start, root.body_end),
        (0, message.len() as u64)
    );
    let mut parts = 0;
    hold_part(message, &root, 0, &mut parts);
    assert!(parts <= limits::PARTS_MAX + limits::DEPTH_MAX);
    assert!(thread_keys(message).len() <= limits::THREAD_KEYS_MAX);
}

fn hold_part(message: &[u8], part: &BodyPart, depth: usize, parts: &mut usize) {
    *parts += 1;
    assert!(depth <= limits::DEPTH_MAX);
    assert!(part.header_start <= part.body_start && part.body_start <= part.body_end);
    let body = &message[part.body_start as usize..part.body_end as usize];
    assert_eq!(
        part.lines,
        body.iter().filter(|o| **o == b'\n').count() as u64
    );
    let mut from = part.body_start;
    for child in &part.children {
        assert!(child.header_start >= from && child.body_end <= part.body_end);
        from = child.body_end;
        hold_part(message, child, depth + 1, parts);
    }
    match part.kind() {
        PartKind::Message => assert!(part.children.len() == 1 && part.envelope.is_some()),
        PartKind::Multipart => assert!(!part.children.is_empty()),
        PartKind::Basic | PartKind::Text => assert!(part.children.is_empty()),
    }
}

proptest! {
    #[test]
    fn any_octets(message in proptest::collection::vec(any::<u8>(), 0..400)) {
        hold(&message);
    }

    /// Pieces that mean something to the scanner, in any order.
    #[test]
    fn any_mime(pieces in proptest::collection::vec(proptest::sample::select(vec![
        "\r\n", "\r\n", "\n", "\r", " ", "--", "--a\r\n", "--a--\r\n", "--b\r\n", "--b--", "\r\n--a", "\r\n--b\r\n",
        "Content-Type: multipart/mixed; boundary=a\r\n", "Content-Type: multipart/digest; boundary=\"b\"\r\n\r\n",
        "Content-Type: message/rfc822\r\n\r\n", "Content-Type: text/html\r\n", "Subject: x\r\n", "To: a@b, \"c\" <d@e>, g:",
        "Content-Transfer-Encoding: base64\r\n", "Content-Disposition: inline; x=\"", "text", "(", "\"", "<", ";", ":",
    ]), 0..40)) {
        hold(pieces.concat().as_bytes());
    }
}

#[test]
fn structure() {
    check("", r#"TEXT/PLAIN;CHARSET=US-ASCII 0 """#);
    check(
        "Subject: a\n\nx\ny\n",
        r#"TEXT/PLAIN;CHARSET=US-ASCII 2 "x\r\ny\r\n""#,
    );
    check(
        "Content-Type: text\n\nx",
        r#"TEXT/PLAIN;CHARSET=US-ASCII 0 "x""#,
    );
    check(
        "Content-Type: Text/HTML (odd; (very)); charset=\"a\\\"b\" ;\n name*0*=utf-8''%41 ; n=x(1).pdf\n\nx",
        r#"Text/HTML;charset=a"b;name*0*=utf-8''%41;n=x(1).pdf 0 "x""#,
    );
    let head = "Content-Type: multipart/mixed; boundary=\"a b\"\n\n";
    // RFC 2046 §5.1.1: preamble, epilogue, a part without header, white space behind the boundary.
    check(
        &format!(
            "{head}pre\n--a b\n\none\n\n--a b  \nContent-Type: image/png\n\ntwo\n--a b--\nepilogue\n--a b\n"
        ),
        r#"multipart/mixed [TEXT/PLAIN;CHARSET=US-ASCII 1 "one\r\n", image/png 0 "two"]"#,
    );
    // No end; a boundary that another begins with is another.
    check(
        &format!("{head}--a b\n\none\n--a bc\n"),
        r#"multipart/mixed [TEXT/PLAIN;CHARSET=US-ASCII 2 "one\r\n--a bc\r\n"]"#,
    );
    check(&format!("{head}no part\n"), r#"TEXT/PLAIN 1 "no part\r\n""#);
    check(
        "Content-Type: multipart/mixed\n\nx\n",
        r#"TEXT/PLAIN 1 "x\r\n""#,
    );
    // Empty parts, and a header that the delimiter cuts off.
    check(
        &format!("{head}--a b\n--a b\n\n--a b\nContent-Type: image/png\n--a b--"),
        r#"multipart/mixed [TEXT/PLAIN;CHARSET=US-ASCII 0 "", TEXT/PLAIN;CHARSET=US-ASCII 0 "", image/png 0 ""]"#,
    );
    // The inner end is missing: the outer delimiter ends both.
    check(
        &format!(
            "{head}--a b\nContent-Type: multipart/alternative; boundary=in\n\n--in\n\nx\n--a b\n\ny\n--a b--\n"
        ),
        concat!(
            r#"multipart/mixed [multipart/alternative [TEXT/PLAIN;CHARSET=US-ASCII 0 "x"], "#,
            r#"TEXT/PLAIN;CHARSET=US-ASCII 0 "y"]"#
        ),
    );
    check(
        &format!("{head}--a b\nContent-Type: message/rfc822\n\nSubject: in\n\nx\ny\n--a b--\n"),
        r#"multipart/mixed [message/rfc822 <in> [TEXT/PLAIN;CHARSET=US-ASCII 1 "x\r\ny"]]"#,
    );
    check(
        "Content-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: one\n\nx\n--d--\n",
        r#"multipart/digest [MESSAGE/RFC822 <one> [TEXT/PLAIN;CHARSET=US-ASCII 0 "x"]]"#,
    );
    check(
        "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\neA==\n",
        r#"APPLICATION/OCTET-STREAM 1 "eA==\r\n""#,
    );
}

#[test]
fn fields_of_a_part() {
    let message = b"Content-ID: <a@b>\r\nContent-Description:  two\r\n  folded \r\nContent-MD5: Q2hlY2s=\r\n\
        Content-Disposition: attachment; filename=\"a;b.txt\"; size=1\r\nContent-Language: en, de-CH\r\n\
        Content-Location: http://x/\r\nContent-Transfer-Encoding: Base64\r\n\r\n";
    let part = facts(message).body.unwrap();
    assert_eq!(part.id.unwrap(), "<a@b>");
    assert_eq!(part.description.unwrap(), "two  folded");
    assert_eq!(part.md5.unwrap(), "Q2hlY2s=");
    assert_eq!(part.language, ["en", "de-CH"]);
    assert_eq!(part.location.unwrap(), "http://x/");
    assert_eq!(part.encoding, "Base64");
    let disposition = part.disposition.unwrap();
    assert_eq!(disposition.kind, "attachment");
    assert_eq!(disposition.params[0].value, "a;b.txt");
    assert_eq!(disposition.params[1].name, "size");
}

fn show_addr(addr: &Addr) -> String {
    let show = |value: &Option<bytes::Bytes>| {
        value
            .as_ref()
            .map_or("-".to_owned(), |v| String::from_utf8_lossy(v).into_owned())
    };
    [&addr.name, &addr.adl, &addr.mailbox, &addr.host]
        .map(show)
        .join("|")
}

#[test]
fn address_lists() {
    let check = |value: &str, expect: &[&str]| {
        let message = format!("To: {value}\r\n\r\n");
        let found: Vec<String> = facts(message.as_bytes())
            .envelope
            .unwrap()
            .to
            .iter()
            .map(show_addr)
            .collect();
        assert_eq!(found, expect, "{value}");
    };
    check("", &[]);
    check("a@b.c", &["-|-|a|b.c"]);
    check("a@b (Ann), , <c@d>", &["Ann|-|a|b", "-|-|c|d"]);
    check("<c@d> (Cy (jr))", &["Cy (jr)|-|c|d"]);
    check(
        "John Q. Public <j@x>, \"Do\\\"e, J\" <d@x>",
        &["John Q. Public|-|j|x", "Do\"e, J|-|d|x"],
    );
    check(
        "=?utf-8?Q?J=C3=B6rg?=\r\n <j@x>",
        &["=?utf-8?Q?J=C3=B6rg?=|-|j|x"],
    );
    check("\"a b\"@x, a . b @ x . y", &["-|-|a b|x", "-|-|a.b|x.y"]);
    check("<@r1,@r2:u@h>", &["-|@r1,@r2|u|h"]);
    check(
        "Team: a@b, C <c@d>;, e@f",
        &["-|-|Team|-", "-|-|a|b", "C|-|c|d", "-|-|-|-", "-|-|e|f"],
    );
    check(
        "undisclosed-recipients:;",
        &["-|-|undisclosed-recipients|-", "-|-|-|-"],
    );
    check("open: a@b", &["-|-|open|-", "-|-|a|b", "-|-|-|-"]);
    check("root, <>", &["-|-|root|", "-|-||"]);
    check("a@b <c@d>", &["a@b|-|c|d"]);
    check("J\u{f6}rg <j@x>", &["J\u{f6}rg|-|j|x"]);
    check("<<<>>> )) \"(", &["-|-|<<|"]);
}

#[test]
fn envelope_fields() {
    let message = b"date : Mon, 1 Jan 2024 00:00:00 +0000\r\nSUBJECT:\r\nFrom: a@b\r\nFrom: c@d\r\n\
        Message-ID: <1@x>\r\nIn-Reply-To: <0@x>\r\n junk\r\nno colon here\r\nBcc: e@f\r\n\r\nTo: not@me\r\n";
    let envelope = facts(message).envelope.unwrap();
    assert_eq!(envelope.date.unwrap(), "Mon, 1 Jan 2024 00:00:00 +0000");
    assert_eq!(envelope.subject.unwrap(), "");
    assert_eq!(envelope.from.len(), 1);
    assert_eq!(envelope.message_id.unwrap(), "<1@x>");
    assert_eq!(envelope.in_reply_to.unwrap(), "<0@x> junk");
    assert!(envelope.to.is_empty() && envelope.sender.is_empty());
    assert_eq!(envelope.bcc.len(), 1);
}

#[test]
fn keys_of_threads() {
    let keys = |header: &str| thread_keys(format!("{header}\r\n\r\n").as_bytes());
    // Frozen: XXH3-64 of `1@x`.
    assert_eq!(keys("Message-ID: <1@x>"), [FIRST]);
    assert_eq!(keys("Message-ID: 1@x"), [FIRST]);
    assert_eq!(keys("In-Reply-To: <1@\r\n x> by Ann"), [FIRST]);
    assert_eq!(keys("References: <1@x>\r\n <1@x>"), [FIRST]);
    assert_eq!(keys("Subject: x"), []);
    assert_eq!(
        keys("References: <2@x> <1@x>\r\nMessage-ID: <3@x>")[2],
        FIRST
    );
    let many: String = (0..500).map(|n| format!(" <{n}@y>")).collect();
    let found = keys(&format!("Message-ID: <1@x>\r\nReferences:{many}"));
    assert_eq!(found.len(), limits::THREAD_KEYS_MAX);
    assert_eq!(found[1], keys("References: <0@y>")[0]);
    assert_eq!(found[63], keys("References: <499@y>")[0]);
}

const FIRST: u64 = 7_904_885_445_317_252_444;
