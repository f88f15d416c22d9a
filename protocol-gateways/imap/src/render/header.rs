//! Octets of a content by range, and the fields of a header.

use bytes::Bytes;
use engine_service::Content;
use memchr::memchr;

/// Octets of trace and message together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub start: u64,
    pub end: u64,
}

/// The range's octets in pieces, without copying. What lies outside of the content is left out.
pub fn slice(content: &Content, range: Range) -> Vec<Bytes> {
    let mut found = Vec::new();
    let mut at = 0_u64;
    for piece in std::iter::once(&content.trace).chain(&content.message.pieces) {
        let length = piece.len() as u64;
        let from = range.start.clamp(at, at + length) - at;
        let to = range.end.clamp(at, at + length) - at;
        if from < to {
            // Within the piece, so a usize.
            found.push(piece.slice(from as usize..to as usize));
        }
        at += length;
    }
    found
}

/// The range in one piece; copied only where it spans more.
pub fn bytes_of(content: &Content, range: Range) -> Bytes {
    let mut pieces = slice(content, range);
    match pieces.len() {
        0 => Bytes::new(),
        1 => pieces.remove(0),
        _ => Bytes::from(pieces.concat()),
    }
}

/// A field as it stands. A line without a colon has all of it as its name.
pub struct Field<'a> {
    pub name: &'a [u8],
    pub whole: &'a [u8],
}

/// The fields up to the blank line or the end.
pub fn fields(header: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = header;
    std::iter::from_fn(move || {
        let mut end = line_end(rest, 0);
        if matches!(&rest[..end], b"" | b"\n" | b"\r\n") {
            return None;
        }
        while matches!(rest.get(end), Some(b' ' | b'\t')) {
            end = line_end(rest, end);
        }
        let (whole, behind) = rest.split_at(end);
        rest = behind;
        let name = &whole[..memchr(b':', whole).unwrap_or(whole.len())];
        Some(Field {
            name: name.trim_ascii_end(),
            whole,
        })
    })
}

fn line_end(text: &[u8], at: usize) -> usize {
    memchr(b'\n', &text[at..]).map_or(text.len(), |found| at + found + 1)
}
