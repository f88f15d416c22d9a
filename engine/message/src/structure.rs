//! MIME structure in one pass over the lines (RFC 2046 §5.1). Each line is compared with the boundaries that are
//! open, at most `DEPTH_MAX`, so the time is linear in the message whatever it holds.

use crate::content::{Params, content_type, disposition, languages, token};
use crate::envelope::{Budget, envelope};
use crate::header::{fields, line_end, unfold, without_line_end};
use crate::limits::{
    DEPTH_MAX, MIME_FIELD_BYTES_MAX, PARTS_MAX, VALUE_BYTES_MAX, VALUES_BYTES_MAX,
};
use bytes::Bytes;
use engine_events::{BodyPart, Disposition, Facts, Param, PartKind};

/// What `message` says of itself. Never fails: what does not parse is shown as text or as octets.
pub fn facts(message: &[u8]) -> Facts {
    let mut scanner = Scanner {
        text: message,
        at: 0,
        newlines: 0,
        open: Vec::new(),
        parts_left: PARTS_MAX,
        budget: Budget {
            values_left: VALUES_BYTES_MAX,
        },
    };
    let (body, envelope) = scanner.message(0);
    Facts {
        envelope: Some(envelope),
        body: Some(body),
    }
}

/// A delimiter line of the open multipart `level`, which the scanner now stands behind.
#[derive(Clone, Copy)]
struct Hit {
    level: usize,
    closes: bool,
}

/// Where a body ended: its last octet and newlines up to there, and the delimiter, if one ended it.
struct Stop {
    end: usize,
    newlines: u64,
    hit: Option<Hit>,
}

struct Header {
    start: usize,
    end: usize,
    /// Set where a delimiter stood in the header: there is no body then.
    stop: Option<Stop>,
}

struct Scanner<'a> {
    text: &'a [u8],
    /// Always at the start of a line.
    at: usize,
    /// LFs before `at`.
    newlines: u64,
    /// Boundaries of the multiparts around, outermost first.
    open: Vec<Vec<u8>>,
    parts_left: usize,
    budget: Budget,
}

impl<'a> Scanner<'a> {
    /// The message that begins here and ends with the text: the root.
    fn message(&mut self, depth: usize) -> (BodyPart, engine_events::Envelope) {
        let header = self.header();
        let envelope = envelope(&self.text[header.start..header.end], &mut self.budget);
        let (body, _) = self.part(header, depth, false);
        (body, envelope)
    }

    /// Goes behind the blank line that ends a header, or to the delimiter or the end of text that cuts it off.
    fn header(&mut self) -> Header {
        let start = self.at;
        loop {
            if self.at == self.text.len() {
                let end = self.at;
                return Header {
                    start,
                    end,
                    stop: None,
                };
            }
            let line_start = self.at;
            let line = self.line();
            if without_line_end(line).is_empty() {
                return Header {
                    start,
                    end: self.at,
                    stop: None,
                };
            }
            if let Some(hit) = self.delimiter(line) {
                let stop = self.stop_before(line_start, start, hit);
                return Header {
                    start,
                    end: stop.end,
                    stop: Some(stop),
                };
            }
        }
    }

    /// The part whose header was read. In a digest, what has no type is a message (RFC 2046 §5.1.5).
    fn part(&mut self, header: Header, depth: usize, in_digest: bool) -> (BodyPart, Stop) {
        self.parts_left = self.parts_left.saturating_sub(1);
        let octets = &self.text[header.start..header.end];
        let (mut part, boundary) = describe(octets, in_digest, &mut self.budget);
        part.header_start = header.start as u64;
        part.body_start = header.end as u64;
        let newlines = match &header.stop {
            Some(stop) => stop.newlines,
            None => self.newlines,
        };
        let may_nest = header.stop.is_none() && depth < DEPTH_MAX && self.parts_left > 0;
        let stop = match part.kind() {
            PartKind::Multipart if may_nest && !boundary.is_empty() => {
                let digest = part.subtype.eq_ignore_ascii_case("digest");
                self.open.push(boundary);
                let stop = self.multipart(&mut part.children, depth, digest);
                self.open.pop();
                if part.children.is_empty() {
                    // No delimiter came: RFC 9051 has no multipart without parts; its text can still be read.
                    as_text(&mut part);
                }
                stop
            }
            PartKind::Message if may_nest => {
                let inner = self.header();
                let octets = &self.text[inner.start..inner.end];
                part.envelope = Some(envelope(octets, &mut self.budget));
                let (child, stop) = self.part(inner, depth + 1, false);
                part.children.push(child);
                stop
            }
            kind => {
                match kind {
                    PartKind::Multipart if boundary.is_empty() => as_text(&mut part),
                    PartKind::Multipart | PartKind::Message => as_octets(&mut part),
                    _ => {}
                }
                match header.stop {
                    Some(stop) => stop,
                    None => self.skip_body(),
                }
            }
        };
        part.body_end = stop.end as u64;
        part.lines = stop.newlines.saturating_sub(newlines);
        (part, stop)
    }

    /// Behind a multipart's header: preamble, parts, epilogue.
    fn multipart(&mut self, children: &mut Vec<BodyPart>, depth: usize, digest: bool) -> Stop {
        let own = self.open.len() - 1;
        let mut stop = self.skip_body();
        loop {
            match stop.hit {
                Some(hit) if hit.level == own && !hit.closes => {}
                // Behind the end, only the delimiters around count; further own ones are epilogue.
                Some(hit) if hit.level == own => {
                    self.open[own].clear();
                    return self.skip_body();
                }
                _ => return stop,
            }
            if self.parts_left <= 1 {
                self.open[own].clear();
                let start = self.at;
                let newlines = self.newlines;
                stop = self.skip_body();
                children.push(rest(start, &stop, newlines));
                return stop;
            }
            let header = self.header();
            let (child, after) = self.part(header, depth + 1, digest);
            children.push(child);
            stop = after;
        }
    }

    /// Goes behind the next delimiter, or to the end.
    fn skip_body(&mut self) -> Stop {
        let start = self.at;
        if self.open.iter().all(Vec::is_empty) {
            let rest = &self.text[start..];
            self.newlines += memchr::memchr_iter(b'\n', rest).count() as u64;
            self.at = self.text.len();
        }
        while self.at < self.text.len() {
            let line_start = self.at;
            let line = self.line();
            if let Some(hit) = self.delimiter(line) {
                return self.stop_before(line_start, start, hit);
            }
        }
        Stop {
            end: self.text.len(),
            newlines: self.newlines,
            hit: None,
        }
    }

    /// The line end before a delimiter belongs to the delimiter, but a body never ends before its start.
    fn stop_before(&self, line_start: usize, body_start: usize, hit: Hit) -> Stop {
        let body = &self.text[body_start..line_start];
        let end = body_start + without_line_end(body).len();
        // One LF of the delimiter's own line, if it has one, and one of the line before, if it was taken off.
        let own = u64::from(self.text[..self.at].ends_with(b"\n"));
        Stop {
            end,
            newlines: self.newlines - own - u64::from(end < line_start),
            hit: Some(hit),
        }
    }

    fn line(&mut self) -> &'a [u8] {
        let start = self.at;
        self.at = line_end(self.text, start);
        let line = &self.text[start..self.at];
        self.newlines += u64::from(line.ends_with(b"\n"));
        line
    }

    /// The innermost open multipart that `line` delimits: `--`, the boundary, `--` at the end, white space.
    fn delimiter(&self, line: &[u8]) -> Option<Hit> {
        let line = line.strip_prefix(b"--")?.trim_ascii_end();
        for (level, boundary) in self.open.iter().enumerate().rev() {
            if boundary.is_empty() {
                continue;
            }
            match line.strip_prefix(&boundary[..]) {
                Some(b"") => {
                    return Some(Hit {
                        level,
                        closes: false,
                    });
                }
                Some(b"--") => {
                    return Some(Hit {
                        level,
                        closes: true,
                    });
                }
                _ => {}
            }
        }
        None
    }
}

/// All that is left of a multipart once parts are no longer told apart.
fn rest(start: usize, stop: &Stop, newlines: u64) -> BodyPart {
    let mut part = BodyPart {
        header_start: start as u64,
        body_start: start as u64,
        body_end: stop.end.max(start) as u64,
        lines: stop.newlines.saturating_sub(newlines),
        encoding: "BINARY".to_owned(),
        ..BodyPart::default()
    };
    as_octets(&mut part);
    part
}

fn as_text(part: &mut BodyPart) {
    part.set_kind(PartKind::Text);
    part.media_type = "TEXT".to_owned();
    part.subtype = "PLAIN".to_owned();
    part.params.clear();
}

fn as_octets(part: &mut BodyPart) {
    part.set_kind(PartKind::Basic);
    part.media_type = "APPLICATION".to_owned();
    part.subtype = "OCTET-STREAM".to_owned();
}

/// What a part's header says, and the boundary of a multipart. The first field of each name counts.
fn describe(header: &[u8], in_digest: bool, budget: &mut Budget) -> (BodyPart, Vec<u8>) {
    const NAMES: [&[u8]; 8] = [
        b"Content-Type",
        b"Content-Transfer-Encoding",
        b"Content-ID",
        b"Content-Description",
        b"Content-MD5",
        b"Content-Disposition",
        b"Content-Language",
        b"Content-Location",
    ];
    let mut values: [Option<&[u8]>; 8] = [None; 8];
    for (name, value) in fields(header) {
        if let Some(which) = NAMES.iter().position(|n| n.eq_ignore_ascii_case(name)) {
            values[which].get_or_insert(value);
        }
    }
    let mime = |which: usize| values[which].map(|value| unfold(value, MIME_FIELD_BYTES_MAX));
    let mut part = BodyPart::default();
    let boundary = describe_type(&mut part, mime(0), in_digest, budget);
    part.encoding = mime(1)
        .and_then(|value| token(&value))
        .filter(|value| budget.spend(value.len()))
        .unwrap_or_else(|| "7BIT".to_owned());
    if part.kind() == PartKind::Message && !is_identity(&part.encoding) {
        // RFC 2046 §5.2.1 forbids it, and offsets cannot point into encoded octets.
        as_octets(&mut part);
    }
    let mut text = |which: usize| {
        let value = unfold(values[which]?, VALUE_BYTES_MAX);
        budget.copy(&value)
    };
    part.id = text(2);
    part.description = text(3);
    part.md5 = text(4);
    part.location = text(7);
    part.disposition = mime(5)
        .and_then(|value| disposition(&value))
        .filter(|(kind, _)| budget.spend(kind.len()))
        .map(|(kind, found)| Disposition {
            kind,
            params: params(found, budget),
        });
    part.language = mime(6).map(|value| languages(&value)).unwrap_or_default();
    part.language.retain(|value| budget.spend(value.len()));
    (part, boundary)
}

fn describe_type(
    part: &mut BodyPart,
    value: Option<Bytes>,
    in_digest: bool,
    budget: &mut Budget,
) -> Vec<u8> {
    let given = value.and_then(|value| content_type(&value));
    let given = given.filter(|found| budget.spend(found.media_type.len() + found.subtype.len()));
    let Some(found) = given else {
        if in_digest {
            part.media_type = "MESSAGE".to_owned();
            part.subtype = "RFC822".to_owned();
            part.set_kind(PartKind::Message);
        } else {
            as_text(part);
            part.params = params(vec![(b"CHARSET".to_vec(), b"US-ASCII".to_vec())], budget);
        }
        return Vec::new();
    };
    part.media_type = found.media_type;
    part.subtype = found.subtype;
    part.set_kind(kind_of(&part.media_type, &part.subtype));
    let boundary = found
        .params
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(b"boundary"))
        // White space at a line's end is no part of it (RFC 2046 §5.1.1).
        .map(|(_, value)| value.trim_ascii_end().to_vec())
        .unwrap_or_default();
    part.params = params(found.params, budget);
    boundary
}

fn kind_of(media_type: &str, subtype: &str) -> PartKind {
    if media_type.eq_ignore_ascii_case("text") {
        PartKind::Text
    } else if media_type.eq_ignore_ascii_case("multipart") {
        PartKind::Multipart
    } else if media_type.eq_ignore_ascii_case("message")
        && (subtype.eq_ignore_ascii_case("rfc822") || subtype.eq_ignore_ascii_case("global"))
    {
        PartKind::Message
    } else {
        PartKind::Basic
    }
}

fn is_identity(encoding: &str) -> bool {
    !encoding.eq_ignore_ascii_case("base64") && !encoding.eq_ignore_ascii_case("quoted-printable")
}

fn params(found: Params, budget: &mut Budget) -> Vec<Param> {
    let mut kept = Vec::with_capacity(found.len());
    for (name, mut value) in found {
        value.truncate(VALUE_BYTES_MAX);
        if !budget.spend(name.len() + value.len()) {
            break;
        }
        kept.push(Param {
            name: Bytes::from(name),
            value: Bytes::from(value),
        });
    }
    kept
}
