//! What an LMTP peer or a balancer sends: command lines, dot-stuffed data, PROXY headers, SASL PLAIN.
#![no_main]

use std::net::IpAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use gateway_session::limits::{PROXY_V1_BYTES_MAX, PROXY_V2_BODY_BYTES_MAX};
use gateway_session::{read_proxy_header, sasl_plain};
use gateway_smtp::fuzz::{Command, Unstuffer, message_id, parse};
use gateway_smtp::limits::{ADDRESS_BYTES_MAX, MESSAGE_ID_CHARS_MAX};

const PROXY_V2_HEAD_BYTES: usize = 16;

fn command(line: &[u8]) {
    let text = match parse(line) {
        Ok(Command::Lhlo(name)) => name,
        Ok(Command::Mail(mail)) => {
            assert!(mail.sender.len() <= ADDRESS_BYTES_MAX);
            mail.sender
        }
        Ok(Command::Rcpt(address)) => {
            assert!((1..=ADDRESS_BYTES_MAX).contains(&address.len()));
            address
        }
        _ => return,
    };
    // What comes out may be put into a reply or a log line.
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

/// The message and the octets used with its end; `None` without an end.
fn unstuff<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<(Vec<u8>, usize)> {
    let mut unstuffer = Unstuffer::default();
    let mut message = Vec::new();
    let mut used_before = 0;
    for piece in pieces {
        let (used, done) = unstuffer.push(piece, |out| message.extend_from_slice(out));
        used_before += used;
        if done {
            return Some((message, used_before));
        }
        assert_eq!(used, piece.len(), "octets are left without an end");
    }
    None
}

/// RFC 5321 §4.5.2 written as plainly as can be: lines end with CRLF, a first dot goes, a dot alone ends.
fn unstuff_plainly(wire: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut message = Vec::new();
    let mut at = 0;
    loop {
        let line_len = wire[at..].windows(2).position(|two| two == b"\r\n")? + 2;
        let line = &wire[at..at + line_len];
        at += line_len;
        if line == b".\r\n" {
            return Some((message, at));
        }
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
    }
}

fn data(wire: &[u8], piece_len: usize) {
    let expect = unstuff_plainly(wire);
    assert_eq!(unstuff([wire].into_iter()), expect);
    assert_eq!(unstuff(wire.chunks(piece_len)), expect);
}

/// All octets are there, so one poll is enough.
fn proxy(octets: &[u8]) {
    let mut rest = octets;
    let found = {
        let header = pin!(read_proxy_header(&mut rest));
        match header.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(found) => found,
            Poll::Pending => panic!("waits for octets that are there"),
        }
    };
    let used = octets.len() - rest.len();
    if octets.starts_with(b"PROXY ") {
        assert!(used <= PROXY_V1_BYTES_MAX);
    }
    assert!(used <= PROXY_V2_HEAD_BYTES + PROXY_V2_BODY_BYTES_MAX);
    if let Ok(peer) = found {
        let header = &octets[..used];
        let v2 = header.starts_with(b"\r\n\r\n\0\r\nQUIT\n");
        assert!(v2 || header.ends_with(b"\r\n"), "not an octet more");
        assert!(peer.is_none_or(|peer: IpAddr| peer == peer.to_canonical()));
    }
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    for line in input.split(|&octet| octet == b'\n') {
        command(line.strip_suffix(b"\r").unwrap_or(line));
    }
    let piece_len = input.first().map_or(1, |&octet| usize::from(octet % 7) + 1);
    data(input, piece_len);
    proxy(input);
    if let Some(plain) = sasl_plain(input) {
        assert!(!plain.authcid.is_empty() && !plain.password.is_empty());
        assert!(plain.authzid.as_ref() != Some(&plain.authcid));
    }
    let id = message_id(input);
    assert!(id.chars().count() <= MESSAGE_ID_CHARS_MAX);
    assert!(!id.chars().any(char::is_control), "{id:?}");
});
