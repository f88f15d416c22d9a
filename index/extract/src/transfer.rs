//! Transfer encodings (RFC 2045 §6). Lenient: search should find what a reader sees, and broken encodings are common.

use memchr::memchr;
use std::borrow::Cow;

/// Octets of a body in the encoding that its part names.
pub fn decode<'a>(octets: &'a [u8], encoding: &str) -> Cow<'a, [u8]> {
    let encoding = encoding.trim_ascii();
    if encoding.eq_ignore_ascii_case("base64") {
        Cow::Owned(base64(octets))
    } else if encoding.eq_ignore_ascii_case("quoted-printable") {
        Cow::Owned(quoted_printable(octets))
    } else {
        Cow::Borrowed(octets)
    }
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
        if let Some(octet) = hex_pair(rest) {
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

/// The octet that two hexadecimal digits in front stand for.
pub fn hex_pair(text: &[u8]) -> Option<u8> {
    let digit = |octet: u8| char::from(octet).to_digit(16);
    let (high, low) = (digit(*text.first()?)?, digit(*text.get(1)?)?);
    Some((high * 16 + low) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(encoding: &str, octets: &str, expect: &str) {
        let found = decode(octets.as_bytes(), encoding);
        assert_eq!(String::from_utf8_lossy(&found), expect, "{octets}");
    }

    #[test]
    fn whole_and_broken() {
        check("7bit", "a=41", "a=41");
        check("BASE64 ", "SGFsbG8=", "Hallo");
        check("base64", "SGFs\r\nbG8", "Hallo");
        check("base64", "SGk=SGk=", "HiHi");
        check("base64", "!S-G_k", "Hi");
        check("Quoted-Printable", "a=41=\r\nb=3d=  \nc", "aAb=c");
        check("quoted-printable", "100 =, =G1 = x=", "100 =, =G1 = x");
        check("x-none", "=41", "=41");
    }
}
