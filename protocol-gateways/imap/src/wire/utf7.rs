//! Modified UTF-7 of mailbox names (RFC 3501 §5.1.3), both ways.

use base64::Engine as _;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const CODEC: GeneralPurpose = GeneralPurpose::new(
    &IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

pub fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut shifted: Vec<u8> = Vec::new();
    for c in name.chars() {
        if (' '..='~').contains(&c) {
            flush(&mut shifted, &mut out);
            out.push(c);
            if c == '&' {
                out.push('-');
            }
        } else {
            let mut units = [0u16; 2];
            for unit in c.encode_utf16(&mut units) {
                shifted.extend_from_slice(&unit.to_be_bytes());
            }
        }
    }
    flush(&mut shifted, &mut out);
    out
}

fn flush(shifted: &mut Vec<u8>, out: &mut String) {
    if !shifted.is_empty() {
        out.push('&');
        out.push_str(&CODEC.encode(&shifted));
        out.push('-');
        shifted.clear();
    }
}

/// `None` for what is not modified UTF-7: octets that no name may have in the clear (raw UTF-8 comes with RFC 6855 only,
/// and that is not offered), and spellings that `encode` would not write. So a mailbox has one name on the wire.
pub fn decode(name: &[u8]) -> Option<String> {
    let printable = |b: &u8| (b' '..=b'~').contains(b);
    let wire = std::str::from_utf8(name).ok()?;
    if !name.iter().all(printable) {
        return None;
    }
    let decoded = unshifted(wire)?;
    (encode(&decoded) == wire).then_some(decoded)
}

fn unshifted(mut rest: &str) -> Option<String> {
    let mut out = String::with_capacity(rest.len());
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let (shifted, after) = rest[at + 1..].split_once('-')?;
        rest = after;
        if shifted.is_empty() {
            out.push('&');
            continue;
        }
        let octets = CODEC.decode(shifted).ok()?;
        if octets.len() % 2 != 0 {
            return None;
        }
        let units = octets
            .chunks_exact(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        for c in char::decode_utf16(units) {
            out.push(c.ok()?);
        }
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(wire: &str, name: &str) {
        assert_eq!(decode(wire.as_bytes()).as_deref(), Some(name), "{wire}");
        assert_eq!(encode(name), wire, "{name}");
    }

    #[test]
    fn known_answers() {
        check("INBOX", "INBOX");
        check("R&-D", "R&D");
        check("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語");
        check("Entw&APw-rfe", "Entwürfe");
        check("&2D3eAA-", "😀");
    }

    #[test]
    fn broken_names_are_refused() {
        for wire in [
            "&",
            "&Jjo",
            "&J-",
            "&Jj!-",
            "a&2AA-",
            // RFC 3501 §5.1.3: no 8-bit, no printable ASCII in the shift, no shift that ends where the next begins.
            "Entwürfe",
            "a\tb",
            "&AGE-",
            "a&AC8-b",
            "&APw-&APw-",
        ] {
            assert_eq!(decode(wire.as_bytes()), None, "{wire}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_parsed_back(name in "\\PC{0,40}") {
            prop_assert_eq!(decode(encode(&name).as_bytes()), Some(name));
        }
    }
}
