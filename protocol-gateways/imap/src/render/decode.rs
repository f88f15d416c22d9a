//! Transfer encodings (RFC 2045 §6) and encoded words (RFC 2047) to text. Lenient: SEARCH should find what a reader
//! sees, and broken encodings are common.

use super::charset::to_text;
use memchr::{memchr, memmem};

/// Octets of a body in the encoding that its part names.
pub fn body(octets: &[u8], encoding: &str) -> Vec<u8> {
    if encoding.eq_ignore_ascii_case("base64") {
        base64(octets)
    } else if encoding.eq_ignore_ascii_case("quoted-printable") {
        quoted_printable(octets)
    } else {
        octets.to_vec()
    }
}

/// A header value: unfolded, its encoded words decoded.
pub fn header(value: &[u8]) -> String {
    let value = unfold(value);
    let mut out = String::with_capacity(value.len());
    // Octets of encoded words in a row with one charset: a character may be split between them.
    let mut run: (Vec<u8>, Vec<u8>) = (Vec::new(), Vec::new());
    let mut rest = &value[..];
    loop {
        let next = next_word(rest);
        let plain = next.as_ref().map_or(rest, |word| &rest[..word.start]);
        // White space between two encoded words is not shown (RFC 2047 §6.2).
        let between = next.is_some() && !run.1.is_empty() && plain.trim_ascii().is_empty();
        if !between {
            flush(&mut run, &mut out);
            out.push_str(&to_text(plain, b""));
        }
        let Some(word) = next else {
            return out;
        };
        if !run.0.eq_ignore_ascii_case(word.charset) {
            flush(&mut run, &mut out);
            run.0 = word.charset.to_vec();
        }
        run.1.extend(word.decoded);
        rest = &rest[word.end..];
    }
}

fn flush(run: &mut (Vec<u8>, Vec<u8>), out: &mut String) {
    if !run.1.is_empty() {
        out.push_str(&to_text(&run.1, &run.0));
        run.1.clear();
    }
}

struct Word<'a> {
    start: usize,
    end: usize,
    charset: &'a [u8],
    decoded: Vec<u8>,
}

/// The next `=?charset?B?text?=`. An attempt that fails looks no further than the next `?` but one, and the next one
/// begins behind its first, so all attempts together are linear.
fn next_word(text: &[u8]) -> Option<Word<'_>> {
    let mut from = 0;
    while let Some(found) = memmem::find(&text[from..], b"=?") {
        let start = from + found;
        from = start + 2;
        let length = memchr(b'?', &text[from..])?;
        let charset = &text[from..from + length];
        let behind = &text[from + length + 1..];
        let (Some(encoding), Some(b'?')) = (behind.first(), behind.get(1)) else {
            continue;
        };
        let length = memchr(b'?', &behind[2..])?;
        let encoded = &behind[2..2 + length];
        if behind.get(2 + length + 1) != Some(&b'=') {
            continue;
        }
        let decoded = match encoding.to_ascii_uppercase() {
            b'B' => base64(encoded),
            b'Q' => q_word(encoded),
            _ => continue,
        };
        // RFC 2231 §5: a language may follow the charset.
        let name = charset.split(|octet| *octet == b'*').next();
        return Some(Word {
            start,
            end: text.len() - behind.len() + 2 + length + 2,
            charset: name.unwrap_or_default(),
            decoded,
        });
    }
    None
}

fn q_word(encoded: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = encoded
        .iter()
        .map(|octet| if *octet == b'_' { b' ' } else { *octet })
        .collect();
    quoted_printable(&spaced)
}

fn unfold(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for line in value.trim_ascii().split_inclusive(|octet| *octet == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
    }
    out
}

/// Octets outside of the alphabet are passed over; padding ends a group.
pub fn base64(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for octet in octets {
        let value = match octet {
            b'A'..=b'Z' => octet - b'A',
            b'a'..=b'z' => octet - b'a' + 26,
            b'0'..=b'9' => octet - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                (bits, count) = (0, 0);
                continue;
            }
            _ => continue,
        };
        bits = (bits << 6 | u32::from(value)) & 0xff_ffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}

/// What is no escape stays as it is (RFC 2045 §6.7, last notes).
pub fn quoted_printable(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len());
    let mut rest = octets;
    while let Some(at) = memchr(b'=', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let digits = rest.get(..2).and_then(|two| {
            let digit = |octet: u8| char::from(octet).to_digit(16);
            Some((digit(two[0])? * 16 + digit(two[1])?) as u8)
        });
        if let Some(octet) = digits {
            out.push(octet);
            rest = &rest[2..];
            continue;
        }
        // A soft line break, white space before the line end allowed.
        let blank = rest.iter().take_while(|o| b" \t".contains(o)).count();
        match &rest[blank..] {
            [b'\r', b'\n', behind @ ..] | [b'\n', behind @ ..] => rest = behind,
            [] => rest = &[],
            _ => {
                out.push(b'=');
                out.extend_from_slice(&rest[..blank]);
                rest = &rest[blank..];
            }
        }
    }
    out.extend_from_slice(rest);
    out
}
