//! A look into folded text: which terms of a query stand there, where and how often.

use crate::limits::KNOWN_WORDS_MAX;
use crate::query::RankedQuery;
use crate::word::Nearness;
use index_text::{Area, own_fields_bytes, words};
use std::collections::HashMap;

/// The areas that are ranked. Other fields tell of a message's way, not of what it says.
pub(crate) const AREAS: [Area; 6] = [
    Area::Subject,
    Area::From,
    Area::To,
    Area::Cc,
    Area::Bcc,
    Area::Body,
];

/// An area in `Seen::areas`.
pub(crate) fn area_bit(area: Area) -> u8 {
    1 << area as u8
}

/// What a word of a text means for a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meaning {
    pub term: u8,
    /// Which of the term's words it stands for, as bits.
    pub words: u32,
    pub nearness: Nearness,
}

pub(crate) type Known = Vec<Meaning>;

/// A term in a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Where it stands.
    pub areas: u8,
    /// How often in the body.
    pub body: u32,
    /// Of what is nearest.
    pub nearness: Nearness,
    /// Its words, wherever they stand, as bits.
    pub words: u32,
}

pub(crate) struct Looker<'q> {
    query: &'q RankedQuery,
    known: HashMap<Box<str>, Known>,
    progress: Vec<Progress>,
}

/// How far a phrase has come in a line.
#[derive(Clone, Copy, Default)]
struct Progress {
    /// Bit n: its first n + 1 words end at `at`.
    ends: u32,
    /// Number of the last word in the line that means anything for it.
    at: usize,
}

impl<'q> Looker<'q> {
    pub fn new(query: &'q RankedQuery) -> Self {
        Self {
            query,
            known: HashMap::new(),
            progress: vec![Progress::default(); query.terms.len()],
        }
    }

    /// One for each term.
    pub fn look(&mut self, head: &str, body: &str) -> Vec<Seen> {
        let mut seen = vec![Seen::default(); self.query.terms.len()];
        let own = head.get(..own_fields_bytes(head.as_bytes()));
        for line in own.unwrap_or_default().lines() {
            let (name, value) = line.split_once(": ").unwrap_or((line, ""));
            let area = Area::of_field(name);
            if AREAS.contains(&area) {
                self.line(value, area, &mut seen);
            }
        }
        for line in body.lines() {
            self.line(line, Area::Body, &mut seen);
        }
        seen
    }

    fn line(&mut self, line: &str, area: Area, seen: &mut [Seen]) {
        self.progress.fill(Progress::default());
        let mut end = 0;
        for (number, word) in words(line).enumerate() {
            let joined = word.start < end;
            end = word.end;
            if self.known.len() > KNOWN_WORDS_MAX {
                self.known.clear();
            }
            if !self.known.contains_key(word.text) {
                let known = self.query.known(word.text);
                self.known.insert(word.text.into(), known);
            }
            for meaning in &self.known[word.text] {
                let term = meaning.term as usize;
                let seen = &mut seen[term];
                seen.words |= meaning.words;
                let patterns = &self.query.terms[term].patterns;
                let progress = &mut self.progress[term];
                if progress.at + 1 != number {
                    progress.ends = 0;
                }
                // Each beginning of the phrase that ended one word before goes on with this one, if it is the next.
                let mut ends = (progress.ends << 1 | 1) & meaning.words;
                for (at, pattern) in patterns.iter().enumerate().skip(1) {
                    if pattern.joined != joined {
                        ends &= !(1 << at);
                    }
                }
                *progress = Progress { ends, at: number };
                if ends >> (patterns.len() - 1) & 1 == 1 {
                    let first = seen.areas == 0;
                    seen.nearness = match first {
                        true => meaning.nearness,
                        false => seen.nearness.min(meaning.nearness),
                    };
                    seen.areas |= area_bit(area);
                    seen.body += u32::from(area == Area::Body);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use index_text::FoldedTextBuilder;

    /// Areas by their letters (Subject, From, To, Cc, Bcc, Message), then how often in the body.
    #[track_caller]
    fn check(typed: &str, body: &str, expect: (&str, u32)) {
        let mut text = FoldedTextBuilder::new();
        text.field("From", "Ann <ann@example.org>");
        text.field("Subject", "Annual report");
        text.field("X-List", "hidden");
        text.part_field("Subject", "hidden");
        text.body(body);
        text.body("last line");
        let text = text.finish();
        let query = RankedQuery::new(typed, &[]).unwrap();
        let seen = Looker::new(&query).look(&text.head, &text.body)[0];
        let letters = "SFTCBHM".chars().enumerate();
        let areas: String = letters
            .filter(|(at, _)| seen.areas >> at & 1 == 1)
            .map(|(_, letter)| letter)
            .collect();
        assert_eq!((&areas[..], seen.body), expect, "{typed} in {body}");
    }

    #[test]
    fn rows() {
        check("report", "Report, report; reports", ("SM", 3));
        check("\"report\"", "Report, report; reports", ("SM", 2));
        check("ann*", "x", ("SF", 0));
        check("hidden", "x", ("", 0));
        check("subject", "x", ("", 0));
        check("\"annual report\"", "annual\r\n report", ("SM", 1));
        check("\"annual report\"", "annual big report", ("S", 0));
        check("\"report annual\"", "annual report annual", ("M", 1));
        check("\"a b a\"", "a b a b a", ("M", 2));
        check("\"a a b\"", "a a a b", ("M", 1));
        check("\"x last\"", "x", ("", 0));
        check("e-mail", "e mail, e-mail, email", ("M", 2));
        check("e-ma*", "e maid", ("M", 1));
        check("ann@example.org", "x", ("F", 0));
        check("東京都", "大東京都庁", ("M", 1));
        check("東京都", "東京、京都", ("", 0));
        check("東", "東", ("M", 1));
    }
}
