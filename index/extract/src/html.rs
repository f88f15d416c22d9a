//! HTML to the text that it shows, by the tokenizer's rules of the HTML standard (§13.2.5) as far as they matter to text:
//!
//! - a tag runs from `<` and a letter, or `</` and a letter, to the next `>` outside of a quoted attribute value; a quote
//!   opens a value only behind `=`. `<!--` runs to `-->`; `<!`, `<?` and `</` before something else to `>`. Whatever is
//!   left open runs to the end;
//! - what stands in `script` and `style` is dropped, up to their end tag;
//! - a tag of an element that stands within a line joins what is around it, any other divides it, as a blank does;
//! - character references are resolved, named ones only where the whole run of letters and digits is a name.

use crate::limits::REFERENCE_CHARS_MAX;
use encoding_rs::WINDOWS_1252;
use entities::ENTITIES;
use memchr::{memchr, memchr2, memmem};
use std::collections::HashMap;
use std::sync::LazyLock;

/// Elements within a line. In ascending order.
const INLINE: [&str; 32] = [
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em", "font",
    "i", "ins", "kbd", "label", "mark", "nobr", "q", "s", "samp", "small", "span", "strike",
    "strong", "sub", "sup", "tt", "u", "var", "wbr",
];

pub fn shown_text(html: &str) -> String {
    let mut out = String::with_capacity(html.len() / 2);
    let mut rest = html;
    while let Some(at) = memchr2(b'<', b'&', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = match rest.starts_with('&') {
            true => reference(rest, &mut out),
            false => markup(rest, &mut out),
        };
        if taken == 0 {
            out.push_str(&rest[..1]);
        }
        rest = &rest[taken.max(1)..];
    }
    out.push_str(rest);
    out
}

/// Octets of what begins with `<` here; 0 if that is only a `<`.
fn markup(text: &str, out: &mut String) -> usize {
    let octets = text.as_bytes();
    match (octets.get(1), octets.get(2)) {
        (Some(b'!'), _) if text.starts_with("<!--") => {
            // `<!-->` is a whole comment.
            memmem::find(&octets[2..], b"-->").map_or(text.len(), |at| 2 + at + 3)
        }
        (Some(b'/'), Some(letter)) if letter.is_ascii_alphabetic() => element(text, 2, out),
        (Some(b'!' | b'?'), _) | (Some(b'/'), Some(_)) => {
            memchr(b'>', octets).map_or(text.len(), |at| at + 1)
        }
        (Some(letter), _) if letter.is_ascii_alphabetic() => {
            let length = element(text, 1, out);
            length + hidden(&text[length..], name_at(text, 1))
        }
        _ => 0,
    }
}

fn name_at(text: &str, start: usize) -> &str {
    let ends = |octet: &u8| octet.is_ascii_whitespace() || b"/>".contains(octet);
    let length = text.as_bytes()[start..].iter().position(ends);
    &text[start..length.map_or(text.len(), |length| start + length)]
}

/// A tag whose name begins at `start`: its octets.
fn element(text: &str, start: usize, out: &mut String) -> usize {
    let name = name_at(text, start).to_ascii_lowercase();
    if INLINE.binary_search(&name.as_str()).is_err() {
        out.push(' ');
    }
    tag_length(text.as_bytes(), start + name.len())
}

/// Up to behind the `>` that ends the tag.
fn tag_length(octets: &[u8], behind_name: usize) -> usize {
    // Behind `=`, where a quote may open a value.
    let mut value_opens = false;
    let mut at = behind_name;
    while let Some(octet) = octets.get(at) {
        at += 1;
        match octet {
            b'>' => return at,
            b'"' | b'\'' if value_opens => {
                let Some(length) = memchr(*octet, &octets[at..]) else {
                    return octets.len();
                };
                at += length + 1;
                value_opens = false;
            }
            b'=' => value_opens = true,
            _ if octet.is_ascii_whitespace() => {}
            _ => value_opens = false,
        }
    }
    at
}

/// Octets behind a start tag that are no text, up to the end tag.
fn hidden(text: &str, name: &str) -> usize {
    if !name.eq_ignore_ascii_case("script") && !name.eq_ignore_ascii_case("style") {
        return 0;
    }
    let octets = text.as_bytes();
    let mut from = 0;
    while let Some(found) = memmem::find(&octets[from..], b"</") {
        let at = from + found;
        let end = name_at(text, at + 2);
        if end.eq_ignore_ascii_case(name) {
            return at;
        }
        from = at + 2;
    }
    text.len()
}

static NAMES: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    let bare = |name: &'static str| name.trim_start_matches('&');
    ENTITIES
        .iter()
        .map(|e| (bare(e.entity), e.characters))
        .collect()
});

/// Octets of the character reference that begins here; 0 if it is only a `&`.
fn reference(text: &str, out: &mut String) -> usize {
    let behind = &text[1..];
    if let Some(digits) = behind.strip_prefix('#') {
        let (digits, radix) = match digits.strip_prefix(['x', 'X']) {
            Some(hex) => (hex, 16),
            None => (digits, 10),
        };
        let count = digits
            .bytes()
            .take_while(|o| char::from(*o).is_digit(radix))
            .count();
        if count == 0 {
            return 0;
        }
        out.push(numbered(&digits[..count], radix));
        let ends = usize::from(digits[count..].starts_with(';'));
        return text.len() - digits.len() + count + ends;
    }
    let octets = behind.bytes().take(REFERENCE_CHARS_MAX + 1);
    let count = octets.take_while(u8::is_ascii_alphanumeric).count();
    let ends = usize::from(behind[count..].starts_with(';'));
    // Names that may stand without a semicolon are in the list without one.
    let named = NAMES.get(&behind[..count + ends]);
    match named.or_else(|| NAMES.get(&behind[..count])) {
        Some(characters) => {
            out.push_str(characters);
            1 + count + ends
        }
        None => 0,
    }
}

/// HTML §13.2.5.80: the numbers of the C1 controls mean windows-1252.
fn numbered(digits: &str, radix: u32) -> char {
    // More digits than fit are no character.
    let number = u32::from_str_radix(digits, radix).unwrap_or(u32::MAX);
    match number {
        0 => char::REPLACEMENT_CHARACTER,
        0x80..=0x9f => {
            let octet = [number as u8];
            let (text, _) = WINDOWS_1252.decode_without_bom_handling(&octet);
            text.chars().next().unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        _ => char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(html: &str, expect: &str) {
        assert_eq!(shown_text(html), expect, "{html}");
    }

    #[test]
    fn tags() {
        check("f<b>oo</b> <I class=x>bar</I>", "foo bar");
        check("a<br>b</p><p>c", "a b  c");
        check("a<img alt=\"x>y\">b", "a b");
        check("a<a title='it's>b", "ab");
        check("a <b c>d", "a d");
        check("1 < 2 <3 <", "1 < 2 <3 <");
        check("a<b", "a");
        check("a<b title=\"x>y", "a");
    }

    #[test]
    fn what_is_not_shown() {
        check("a<!-- <b> - x -->b<!-->c<!-- open", "abc");
        check("<!DOCTYPE html>a<?xml x?>b</ x>c", "abc");
        check("a<STYLE x>b{</p></stylex></style >c", "a  c");
        check("a<script>if (a<b) '</'</SCRIPT>b", "a  b");
        check("a<script>b", "a ");
    }

    #[test]
    fn references() {
        check("&lt;b&gt; &amp;&nbsp;&copy x &euro;", "<b> &\u{a0}© x €");
        check(
            "&#65;&#x42;&#67 &#150;&#0;&#xD800;&#99999999999;",
            "ABC –\u{fffd}\u{fffd}\u{fffd}",
        );
        check("a&b &copyright; &#; &; &", "a&b &copyright; &#; &; &");
        check("&CounterClockwiseContourIntegral;", "∳");
        check("&eur\u{f6};", "&eur\u{f6};");
    }

    #[test]
    fn the_list_of_inline_elements_can_be_searched() {
        assert!(INLINE.is_sorted());
    }
}
