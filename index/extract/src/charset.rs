//! Octets in a charset to text: what `encoding_rs` knows, by the WHATWG's labels, which cover what mail names.

use encoding_rs::{Encoding, ISO_8859_15, UTF_8, WINDOWS_1252};

/// What a reader would see. Octets under no label, an unknown one, or US-ASCII's are UTF-8 if all of them are, and
/// windows-1252 otherwise. What is not of a known charset becomes U+FFFD.
pub fn to_text(octets: &[u8], label: &[u8]) -> String {
    let charset = match named(label) {
        Some(charset) => charset,
        None => match std::str::from_utf8(octets) {
            Ok(text) => return text.to_owned(),
            Err(_) => WINDOWS_1252,
        },
    };
    charset.decode_without_bom_handling(octets).0.into_owned()
}

fn named(label: &[u8]) -> Option<&'static Encoding> {
    let label = label.trim_ascii();
    let is = |name: &str| label.eq_ignore_ascii_case(name.as_bytes());
    if is("us-ascii") || is("ascii") {
        return None;
    }
    if is("utf8") {
        return Some(UTF_8);
    }
    if is("latin9") {
        return Some(ISO_8859_15);
    }
    Encoding::for_label_no_replacement(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(label: &str, octets: &[u8], expect: &str) {
        assert_eq!(to_text(octets, label.as_bytes()), expect, "{label}");
    }

    #[test]
    fn what_a_reader_sees() {
        check("utf-8", "é".as_bytes(), "é");
        check("UTF8", b"a\xff", "a\u{fffd}");
        check("ISO-8859-1", b"\x80\xe9", "€é");
        check("latin9", b"\xa4", "€");
        check("", b"gr\xfc\xdf", "grüß");
        check("us-ascii", "grüß".as_bytes(), "grüß");
        check("unknown-8bit", b"\xfc", "ü");
        check(" KOI8-R ", b"\xf0\xd2\xc9", "При");
        check("iso-2022-jp", b"\x1b$BF|K\\\x1b(B", "日本");
        check("gb2312", b"\xd6\xd0", "中");
        check("x-none", b"a\xe9", "aé");
        check("utf-7", b"a+AOk-", "a+AOk-");
    }
}
