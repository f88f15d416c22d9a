//! Header fields (RFC 5322 §2.2) and encoded words (RFC 2047) to text.

use crate::charset::to_text;
use crate::transfer::{base64, quoted_printable};
use memchr::{memchr, memmem};

pub struct Field<'a> {
    pub name: String,
    /// With its folds.
    pub value: &'a [u8],
}

/// The fields of a header in order, up to its empty line. Lines without a colon, or with a name that is none, are skipped.
pub fn fields(header: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = header;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (field, behind) = rest.split_at(field_length(rest));
            rest = behind;
            if field.trim_ascii().is_empty() {
                rest = &[];
            } else if let Some(field) = field_of(field) {
                return Some(field);
            }
        }
        None
    })
}

/// Octets up to the line that is no continuation. A blank line is a field's end, and alone.
fn field_length(text: &[u8]) -> usize {
    let line_end =
        |at: usize| memchr(b'\n', &text[at..]).map_or(text.len(), |found| at + found + 1);
    let mut end = line_end(0);
    if text[..end].trim_ascii().is_empty() {
        return end;
    }
    while matches!(text.get(end), Some(b' ' | b'\t')) {
        end = line_end(end);
    }
    end
}

fn field_of(field: &[u8]) -> Option<Field<'_>> {
    let colon = memchr(b':', field)?;
    let name = std::str::from_utf8(field[..colon].trim_ascii_end()).ok()?;
    let is_name = !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_graphic());
    is_name.then(|| Field {
        name: name.to_owned(),
        value: &field[colon + 1..],
    })
}

/// A value: unfolded, its encoded words decoded.
pub fn decoded(value: &[u8]) -> String {
    let value = unfolded(value);
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

/// Line ends taken out; the white space that made the fold stays.
fn unfolded(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for line in value.trim_ascii().split_inclusive(|octet| *octet == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
    }
    out
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
    let blank = |octet: &u8| if *octet == b'_' { b' ' } else { *octet };
    let spaced: Vec<u8> = encoded.iter().map(blank).collect();
    quoted_printable(&spaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &[u8], expect: &str) {
        assert_eq!(decoded(value), expect, "{}", value.escape_ascii());
    }

    #[test]
    fn values() {
        check(b" plain \r\n text ", "plain  text");
        check(b"=?utf-8?q?gr=C3=BC=C3=9Fe?= x", "grüße x");
        check(b"=?utf-8?B?ww==?= =?UTF-8?b?vA==?=", "ü");
        check(b"=?utf-8?q?a?=\r\n =?utf-8?q?b?= c", "ab c");
        check(b"=?iso-8859-1*de?Q?=FC_b?=", "ü b");
        check(b"raw \xfc =?x-none?q?=FC?=", "raw ü ü");
        check(b"=?utf-8?x?a?= =?a =?utf-8?q?b?=", "=?utf-8?x?a?= =?a b");
        check(b"=?utf-8?q?open", "=?utf-8?q?open");
    }

    #[test]
    fn fields_end_at_the_empty_line() {
        let header = b"From x@y 12:00:00\nA: 1\r\n 2\r\nno colon\r\nB b: 3\r\nC : 4\n\r\nD: 5\r\n";
        let shown: Vec<String> = fields(header)
            .map(|field| format!("{}={}", field.name, decoded(field.value)))
            .collect();
        assert_eq!(shown, ["A=1 2", "C=4"]);
    }
}
