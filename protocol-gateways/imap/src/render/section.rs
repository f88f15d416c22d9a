//! `BODY[section]<partial>`: RFC 3501 §6.4.5, RFC 9051 §6.4.5.1. The message read is the trace followed by what came
//! in, so the root's header begins with the trace and all offsets of facts are shifted by its length.

use super::header::{Range, bytes_of, fields, slice};
use bytes::Bytes;
use engine_service::{BodyPart, Content, PartKind};
use std::collections::HashSet;

/// `[]`, `[1.2]`, `[1.2.HEADER]` …
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// Part numbers, outermost first; empty: the message.
    pub part: Vec<u32>,
    pub text: SectionText,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SectionText {
    /// The whole message, or a part's body.
    #[default]
    Whole,
    Header,
    /// Field names, in any case.
    HeaderFields(Vec<String>),
    HeaderFieldsNot(Vec<String>),
    Text,
    /// A part's own header; needs part numbers.
    Mime,
}

/// The section's octets in pieces, `None` where the message has no such part. `partial`: first octet and count; beyond
/// the end it is empty.
pub fn section(
    content: &Content,
    section: &Section,
    partial: Option<(u64, u64)>,
) -> Option<Vec<Bytes>> {
    let range = match &section.text {
        SectionText::HeaderFields(names) => {
            let header = header_of(content, &section.part)?;
            return Some(cut(filter(content, header, names, true), partial));
        }
        SectionText::HeaderFieldsNot(names) => {
            let header = header_of(content, &section.part)?;
            return Some(cut(filter(content, header, names, false), partial));
        }
        SectionText::Header => header_of(content, &section.part)?,
        SectionText::Text => text_of(content, &section.part)?,
        SectionText::Whole if section.part.is_empty() => Range {
            start: 0,
            end: content.trace.len() as u64 + content.message.len,
        },
        SectionText::Whole => body_range(content, part_at(content, &section.part)?),
        SectionText::Mime if section.part.is_empty() => return None,
        SectionText::Mime => header_range(content, part_at(content, &section.part)?),
    };
    let range = match partial {
        Some((first, count)) => {
            let start = range.start.saturating_add(first).min(range.end);
            Range {
                start,
                end: start.saturating_add(count).min(range.end),
            }
        }
        None => range,
    };
    Some(slice(content, range))
}

/// HEADER of the message, or of the message inside a `message/rfc822` part.
fn header_of(content: &Content, part: &[u32]) -> Option<Range> {
    message_at(content, part).map(|message| header_range(content, message))
}

fn text_of(content: &Content, part: &[u32]) -> Option<Range> {
    message_at(content, part).map(|message| body_range(content, message))
}

fn message_at<'a>(content: &'a Content, part: &[u32]) -> Option<&'a BodyPart> {
    if part.is_empty() {
        return content.facts.body.as_ref();
    }
    let found = part_at(content, part)?;
    match found.kind() {
        PartKind::Message => found.children.first(),
        _ => None,
    }
}

/// Where numbers lead. A message that is no multipart has one part, 1: its body.
fn part_at<'a>(content: &'a Content, numbers: &[u32]) -> Option<&'a BodyPart> {
    let mut part = content.facts.body.as_ref()?;
    // The next number counts within a message's body, not within a part.
    let mut in_message = true;
    for &number in numbers {
        if !in_message {
            match part.kind() {
                PartKind::Multipart => {}
                PartKind::Message => part = part.children.first()?,
                PartKind::Basic | PartKind::Text => return None,
            }
        }
        if part.kind() == PartKind::Multipart {
            let at = usize::try_from(number).ok()?.checked_sub(1)?;
            part = part.children.get(at)?;
        } else if number != 1 {
            return None;
        }
        in_message = false;
    }
    Some(part)
}

pub(super) fn header_range(content: &Content, part: &BodyPart) -> Range {
    let trace = content.trace.len() as u64;
    // Only the root begins there: every other part lies behind its parent's header or delimiter.
    let is_root = content
        .facts
        .body
        .as_ref()
        .is_some_and(|root| std::ptr::eq(root, part));
    Range {
        start: if is_root {
            0
        } else {
            part.header_start + trace
        },
        end: part.body_start + trace,
    }
}

pub(super) fn body_range(content: &Content, part: &BodyPart) -> Range {
    let trace = content.trace.len() as u64;
    Range {
        start: part.body_start + trace,
        end: part.body_end + trace,
    }
}

/// The fields that are named (or are not), as they stand, and the blank line.
fn filter(content: &Content, header: Range, names: &[String], wanted: bool) -> Vec<u8> {
    let header = bytes_of(content, header);
    let names: HashSet<Vec<u8>> = names
        .iter()
        .map(|name| name.as_bytes().to_ascii_lowercase())
        .collect();
    let mut kept = Vec::new();
    for field in fields(&header) {
        if names.contains(&field.name.to_ascii_lowercase()) == wanted {
            kept.extend_from_slice(field.whole);
            if !kept.ends_with(b"\n") {
                kept.extend_from_slice(b"\r\n");
            }
        }
    }
    kept.extend_from_slice(b"\r\n");
    kept
}

fn cut(octets: Vec<u8>, partial: Option<(u64, u64)>) -> Vec<Bytes> {
    let octets = Bytes::from(octets);
    let Some((first, count)) = partial else {
        return vec![octets];
    };
    let length = octets.len() as u64;
    let start = first.min(length);
    let end = start.saturating_add(count).min(length);
    // Both are at most `length`, which is a usize.
    vec![octets.slice(start as usize..end as usize)]
}
