//! Header fields: lines, folding (RFC 5322 §2.2.3). A line ends with LF; a CR before it belongs to the line end.

use bytes::Bytes;
use memchr::memchr;

/// One past the LF of the line that begins at `at`, or the end of `text`.
pub fn line_end(text: &[u8], at: usize) -> usize {
    memchr(b'\n', &text[at..]).map_or(text.len(), |found| at + found + 1)
}

/// `line` without its line end.
pub fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The fields of a header in order: name, and value with its folds. Lines without a colon are skipped.
pub struct Fields<'a> {
    text: &'a [u8],
    at: usize,
}

pub fn fields(header: &[u8]) -> Fields<'_> {
    Fields {
        text: header,
        at: 0,
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while self.at < self.text.len() {
            let start = self.at;
            let mut end = line_end(self.text, start);
            if without_line_end(&self.text[start..end]).is_empty() {
                self.at = self.text.len();
                return None;
            }
            while matches!(self.text.get(end), Some(b' ' | b'\t')) {
                end = line_end(self.text, end);
            }
            self.at = end;
            let field = &self.text[start..end];
            if let Some(colon) = memchr(b':', field) {
                let name = field[..colon].trim_ascii_end();
                if !name.is_empty() && name.iter().all(u8::is_ascii_graphic) {
                    return Some((name, &field[colon + 1..]));
                }
            }
        }
        None
    }
}

/// The value without folds' line ends and without white space around; at most `max` octets.
pub fn unfold(value: &[u8], max: usize) -> Bytes {
    let mut value = value.trim_ascii();
    let mut out = Vec::with_capacity(value.len().min(max));
    while !value.is_empty() && out.len() < max {
        let end = line_end(value, 0);
        let line = &value[..end];
        // The last line has no line end after the trim; all others are folds.
        out.extend_from_slice(without_line_end(line));
        value = &value[end..];
    }
    out.truncate(max);
    Bytes::from(out)
}
