//! BM25 with fields (Robertson and Zaragoza, 2009, §3.6), over the messages that are asked about.
//!
//! A message's score is the sum over the query's terms of `near · idf · f · (K1 + 1) / (f + K1)`, with
//! - `f`: the weights of the fields that the term stands in, and how often it is in the body over
//!   `1 - B + B · length / mean length`. Fields are short and repeat nothing: that a term is there is all.
//! - `idf`: `ln(1 + (messages - having + 0.5) / (having + 0.5))`, where a message has the term if it has it at least as
//!   near as this one does, so that a typo that many messages share takes no weight from the word itself. A phrase counts as
//!   had where all its words are.
//! - `near`: what an inflection or a typo takes away.

use crate::limits::LENGTH_BYTES_MAX;
use crate::look::{Seen, area_bit};
use crate::word::NEARNESSES;
use index_text::Area;

const K1: f64 = 1.2;
const B: f64 = 0.75;
/// By nearness.
const NEAR: [f64; NEARNESSES] = [1.0, 0.9, 0.5, 0.3];
const FIELDS: [(Area, f64); 5] = [
    (Area::Subject, 3.0),
    (Area::From, 2.0),
    (Area::To, 1.0),
    (Area::Cc, 1.0),
    (Area::Bcc, 1.0),
];

/// Of a body of so many octets.
pub fn length(body_bytes: usize) -> u32 {
    u32::try_from(body_bytes)
        .unwrap_or(u32::MAX)
        .min(LENGTH_BYTES_MAX)
}

#[derive(Debug)]
pub struct Statistics {
    pub messages: u64,
    /// Lengths of all.
    pub length: u64,
    /// By term: messages of which it is at least as near.
    pub having: Vec<[u64; NEARNESSES]>,
}

impl Statistics {
    pub fn new(terms: usize) -> Self {
        Self {
            messages: 0,
            length: 0,
            having: vec![[0; NEARNESSES]; terms],
        }
    }

    fn idf(&self, term: usize, nearness: usize) -> f64 {
        let (messages, having) = (self.messages as f64, self.having[term][nearness] as f64);
        (1.0 + (messages - having + 0.5) / (having + 0.5)).ln()
    }

    /// Terms in order, so that equal messages have equal scores.
    pub fn score(&self, length: u32, seen: &[Seen]) -> f64 {
        let mean = self.length as f64 / self.messages.max(1) as f64;
        let relative = match mean > 0.0 {
            true => f64::from(length) / mean,
            false => 1.0,
        };
        let one = |(term, seen): (usize, &Seen)| {
            if seen.areas == 0 {
                return 0.0;
            }
            let fields = FIELDS
                .iter()
                .filter(|(area, _)| seen.areas & area_bit(*area) != 0);
            let fields: f64 = fields.map(|(_, weight)| weight).sum();
            let frequency = fields + f64::from(seen.body) / (1.0 - B + B * relative);
            let nearness = usize::from(seen.nearness);
            NEAR[nearness] * self.idf(term, nearness) * frequency * (K1 + 1.0) / (frequency + K1)
        };
        seen.iter().enumerate().map(one).sum()
    }
}
