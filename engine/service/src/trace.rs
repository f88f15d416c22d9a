//! What a delivery puts before the message: Return-Path, Delivered-To, Received (RFC 5321 §4.4).

use crate::date;
use crate::limits::TRACE_WORD_BYTES_MAX;
use bytes::Bytes;
use engine_types::UnixMillis;
use std::fmt::Write;
use std::net::IpAddr;

/// What is the same for all recipients of a delivery.
pub(crate) struct TraceHead<'a> {
    /// Empty for a bounce.
    pub sender: &'a str,
    pub helo: &'a str,
    pub peer: IpAddr,
    pub hostname: &'a str,
    pub with: &'a str,
    pub id: &'a str,
    pub at: UnixMillis,
}

/// The trace lines for one recipient, each ended by CRLF.
pub(crate) fn trace(head: &TraceHead<'_>, as_given: &str) -> Bytes {
    let given = word(as_given);
    let mut out = String::with_capacity(320);
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "Return-Path: <{}>\r\nDelivered-To: {given}\r\nReceived: from {} ({})\r\n\tby {} with {} id {}\r\n\tfor <{given}>; {}\r\n",
        word(head.sender),
        helo(head.helo),
        address_literal(head.peer),
        word(head.hostname),
        head.with,
        head.id,
        date::rfc5322(head.at),
    );
    Bytes::from(out)
}

/// RFC 5321 §4.1.3.
fn address_literal(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => format!("[{v4}]"),
        IpAddr::V6(v6) => format!("[IPv6:{v6}]"),
    }
}

/// A name that cannot be told from a comment or a further clause of the line.
fn helo(text: &str) -> String {
    let name: String = word(text)
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '(' | ')' | ';' | '<' | '>'))
        .collect();
    if name.is_empty() {
        "unknown".to_owned()
    } else {
        name
    }
}

/// Nothing that a client says may end the line or grow without bound.
fn word(text: &str) -> String {
    let mut end = text.len().min(TRACE_WORD_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sender: &str, name: &str, peer: &str, given: &str, expect: &str) {
        let head = TraceHead {
            sender,
            helo: name,
            peer: peer.parse().unwrap(),
            hostname: "mx.example.org",
            with: "LMTP",
            id: "1f",
            at: UnixMillis(0),
        };
        let got = trace(&head, given);
        assert_eq!(std::str::from_utf8(&got).unwrap(), expect);
    }

    const END: &str = "Thu, 1 Jan 1970 00:00:00 +0000\r\n";

    #[test]
    fn nothing_that_a_client_says_begins_a_line() {
        check(
            "a@b\r\nX-Evil: 1",
            "h\r\nX-Evil: (2); for <x>",
            "192.0.2.1",
            "bob@x\n.org",
            &format!(
                "Return-Path: <a@bX-Evil: 1>\r\nDelivered-To: bob@x.org\r\n\
                 Received: from hX-Evil:2forx ([192.0.2.1])\r\n\tby mx.example.org with LMTP id 1f\r\n\
                 \tfor <bob@x.org>; {END}"
            ),
        );
    }

    #[test]
    fn rfc_5321_section_4_4() {
        check(
            "",
            "",
            "2001:db8::1",
            "Bob+Work@Example.org",
            &format!(
                "Return-Path: <>\r\nDelivered-To: Bob+Work@Example.org\r\n\
                 Received: from unknown ([IPv6:2001:db8::1])\r\n\tby mx.example.org with LMTP id 1f\r\n\
                 \tfor <Bob+Work@Example.org>; {END}"
            ),
        );
        check(
            "jürg@bücher.example",
            "mail.example.net",
            "::ffff:192.0.2.7",
            "bob@example.org",
            &format!(
                "Return-Path: <jürg@bücher.example>\r\nDelivered-To: bob@example.org\r\n\
                 Received: from mail.example.net ([192.0.2.7])\r\n\tby mx.example.org with LMTP id 1f\r\n\
                 \tfor <bob@example.org>; {END}"
            ),
        );
    }
}
