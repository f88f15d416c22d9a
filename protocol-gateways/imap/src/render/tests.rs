//! Known answers. Facts are made by hand here: this room must show any facts, however they were found.

use super::*;
use bytes::Bytes;
use engine_service::{
    Addr, BodyPart, Content, Disposition, Envelope, Facts, MessageBytes, Param, PartKind,
};
use proptest::prelude::*;
use std::sync::Arc;

const TRACE: &str = "Return-Path: <>\r\nReceived: by x\r\n";

fn bytes(text: &str) -> Option<Bytes> {
    Some(Bytes::copy_from_slice(text.as_bytes()))
}

/// A part whose octets run from `from` to the blank line and on to `to` (exclusive).
fn part(message: &[u8], kind: PartKind, words: (&str, &str), from: &str, to: &str) -> BodyPart {
    let find = |needle: &str, at: usize| {
        let found = memchr::memmem::find(&message[at..], needle.as_bytes());
        at + found.unwrap_or_else(|| panic!("{needle:?} is not in the message"))
    };
    let header_start = find(from, 0);
    let body_start = find("\r\n\r\n", header_start) + 4;
    let body_end = if to.is_empty() {
        message.len()
    } else {
        find(to, body_start)
    };
    let mut part = BodyPart {
        media_type: words.0.to_owned(),
        subtype: words.1.to_owned(),
        encoding: "7BIT".to_owned(),
        header_start: header_start as u64,
        body_start: body_start as u64,
        body_end: body_end as u64,
        lines: message[body_start..body_end]
            .iter()
            .filter(|octet| **octet == b'\n')
            .count() as u64,
        ..BodyPart::default()
    };
    part.set_kind(kind);
    part
}

fn param(name: &str, value: &str) -> Param {
    Param {
        name: Bytes::copy_from_slice(name.as_bytes()),
        value: Bytes::copy_from_slice(value.as_bytes()),
    }
}

/// The message in pieces of seven octets, so that nothing relies on one piece.
fn content(message: &[u8], body: BodyPart, envelope: Envelope) -> Content {
    Content {
        trace: Bytes::from_static(TRACE.as_bytes()),
        facts: Arc::new(Facts {
            envelope: Some(envelope),
            body: Some(body),
        }),
        message: MessageBytes {
            pieces: message.chunks(7).map(Bytes::copy_from_slice).collect(),
            len: message.len() as u64,
        },
    }
}

fn plain(message: &[u8]) -> Content {
    let text = part(message, PartKind::Text, ("text", "plain"), "", "");
    content(message, text, Envelope::default())
}

const NESTED: &str = "Subject: out\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\nX-One: 1\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n\
    From: in\r\nSubject: in\r\n\r\nalone\r\n--b\r\nX-Three: 3\r\n\r\nFrom: two\r\n\
    Content-Type: multipart/x\r\n\r\n--c\r\nX-C: c\r\n\r\nsee\r\n--c--\r\n--b--\r\n";

/// 1 text, 2 a message with text, 3 a message with a multipart with one text.
fn nested() -> Content {
    let message = NESTED.as_bytes();
    let mut root = part(
        message,
        PartKind::Multipart,
        ("multipart", "mixed"),
        "Subject: out",
        "",
    );
    let one = part(
        message,
        PartKind::Text,
        ("text", "plain"),
        "X-One",
        "\r\n--b\r\nContent",
    );
    let mut two = part(
        message,
        PartKind::Message,
        ("message", "rfc822"),
        "Content-Type: message",
        "\r\n--b\r\nX-Three",
    );
    two.children.push(part(
        message,
        PartKind::Text,
        ("text", "plain"),
        "From: in",
        "\r\n--b\r\nX-Three",
    ));
    two.envelope = Some(Envelope {
        subject: bytes("in"),
        ..Envelope::default()
    });
    let words = ("message", "rfc822");
    let mut three = part(message, PartKind::Message, words, "X-Three", "\r\n--b--");
    let words = ("multipart", "x");
    let mut inner = part(
        message,
        PartKind::Multipart,
        words,
        "From: two",
        "\r\n--b--",
    );
    let words = ("text", "plain");
    inner
        .children
        .push(part(message, PartKind::Text, words, "X-C", "\r\n--c--"));
    three.children.push(inner);
    root.children = vec![one, two, three];
    content(message, root, Envelope::default())
}

fn fetch(content: &Content, part: &[u32], text: SectionText) -> Option<String> {
    let wanted = Section {
        part: part.to_vec(),
        text,
    };
    let pieces = section(content, &wanted, None)?;
    Some(String::from_utf8_lossy(&pieces.concat()).into_owned())
}

#[test]
fn sections_of_a_plain_message() {
    use SectionText::*;
    let message = "Subject: a\r\n\r\nbody\r\n";
    let content = plain(message.as_bytes());
    let check = |part: &[u32], text: SectionText, expect: Option<&str>| {
        assert_eq!(
            fetch(&content, part, text.clone()).as_deref(),
            expect,
            "{part:?} {text:?}"
        );
    };
    check(&[], Whole, Some(&format!("{TRACE}{message}")));
    check(&[], Header, Some(&format!("{TRACE}Subject: a\r\n\r\n")));
    check(&[], Text, Some("body\r\n"));
    check(&[1], Whole, Some("body\r\n"));
    check(&[1], Mime, Some(&format!("{TRACE}Subject: a\r\n\r\n")));
    check(&[], Mime, None);
    check(&[1], Header, None);
    check(&[1], Text, None);
    for part in [&[2][..], &[0], &[1, 1], &[u32::MAX]] {
        check(part, Whole, None);
    }
}

#[test]
fn sections_of_nested_messages() {
    use SectionText::*;
    let content = nested();
    let check = |part: &[u32], text: SectionText, expect: Option<&str>| {
        assert_eq!(
            fetch(&content, part, text.clone()).as_deref(),
            expect,
            "{part:?} {text:?}"
        );
    };
    check(&[1], Whole, Some("one"));
    check(&[1], Mime, Some("X-One: 1\r\n\r\n"));
    check(&[1, 1], Whole, None);
    check(&[2], Whole, Some("From: in\r\nSubject: in\r\n\r\nalone"));
    check(&[2], Header, Some("From: in\r\nSubject: in\r\n\r\n"));
    check(&[2], Text, Some("alone"));
    check(&[2], Mime, Some("Content-Type: message/rfc822\r\n\r\n"));
    check(&[2, 1], Whole, Some("alone"));
    check(&[2, 2], Whole, None);
    check(&[2, 1, 1], Whole, None);
    check(&[2, 1], Mime, Some("From: in\r\nSubject: in\r\n\r\n"));
    check(
        &[2],
        HeaderFields(vec!["SUBJECT".to_owned()]),
        Some("Subject: in\r\n\r\n"),
    );
    check(&[3, 1], Whole, Some("see"));
    check(&[3, 1], Mime, Some("X-C: c\r\n\r\n"));
    check(&[3], Text, Some("--c\r\nX-C: c\r\n\r\nsee\r\n--c--"));
    check(&[4], Whole, None);
}

#[test]
fn header_fields() {
    use SectionText::{HeaderFields, HeaderFieldsNot};
    let content = plain(b"A: 1\r\nB: 2\r\n  folded\r\na : 3\r\nodd line\r\n\r\nA: body\r\n");
    let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let check = |text: SectionText, expect: &str| {
        assert_eq!(fetch(&content, &[], text).as_deref(), Some(expect));
    };
    check(HeaderFields(names(&["a"])), "A: 1\r\na : 3\r\n\r\n");
    check(HeaderFields(names(&["b", "x"])), "B: 2\r\n  folded\r\n\r\n");
    check(HeaderFields(names(&["x"])), "\r\n");
    check(
        HeaderFields(names(&["RETURN-path"])),
        "Return-Path: <>\r\n\r\n",
    );
    check(
        HeaderFieldsNot(names(&["a", "received", "return-path"])),
        "B: 2\r\n  folded\r\nodd line\r\n\r\n",
    );
    // Without an end to the header, lines and the blank line are still whole.
    let open = "A: 1";
    let mut text = BodyPart::default();
    (text.body_start, text.body_end) = (4, 4);
    let content = self::content(open.as_bytes(), text, Envelope::default());
    let found = fetch(&content, &[], HeaderFields(names(&["A"])));
    assert_eq!(found.as_deref(), Some("A: 1\r\n\r\n"));
}

#[test]
fn partial_octets() {
    let content = plain(b"Subject: a\r\n\r\nbody\r\n");
    let check = |text: SectionText, partial: (u64, u64), expect: &str| {
        let wanted = Section {
            part: Vec::new(),
            text,
        };
        let pieces = section(&content, &wanted, Some(partial)).unwrap();
        assert_eq!(pieces.concat(), expect.as_bytes(), "{partial:?}");
    };
    check(SectionText::Text, (0, 3), "bod");
    check(SectionText::Text, (4, 100), "\r\n");
    check(SectionText::Text, (6, 1), "");
    check(SectionText::Text, (u64::MAX, u64::MAX), "");
    check(SectionText::Whole, (7, 4), "Path");
    let subject = || SectionText::HeaderFields(vec!["subject".to_owned()]);
    check(subject(), (9, 100), "a\r\n\r\n");
    check(subject(), (u64::MAX, u64::MAX), "");
}

#[test]
fn strings() {
    let check = |value: Option<&[u8]>, expect: &[u8]| {
        let mut out = Vec::new();
        nstring(value, &mut out);
        assert_eq!(out, expect);
    };
    check(None, b"NIL");
    check(Some(b""), b"\"\"");
    check(Some(b"a\"b\\c\t"), b"\"a\\\"b\\\\c\t\"");
    check(Some(b"a\rb"), b"{3}\r\na\rb");
    check(Some("\u{fc}".as_bytes()), "{2}\r\n\u{fc}".as_bytes());
    check(Some(b"a\0b"), b"{2}\r\nab");
    check(
        Some(&[b'x'; 1_001]),
        &[&b"{1001}\r\n"[..], &[b'x'; 1_001]].concat(),
    );
}

#[test]
fn envelopes() {
    let addr = |name: Option<&str>, mailbox: Option<&str>, host: Option<&str>| Addr {
        name: name.and_then(bytes),
        adl: None,
        mailbox: mailbox.and_then(bytes),
        host: host.and_then(bytes),
    };
    let check = |envelope: Envelope, expect: &str| {
        let mut out = Vec::new();
        let facts = Facts {
            envelope: Some(envelope),
            body: None,
        };
        super::envelope(&facts, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), expect);
    };
    check(
        Envelope::default(),
        "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)",
    );
    check(
        Envelope {
            date: bytes("Mon"),
            subject: bytes(""),
            from: vec![addr(Some("Ann"), Some("a"), Some("b"))],
            reply_to: vec![addr(None, Some("r"), Some(""))],
            to: vec![addr(None, Some("g"), None), addr(None, None, None)],
            message_id: bytes("<1>"),
            ..Envelope::default()
        },
        concat!(
            r#"("Mon" "" (("Ann" NIL "a" "b")) (("Ann" NIL "a" "b")) ((NIL NIL "r" "")) "#,
            r#"((NIL NIL "g" NIL)(NIL NIL NIL NIL)) NIL NIL NIL "<1>")"#
        ),
    );
}

#[test]
fn body_structures() {
    let content = nested();
    let root = content.facts.body.as_ref().unwrap();
    let check = |part: &BodyPart, extended: bool, expect: &str| {
        let mut out = Vec::new();
        body_structure(part, extended, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), expect);
    };
    check(
        &root.children[0],
        false,
        r#"("text" "plain" NIL NIL NIL "7BIT" 3 0)"#,
    );
    check(
        &root.children[0],
        true,
        r#"("text" "plain" NIL NIL NIL "7BIT" 3 0 NIL NIL NIL NIL)"#,
    );
    check(
        &root.children[1],
        false,
        concat!(
            r#"("message" "rfc822" NIL NIL NIL "7BIT" 30 "#,
            r#"(NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" NIL NIL NIL "7BIT" 5 0) 3)"#
        ),
    );
    let mut picture = BodyPart {
        media_type: "image".to_owned(),
        subtype: "png".to_owned(),
        params: vec![param("name", "a\"b"), param("x", "")],
        id: bytes("<i>"),
        encoding: "base64".to_owned(),
        md5: bytes("m"),
        disposition: Some(Disposition {
            kind: "attachment".to_owned(),
            params: vec![param("filename", "f")],
        }),
        language: vec!["en".to_owned()],
        location: bytes("l"),
        ..BodyPart::default()
    };
    let shown = concat!(
        r#"("image" "png" ("name" "a\"b" "x" "") "<i>" NIL "base64" 0 "m" "#,
        r#"("attachment" ("filename" "f")) "en" "l")"#
    );
    check(&picture, true, shown);
    picture.set_kind(PartKind::Multipart);
    picture.children = vec![root.children[0].clone(), root.children[0].clone()];
    picture.language.push("de".to_owned());
    let one = r#"("text" "plain" NIL NIL NIL "7BIT" 3 0)"#;
    check(&picture, false, &format!(r#"({one}{one} "png")"#));
    let one = r#"("text" "plain" NIL NIL NIL "7BIT" 3 0 NIL NIL NIL NIL)"#;
    let rest = r#"("name" "a\"b" "x" "") ("attachment" ("filename" "f")) ("en" "de") "l""#;
    check(&picture, true, &format!(r#"({one}{one} "png" {rest})"#));
}

#[test]
fn days_sent() {
    let check = |date: &str, expect: Option<i64>| assert_eq!(sent::day(date), expect, "{date}");
    check("Thu, 1 Jan 1970 23:59:59 -1200", Some(0));
    check("2 Jan 1970", Some(1));
    check("Tue, 01 Jan 02 00:00 GMT", Some(11_688));
    check("Fri, 31 December 99 00:00:00 +0000", Some(10_956));
    check("Fri,  1 Jan 100 00:00:00 +0000", Some(10_957));
    check("Thu 1-Jan-1970", Some(0));
    check("31 Feb 2020", None);
    check("1 J\u{e9}n 2020", None);
    check("99999999999 Jan 2020", None);
    check("", None);
    check(",", None);
}

/// A value from octets that matter to quoting.
fn value() -> impl Strategy<Value = Option<Bytes>> {
    let octet = proptest::sample::select(&b"ab \"\\\r\n\t\xff{}()"[..]);
    proptest::option::of(proptest::collection::vec(octet, 0..6).prop_map(Bytes::from))
}

/// The strings and NILs of one parenthesized list, as RFC 3501 §4 has them; `None` where it is none.
fn read(mut text: &[u8]) -> Option<Vec<Option<Bytes>>> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    loop {
        match text {
            [b'(', rest @ ..] => (depth, text) = (depth + 1, rest),
            [b')', rest @ ..] => (depth, text) = (depth.checked_sub(1)?, rest),
            [b' ', rest @ ..] => text = rest,
            [b'N', b'I', b'L', rest @ ..] => {
                found.push(None);
                text = rest;
            }
            [b'{', rest @ ..] => {
                let close = rest.iter().position(|octet| *octet == b'}')?;
                let length: usize = std::str::from_utf8(&rest[..close]).ok()?.parse().ok()?;
                let value = rest[close + 1..].strip_prefix(b"\r\n")?;
                found.push(Some(Bytes::copy_from_slice(value.get(..length)?)));
                text = &value[length..];
            }
            [b'"', rest @ ..] => {
                let mut value = Vec::new();
                let mut octets = rest.iter();
                loop {
                    match octets.next()? {
                        b'"' => break,
                        b'\\' => value.push(*octets.next()?),
                        b'\r' | b'\n' | 0 | 0x80.. => return None,
                        octet => value.push(*octet),
                    }
                }
                found.push(Some(Bytes::from(value)));
                text = octets.as_slice();
            }
            [octet, rest @ ..] if octet.is_ascii_digit() => text = rest,
            [] if depth == 0 => return Some(found),
            _ => return None,
        }
    }
}

proptest! {
    /// Whatever is printed is read back.
    #[test]
    fn printed_is_read(values in proptest::collection::vec(value(), 8)) {
        let envelope = Envelope {
            date: values[0].clone(),
            subject: values[1].clone(),
            in_reply_to: values[2].clone(),
            message_id: values[3].clone(),
            to: vec![Addr {
                name: values[4].clone(),
                adl: values[5].clone(),
                mailbox: values[6].clone(),
                host: values[7].clone(),
            }],
            ..Envelope::default()
        };
        let facts = Facts {
            envelope: Some(envelope),
            body: None,
        };
        let mut out = Vec::new();
        super::envelope(&facts, &mut out);
        let mut expect = values[..2].to_vec();
        expect.extend([None, None, None]);
        expect.extend_from_slice(&values[4..]);
        expect.extend([None, None]);
        expect.extend_from_slice(&values[2..4]);
        prop_assert_eq!(read(&out), Some(expect));
        let mut root = nested().facts.body.clone().unwrap();
        root.location = values[0].clone();
        root.children[0].id = values[1].clone();
        root.children[0].md5 = values[2].clone();
        root.children[0].description = values[3].clone();
        let mut out = Vec::new();
        body_structure(&root, true, &mut out);
        let found = read(&out).unwrap();
        prop_assert_eq!(&found[3..5], &[values[1].clone(), values[3].clone()]);
        prop_assert_eq!(&found[6], &values[2]);
        prop_assert_eq!(found.last().unwrap(), &values[0]);
    }
}
