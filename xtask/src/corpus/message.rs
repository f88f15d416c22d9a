//! A message as a mail server gets it, from the way the corpus keeps it.

/// Without the mbox `From ` line, all line ends CRLF, a missing last one added. A bare CR is data and stays.
pub fn normalize(raw: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(raw.len() + raw.len() / 32);
    let mut previous = 0;
    for byte in without_from_line(raw) {
        if *byte == b'\n' && previous != b'\r' {
            message.push(b'\r');
        }
        message.push(*byte);
        previous = *byte;
    }
    if !message.is_empty() && !message.ends_with(b"\r\n") {
        message.extend_from_slice(b"\r\n");
    }
    message
}

/// RFC 4155, appendix A: a separator before the message, no part of it.
fn without_from_line(raw: &[u8]) -> &[u8] {
    if !raw.starts_with(b"From ") {
        return raw;
    }
    match raw.iter().position(|byte| *byte == b'\n') {
        Some(end) => &raw[end + 1..],
        None => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_as_on_the_wire() {
        let check = |raw: &str, expect: &str| {
            assert_eq!(normalize(raw.as_bytes()), expect.as_bytes(), "{raw:?}")
        };
        check("A: b\n\nc\n", "A: b\r\n\r\nc\r\n");
        check("A: b\r\n\r\nc\r\n", "A: b\r\n\r\nc\r\n");
        check("From x Thu\nA: b\n", "A: b\r\n");
        check("From x Thu\r\nA: b\r\n", "A: b\r\n");
        check("From: x\n", "From: x\r\n");
        check("A: b\n\nno end", "A: b\r\n\r\nno end\r\n");
        check("A: b\n\nFrom x\n", "A: b\r\n\r\nFrom x\r\n");
        check("A: b\rc\n", "A: b\rc\r\n");
        check("A: b\r", "A: b\r\r\n");
        check("From x", "");
        check("", "");
    }
}
