//! The walk over a message's parts. What is found where:
//!
//! | | TEXT | BODY | fields' keys |
//! |---|---|---|---|
//! | fields of the message | `Name: value` | | value |
//! | fields of parts (MIME headers) | `Name: value` | | |
//! | text parts, HTML as the text that it shows | yes | yes | |
//! | fields of attached messages, and all of their text | yes | yes | |
//! | file names | yes | yes | |
//!
//! RFC 9051 §6.4.4 leaves open what text a body has. A text that a reader sees is in it, and what only a browser sees
//! (tags, attributes, scripts, styles, comments) is not. Encoded attachments are no text.

use crate::charset::to_text;
use crate::file_name::file_names;
use crate::header::{decoded, fields};
use crate::html::shown_text;
use crate::limits::DEPTH_MAX;
use crate::transfer;
use index_text::{FoldedText, FoldedTextBuilder};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `text/html` and `application/xhtml+xml`.
    Html,
    /// Any other `text`.
    Text,
    /// `message/rfc822` or `message/global`: its one child is the message inside.
    Message,
    Multipart,
    /// Nothing of its octets is read.
    Other,
}

/// A part; the root is the message itself.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    pub kind: Kind,
    /// The message's header if this is a root or the child of a `Kind::Message`, a MIME header otherwise.
    pub header: &'a [u8],
    /// Content-Type's parameters, names and values as given.
    pub params: Vec<(&'a [u8], &'a [u8])>,
    /// Content-Disposition's.
    pub disposition: Vec<(&'a [u8], &'a [u8])>,
    /// Content-Transfer-Encoding; an unknown one counts as none.
    pub encoding: &'a str,
    /// The body as it stands in the message. Not read of messages and multiparts.
    pub octets: &'a [u8],
    pub children: Vec<Part<'a>>,
}

/// Takes what BODY finds, decoded.
trait BodyText {
    fn text(&mut self, text: &str);
    /// Of an attached message's header.
    fn field(&mut self, name: &str, value: &str);
    /// Nothing more is taken.
    fn is_full(&self) -> bool {
        false
    }
}

impl BodyText for FoldedTextBuilder {
    fn text(&mut self, text: &str) {
        self.body(text);
    }

    fn field(&mut self, name: &str, value: &str) {
        self.attached_field(name, value);
    }
}

/// As a reader sees it.
struct Shown {
    text: String,
    bytes_max: usize,
}

impl BodyText for Shown {
    fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.text.push_str(text);
            self.text.push('\n');
        }
    }

    fn field(&mut self, name: &str, value: &str) {
        self.text(&format!("{name}: {value}"));
    }

    fn is_full(&self) -> bool {
        self.text.len() >= self.bytes_max
    }
}

/// What BODY finds, decoded and not folded; the parts behind those that make `bytes_max` octets are left out.
pub fn body_text(root: &Part<'_>, bytes_max: usize) -> String {
    let mut out = Shown {
        text: String::new(),
        bytes_max,
    };
    body(root, 0, &mut out);
    out.text
}

pub fn folded_text(root: &Part<'_>) -> FoldedText {
    let mut out = FoldedTextBuilder::new();
    for field in fields(root.header) {
        out.field(&field.name, &decoded(field.value));
    }
    // Before the body, since the fields of all parts stand together.
    root.children
        .iter()
        .for_each(|part| part_fields(root, part, 1, &mut out));
    body(root, 0, &mut out);
    out.finish()
}

/// The MIME headers of all parts below; those of attached messages are text of the body.
fn part_fields(parent: &Part<'_>, part: &Part<'_>, depth: usize, out: &mut FoldedTextBuilder) {
    if depth > DEPTH_MAX {
        return;
    }
    if parent.kind != Kind::Message {
        for field in fields(part.header) {
            out.part_field(&field.name, &decoded(field.value));
        }
    }
    part.children
        .iter()
        .for_each(|child| part_fields(part, child, depth + 1, out));
}

fn body(part: &Part<'_>, depth: usize, out: &mut impl BodyText) {
    if depth > DEPTH_MAX || out.is_full() {
        return;
    }
    for name in file_names(&part.params, &part.disposition) {
        out.text(&name);
    }
    match part.kind {
        Kind::Text => out.text(&text_of(part)),
        Kind::Html => out.text(&shown_text(&text_of(part))),
        Kind::Message => {
            for child in &part.children {
                for field in fields(child.header) {
                    out.field(&field.name, &decoded(field.value));
                }
                body(child, depth + 1, out);
            }
        }
        Kind::Multipart => {
            part.children
                .iter()
                .for_each(|child| body(child, depth + 1, out));
        }
        Kind::Other => {}
    }
}

fn text_of(part: &Part<'_>) -> String {
    let charset = part
        .params
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(b"charset"))
        .map_or(&b""[..], |(_, value)| value);
    to_text(&transfer::decode(part.octets, part.encoding), charset)
}
