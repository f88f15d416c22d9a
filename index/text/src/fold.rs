//! `i;unicode-casemap` (RFC 5051) with two additions, each of which makes more texts alike:
//!
//! - RFC 5051 maps each character to title case and then decomposes it. Here the text is decomposed first (NFKD, marks in
//!   canonical order) and each character is then mapped, so that composed and decomposed forms are alike also where only
//!   the decomposed one has a title case (`ΐ`). `every_character_settles` shows that nothing is left to decompose.
//! - Any run of white space (Unicode's White_Space, so line ends and no-break spaces, too) is one U+0020. A needle is
//!   found whether or not the text was wrapped within it.
//!
//! The mapping is the simple one, a character to a character: `ß` is not `SS`. What has no single title case stays.

use unicode_normalization::UnicodeNormalization;

/// A folded text holds no line feed: it is free to divide texts.
///
/// Time is linear, but for a run of n combining marks, which is sorted. No character becomes longer than 11 times its octets.
pub fn fold(text: &str) -> String {
    let mut folder = Folder {
        out: String::with_capacity(text.len()),
        blank: false,
    };
    let mut rest = text;
    while !rest.is_empty() {
        let plain = ascii_length(rest);
        folder.ascii(&rest[..plain]);
        rest = &rest[plain..];
        // A combining mark is never ASCII, so nothing is reordered across this border.
        let other = rest
            .bytes()
            .position(|octet| octet.is_ascii())
            .unwrap_or(rest.len());
        rest[..other].nfkd().for_each(|c| folder.push(mapped(c)));
        rest = &rest[other..];
    }
    folder.out
}

fn ascii_length(text: &str) -> usize {
    text.bytes()
        .position(|octet| !octet.is_ascii())
        .unwrap_or(text.len())
}

/// Of decomposed characters title case and upper case differ only in Georgian, whose two alphabets so become one.
fn mapped(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(single), None) => single,
        _ => c,
    }
}

struct Folder {
    out: String,
    /// The last character was white space.
    blank: bool,
}

impl Folder {
    fn ascii(&mut self, text: &str) {
        for word in text.split_inclusive(|c: char| c.is_ascii_whitespace() || c == '\x0b') {
            let bare = word.trim_ascii_end().trim_end_matches('\x0b');
            if !bare.is_empty() {
                self.blank = false;
                let start = self.out.len();
                self.out.push_str(bare);
                self.out[start..].make_ascii_uppercase();
            }
            word[bare.len()..].chars().for_each(|c| self.push(c));
        }
    }

    fn push(&mut self, c: char) {
        if !c.is_whitespace() {
            self.blank = false;
            self.out.push(c);
        } else if !self.blank {
            self.blank = true;
            self.out.push(' ');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        assert_eq!(fold(text), expect, "{text}");
    }

    #[test]
    fn case_and_form() {
        check("Grüße", "GRU\u{308}ßE");
        check("x", "X");
        check("ﬁx ſ µ", "FIX S Μ");
        check("ΐ", "Ι\u{308}\u{301}");
        check("ι\u{308}\u{301}", "Ι\u{308}\u{301}");
        check("ς σ Σ", "Σ Σ Σ");
        check("ⅷ ①", "VIII 1");
        check("ǆ ǅ Ǆ", "DZ\u{30c} DZ\u{30c} DZ\u{30c}");
        check("ა Ა", "Ა Ა");
        check("ı i", "I I");
        check("ｶﾞ", "カ\u{3099}");
    }

    #[test]
    fn white_space_is_one_blank() {
        check("a \r\n\t b", "A B");
        check(" a\u{a0}\u{2003}b\u{3000}", " A B ");
        check("a\u{200b}b", "A\u{200b}B");
        check("\u{b4}", " \u{301}");
        check("", "");
    }

    /// RFC 5051 repeats decomposition until nothing changes: one pass before the mapping is enough.
    #[test]
    fn every_character_settles() {
        for c in '\0'..=char::MAX {
            let once = fold(&c.to_string());
            assert_eq!(fold(&once), once, "{c:?}");
            assert!(once.len() <= 11 * c.len_utf8(), "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn composed_and_decomposed_are_alike(text in "\\PC{0,40}") {
            let composed: String = text.nfc().collect();
            let decomposed: String = text.nfd().collect();
            prop_assert_eq!(fold(&composed), fold(&decomposed));
            prop_assert!(!fold(&text).contains('\n'));
        }
    }
}
