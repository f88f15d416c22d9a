//! Octets in a charset to text, for SEARCH: what `encoding_rs` knows, by the WHATWG's labels, which cover what mail names.

use encoding_rs::{Encoding, ISO_8859_15, UTF_8, WINDOWS_1252};

/// What BADCHARSET names (RFC 3501 §6.4.4): each charset once, by its usual name. Other labels of theirs are known too.
pub const NAMES: [&str; 38] = [
    "UTF-8",
    "US-ASCII",
    "ISO-8859-1",
    "ISO-8859-2",
    "ISO-8859-3",
    "ISO-8859-4",
    "ISO-8859-5",
    "ISO-8859-6",
    "ISO-8859-7",
    "ISO-8859-8",
    "ISO-8859-9",
    "ISO-8859-10",
    "ISO-8859-13",
    "ISO-8859-14",
    "ISO-8859-15",
    "ISO-8859-16",
    "WINDOWS-874",
    "WINDOWS-1250",
    "WINDOWS-1251",
    "WINDOWS-1252",
    "WINDOWS-1253",
    "WINDOWS-1254",
    "WINDOWS-1255",
    "WINDOWS-1256",
    "WINDOWS-1257",
    "WINDOWS-1258",
    "KOI8-R",
    "KOI8-U",
    "IBM866",
    "MACINTOSH",
    "GBK",
    "GB18030",
    "BIG5",
    "EUC-JP",
    "ISO-2022-JP",
    "SHIFT_JIS",
    "EUC-KR",
    "UTF-16LE",
];

/// A charset by its label. US-ASCII is `UTF_8`: of ASCII they are the same, and beyond it the label is wrong anyway.
pub fn named(label: &[u8]) -> Option<&'static Encoding> {
    let label = label.trim_ascii();
    let is = |name: &str| label.eq_ignore_ascii_case(name.as_bytes());
    if is("us-ascii") || is("ascii") {
        return Some(UTF_8);
    }
    if is("latin9") {
        return Some(ISO_8859_15);
    }
    Encoding::for_label_no_replacement(label)
}

/// All of it, or `None`: what a client searches for must not be guessed.
pub fn exact(octets: &[u8], charset: &'static Encoding) -> Option<String> {
    charset
        .decode_without_bom_handling_and_without_replacement(octets)
        .map(|text| text.into_owned())
}

/// What a reader would see. Of an unknown charset ASCII is read, and the rest of its octets matches nothing.
pub fn to_text(octets: &[u8], label: &[u8]) -> String {
    let is = |name: &str| label.trim_ascii().eq_ignore_ascii_case(name.as_bytes());
    // 8-bit octets under a label that denies them, or under none.
    if ["", "us-ascii", "ascii", "unknown-8bit"]
        .iter()
        .any(|n| is(n))
    {
        return exact(octets, UTF_8).unwrap_or_else(|| lossy(octets, WINDOWS_1252));
    }
    match named(label) {
        Some(charset) => lossy(octets, charset),
        None => octets
            .iter()
            .map(|octet| match octet.is_ascii() {
                true => char::from(*octet),
                false => char::REPLACEMENT_CHARACTER,
            })
            .collect(),
    }
}

fn lossy(octets: &[u8], charset: &'static Encoding) -> String {
    charset.decode_without_bom_handling(octets).0.into_owned()
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
        check("UTF-8", b"a\xff", "a\u{fffd}");
        check("ISO-8859-1", b"\x80\xe9", "€é");
        check("latin9", b"\xa4", "€");
        check("", b"gr\xfc\xdf", "grüß");
        check("us-ascii", "grüß".as_bytes(), "grüß");
        check("unknown-8bit", b"\xfc", "ü");
        check(" KOI8-R ", b"\xf0\xd2\xc9", "При");
        check("iso-2022-jp", b"\x1b$BF|K\\\x1b(B", "日本");
        check("gb2312", b"\xd6\xd0", "中");
        check("utf-7", b"a+AOk-\xe9", "a+AOk-\u{fffd}");
        check("x-none", b"a\xe9", "a\u{fffd}");
    }

    #[test]
    fn the_names_of_badcharset_are_known() {
        for name in NAMES {
            assert!(named(name.as_bytes()).is_some(), "{name}");
        }
        // The WHATWG knows these labels only to refuse them.
        assert_eq!(named(b"iso-2022-kr"), None);
        assert_eq!(named(b"utf-7"), None);
    }

    #[test]
    fn what_is_searched_for_is_not_guessed() {
        let check = |label: &str, octets: &[u8], expect: Option<&str>| {
            let charset = named(label.as_bytes()).unwrap();
            assert_eq!(exact(octets, charset).as_deref(), expect, "{label}");
        };
        check("koi8-r", b"\xf0", Some("П"));
        check("us-ascii", b"\xe9", None);
        check("utf-8", b"\xe9", None);
        check("shift_jis", b"\x81", None);
    }
}
