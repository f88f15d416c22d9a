//! The Message-ID for the log. What is shown to clients comes from the service's parser, not from here.

use crate::limits::{MESSAGE_ID_CHARS_MAX, MESSAGE_ID_SEARCH_BYTES_MAX};
use memchr::memchr;

const FIELD: &[u8] = b"message-id:";

/// The value of the first `Message-ID` field, unfolded, without control characters; empty if there is none.
pub fn message_id(message: &[u8]) -> String {
    let mut rest = &message[..message.len().min(MESSAGE_ID_SEARCH_BYTES_MAX)];
    while !rest.is_empty() {
        let (line, next) = split_line(rest);
        if line.iter().all(|&b| b == b'\r') {
            break;
        }
        if line.len() >= FIELD.len() && line[..FIELD.len()].eq_ignore_ascii_case(FIELD) {
            return shown(&line[FIELD.len()..], next);
        }
        rest = next;
    }
    String::new()
}

fn shown(value: &[u8], mut next: &[u8]) -> String {
    let mut value = value.to_vec();
    while matches!(next.first(), Some(b' ' | b'\t')) && value.len() < MESSAGE_ID_CHARS_MAX {
        let (line, after) = split_line(next);
        value.extend_from_slice(line);
        next = after;
    }
    let text = String::from_utf8_lossy(&value);
    let clean = text.trim().chars().filter(|c| !c.is_control());
    clean.take(MESSAGE_ID_CHARS_MAX).collect()
}

/// A line without its LF, and what follows.
fn split_line(text: &[u8]) -> (&[u8], &[u8]) {
    match memchr(b'\n', text) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(message: &str, expect: &str) {
        assert_eq!(message_id(message.as_bytes()), expect, "{message:?}");
    }

    #[test]
    fn message_ids() {
        check("Message-ID: <a@b>\r\n\r\n", "<a@b>");
        check("From: x\r\nMESSAGE-id:<a@b> \r\n\r\n", "<a@b>");
        check("Message-ID:\r\n <a@b>\r\nX: y\r\n\r\n", "<a@b>");
        check("Message-ID: <a\x07@b>", "<a@b>");
        check("X: y\r\n\r\nMessage-ID: <in@body>\r\n", "");
        check("X-Message-ID: <a@b>\r\n\r\n", "");
        check("", "");
        check("\r\n", "");
        let long = "x".repeat(1_000);
        check(&format!("Message-ID: {long}\r\n\r\n"), &long[..256]);
        check(
            &format!("X: {}\r\nMessage-ID: <a>\r\n", "y".repeat(70_000)),
            "",
        );
    }
}
