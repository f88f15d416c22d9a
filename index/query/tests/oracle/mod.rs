//! What RFC 9051 §6.4.4 says of a message, by the slowest way: written from the RFCs alone, it shares no code with `index`.
//! Only where a message's parts lie is taken from its facts.

mod decode;
mod html;

use engine_events::{BodyPart, Facts, PartKind};
use memchr::memmem::Finder;
use std::collections::BTreeSet;
use unicode_normalization::UnicodeNormalization;

/// A message as a client sees it, folded.
pub struct Seen {
    /// Names in upper case, and values.
    fields: Vec<(String, String)>,
    /// Lines of text that only TEXT finds.
    text: Vec<String>,
    body: Vec<String>,
}

/// A question with its needles folded, for many messages.
pub enum Test {
    And(Vec<Test>),
    Or(Vec<Test>),
    Not(Box<Test>),
    Among(BTreeSet<u64>),
    /// Empty ones are in every message.
    Text(Finder<'static>),
    Body(Finder<'static>),
    Header(String, Finder<'static>),
}

impl Test {
    pub fn new(asked: &Asked) -> Self {
        let all = |asked: &[Asked]| asked.iter().map(Test::new).collect();
        let finder = |needle: &str| Finder::new(&folded(needle)).into_owned();
        match asked {
            Asked::And(asked) => Test::And(all(asked)),
            Asked::Or(asked) => Test::Or(all(asked)),
            Asked::Not(one) => Test::Not(Box::new(Test::new(one))),
            Asked::Among(numbers) => Test::Among(numbers.iter().copied().collect()),
            Asked::Text(needle) => Test::Text(finder(needle)),
            Asked::Body(needle) => Test::Body(finder(needle)),
            Asked::Header(name, needle) => Test::Header(name.to_ascii_uppercase(), finder(needle)),
        }
    }
}

#[derive(Clone, Debug)]
pub enum Asked {
    And(Vec<Asked>),
    Or(Vec<Asked>),
    Not(Box<Asked>),
    /// A set of message numbers.
    Among(Vec<u64>),
    Text(String),
    Body(String),
    Header(String, String),
}

/// RFC 5051 on decomposed text, white space as one blank.
pub fn folded(text: &str) -> String {
    let mut out = String::new();
    for c in text.nfkd() {
        if c.is_whitespace() {
            if !out.ends_with(' ') {
                out.push(' ');
            }
            continue;
        }
        let title: Vec<char> = c.to_uppercase().collect();
        out.push(if title.len() == 1 { title[0] } else { c });
    }
    out
}

impl Seen {
    pub fn new(octets: &[u8], facts: &Facts) -> Self {
        let mut seen = Self {
            fields: Vec::new(),
            text: Vec::new(),
            body: Vec::new(),
        };
        let Some(root) = &facts.body else {
            return seen;
        };
        let all = header_fields(octets, root);
        seen.text
            .extend(all.iter().map(|(name, value)| format!("{name}: {value}")));
        seen.fields = all;
        seen.part(octets, root, false);
        seen
    }

    fn part(&mut self, octets: &[u8], part: &BodyPart, has_mime_header: bool) {
        if has_mime_header {
            let fields = header_fields(octets, part);
            self.text.extend(
                fields
                    .into_iter()
                    .map(|(name, value)| format!("{name}: {value}")),
            );
        }
        let mut names = Vec::new();
        if let Some(disposition) = &part.disposition {
            names.extend(decode::names(&disposition.params, "filename"));
        }
        names.extend(decode::names(&part.params, "name"));
        let mut shown: Vec<String> = Vec::new();
        for name in names {
            if !shown.contains(&name) {
                shown.push(name);
            }
        }
        self.body.extend(shown.iter().map(|name| folded(name)));
        match part.kind() {
            PartKind::Multipart => {
                part.children
                    .iter()
                    .for_each(|child| self.part(octets, child, true));
            }
            PartKind::Message => {
                for child in &part.children {
                    let fields = header_fields(octets, child);
                    self.body.extend(
                        fields
                            .into_iter()
                            .map(|(name, value)| format!("{name}: {value}")),
                    );
                    self.part(octets, child, false);
                }
            }
            PartKind::Text => {
                let text = decode::text(octets, part);
                let is_html = part.subtype.to_lowercase() == "html";
                let text = if is_html { html::shown(&text) } else { text };
                self.body.push(folded(&text));
            }
            PartKind::Basic => {}
        }
    }

    pub fn is(&self, test: &Test, number: u64) -> bool {
        match test {
            Test::And(all) => all.iter().all(|one| self.is(one, number)),
            Test::Or(all) => all.iter().any(|one| self.is(one, number)),
            Test::Not(one) => !self.is(one, number),
            Test::Among(numbers) => numbers.contains(&number),
            Test::Text(needle) => has(&self.text, needle) || has(&self.body, needle),
            Test::Body(needle) => has(&self.body, needle),
            Test::Header(name, needle) => {
                let mut values = self.fields.iter().filter(|(n, _)| n == name);
                values.any(|(_, value)| needle.find(value.as_bytes()).is_some())
            }
        }
    }

    /// All that can be searched, for the choice of needles: lines of a header, then of the body.
    pub fn lines(&self) -> impl Iterator<Item = &String> {
        self.text.iter().chain(&self.body)
    }
}

fn has(lines: &[String], needle: &Finder<'_>) -> bool {
    needle.needle().is_empty()
        || lines
            .iter()
            .any(|line| needle.find(line.as_bytes()).is_some())
}

/// Decoded and folded fields up to the first empty line.
fn header_fields(octets: &[u8], part: &BodyPart) -> Vec<(String, String)> {
    let header = &octets[part.header_start as usize..part.body_start as usize];
    let mut unfolded: Vec<Vec<u8>> = Vec::new();
    for line in header.split(|octet| *octet == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let continues = matches!(line.first(), Some(b' ' | b'\t'));
        match unfolded.last_mut() {
            Some(field) if continues => field.extend_from_slice(line),
            _ if line.trim_ascii().is_empty() => break,
            _ => unfolded.push(line.to_vec()),
        }
    }
    let mut fields = Vec::new();
    for field in unfolded {
        let Some(colon) = field.iter().position(|octet| *octet == b':') else {
            continue;
        };
        let name = String::from_utf8_lossy(field[..colon].trim_ascii_end()).into_owned();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_graphic()) {
            continue;
        }
        let value = folded(&decode::words(field[colon + 1..].trim_ascii()));
        fields.push((name.to_ascii_uppercase(), value.trim().to_owned()));
    }
    fields
}
