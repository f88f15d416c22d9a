//! SEARCH's keys that look into a message (RFC 3501 §6.4.4): substrings of decoded text, case ignored by Unicode's
//! simple lower case.

use super::charset::to_text;
use super::decode;
use super::header::{Field, bytes_of, fields};
use super::section::{body_range, header_range};
use engine_service::{BodyPart, Content, PartKind};
use memchr::memmem::Finder;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextKey {
    /// An empty value: the field is there.
    Header {
        name: String,
        value: String,
    },
    Subject(String),
    From(String),
    To(String),
    Cc(String),
    Bcc(String),
    /// Text parts, and the headers of messages inside.
    Body(String),
    /// The header, or as `Body`.
    Text(String),
}

pub fn contains(content: &Content, key: &TextKey) -> bool {
    let Some(root) = &content.facts.body else {
        return false;
    };
    match key {
        TextKey::Header { name, value } => in_field(content, root, name, value),
        TextKey::Subject(value) => in_field(content, root, "Subject", value),
        TextKey::From(value) => in_field(content, root, "From", value),
        TextKey::To(value) => in_field(content, root, "To", value),
        TextKey::Cc(value) => in_field(content, root, "Cc", value),
        TextKey::Bcc(value) => in_field(content, root, "Bcc", value),
        TextKey::Body(value) => {
            let value = folded(value);
            value.is_empty() || in_part(content, root, &Finder::new(&value))
        }
        TextKey::Text(value) => {
            let value = folded(value);
            let finder = Finder::new(&value);
            value.is_empty() || in_header(content, root, &finder) || in_part(content, root, &finder)
        }
    }
}

/// Case is ignored.
fn folded(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

fn found_in(text: &str, finder: &Finder<'_>) -> bool {
    finder.find(folded(text).as_bytes()).is_some()
}

/// A field of that name whose decoded value has `value` in it. With an empty value the field is enough.
fn in_field(content: &Content, root: &BodyPart, name: &str, value: &str) -> bool {
    let header = bytes_of(content, header_range(content, root));
    let value = folded(value);
    let finder = Finder::new(&value);
    fields(&header)
        .filter(|field| field.name.eq_ignore_ascii_case(name.as_bytes()))
        .any(|field| value.is_empty() || found_in(&decode::header(field.value), &finder))
}

/// Anywhere in a header, `Name: value` field by field.
fn in_header(content: &Content, part: &BodyPart, finder: &Finder<'_>) -> bool {
    let header = bytes_of(content, header_range(content, part));
    fields(&header).any(|Field { name, value, .. }| {
        let mut text = to_text(name, b"");
        text.push_str(": ");
        text.push_str(&decode::header(value));
        found_in(&text, finder)
    })
}

fn in_part(content: &Content, part: &BodyPart, finder: &Finder<'_>) -> bool {
    match part.kind() {
        PartKind::Multipart => part
            .children
            .iter()
            .any(|child| in_part(content, child, finder)),
        PartKind::Message => part
            .children
            .iter()
            .any(|child| in_header(content, child, finder) || in_part(content, child, finder)),
        PartKind::Text => {
            let octets = bytes_of(content, body_range(content, part));
            let charset = part
                .params
                .iter()
                .find(|param| param.name.eq_ignore_ascii_case(b"charset"))
                .map_or(&b""[..], |param| &param.value[..]);
            let text = to_text(&decode::body(&octets, &part.encoding), charset);
            found_in(&text, finder)
        }
        PartKind::Basic => false,
    }
}
