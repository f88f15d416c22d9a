//! A section from messages that were never on disk.

use super::TextWriter;
use super::head::Slot;
use super::merge::{Built, Parts, assemble};
use crate::lexicon::{LexiconWriter, Written};
use crate::limits::{OPAQUE_BYTES_MIN, OPAQUE_PERCENT};
use crate::tail::TailMessage;
use index_text::{Kind, tokens};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::sync::Arc;

/// The messages are at least one; `account` is theirs. With less text than `plain_bytes_max` the section is plain.
pub fn build(
    account: u64,
    messages: &[Arc<TailMessage>],
    plain_bytes_max: u64,
) -> io::Result<Built> {
    let ids: Vec<u64> = messages.iter().map(|message| message.id.0).collect();
    let text_bytes = messages
        .iter()
        .map(|message| message.text.bytes() as u64)
        .sum();
    let mut texts = [TextWriter::new()?, TextWriter::new()?];
    for message in messages {
        texts[0].push(message.text.head.as_bytes())?;
        texts[1].push(message.text.body.as_bytes())?;
    }
    let indexed = match text_bytes < plain_bytes_max {
        true => Indexed::default(),
        false => Indexed::new(
            messages
                .iter()
                .map(|message| (&message.text.head[..], &message.text.body[..])),
        )?,
    };
    let mut parts = Parts::new(account, text_bytes, &ids, &indexed.opaque);
    parts.texts(texts)?;
    parts.lexicons = indexed.lexicons;
    Ok(assemble(parts))
}

/// The tokens of messages.
#[derive(Default)]
pub struct Indexed {
    /// Ordinals of messages whose bodies have none.
    pub opaque: Vec<u32>,
    /// By slot.
    pub lexicons: Vec<Option<Written>>,
}

impl Indexed {
    /// Heads and bodies in order.
    pub fn new<'a>(texts: impl ExactSizeIterator<Item = (&'a str, &'a str)>) -> io::Result<Self> {
        let total = texts.len() as u32;
        let mut found: Vec<Found<'_>> = (0..Slot::COUNT).map(|_| Found::default()).collect();
        let mut indexed = Self::default();
        for (ordinal, (head, mut body)) in texts.enumerate() {
            if is_opaque(body) {
                indexed.opaque.push(ordinal as u32);
                body = "";
            }
            tokens(head, body, |area, kind, token| {
                found[Slot::new(area, kind).0 as usize].add(token, ordinal as u32);
            });
        }
        for found in found {
            let mut writer = LexiconWriter::new(total);
            found.write(&mut writer);
            indexed.lexicons.push(writer.finish()?);
        }
        Ok(indexed)
    }
}

/// A body of which most is words that stand there once (base64 or uuencode as text) has no tokens: they would be as large as
/// the text, and tell nothing. It is looked into whatever the needle is.
fn is_opaque(body: &str) -> bool {
    if body.len() < OPAQUE_BYTES_MIN {
        return false;
    }
    let mut words: HashSet<&str, BuildHasherDefault<TokenHasher>> = HashSet::default();
    let mut bytes = 0;
    tokens("", body, |_, kind, token| {
        if kind == Kind::Word && words.insert(token) {
            bytes += token.len();
        }
    });
    bytes > body.len() / 100 * OPAQUE_PERCENT
}

/// The tokens of one slot, each with a number, and which messages have which.
#[derive(Default)]
struct Found<'a> {
    numbers: HashMap<&'a str, u32, BuildHasherDefault<TokenHasher>>,
    /// The last message that a token was seen in.
    last: Vec<u32>,
    pairs: Vec<(u32, u32)>,
}

impl<'a> Found<'a> {
    fn add(&mut self, token: &'a str, ordinal: u32) {
        let next = self.last.len() as u32;
        let number = *self.numbers.entry(token).or_insert(next);
        match self.last.get_mut(number as usize) {
            None => self.last.push(ordinal),
            Some(last) if *last == ordinal => return,
            Some(last) => *last = ordinal,
        }
        self.pairs.push((number, ordinal));
    }

    fn write(self, writer: &mut LexiconWriter) {
        // By token, each token's ordinals staying in order: a counting sort.
        let mut ends = vec![0_u32; self.last.len() + 1];
        for (number, _) in &self.pairs {
            ends[*number as usize + 1] += 1;
        }
        for at in 1..ends.len() {
            ends[at] += ends[at - 1];
        }
        let starts = ends.clone();
        let mut ordinals = vec![0_u32; self.pairs.len()];
        for (number, ordinal) in self.pairs {
            let at = &mut ends[number as usize];
            ordinals[*at as usize] = ordinal;
            *at += 1;
        }
        let mut sorted: Vec<(&str, u32)> = self.numbers.into_iter().collect();
        sorted.sort_unstable();
        for (token, number) in sorted {
            let (start, end) = (starts[number as usize], starts[number as usize + 1]);
            writer.push(token.as_bytes(), &ordinals[start as usize..end as usize]);
        }
    }
}

/// Folds eight octets at a time by multiplication. Tokens are of strangers' choosing, but a table lives for one section,
/// and its order shows nowhere; with `RandomState` a rebuild takes a third longer.
#[derive(Default)]
struct TokenHasher(u64);

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for TokenHasher {
    fn write(&mut self, octets: &[u8]) {
        for chunk in octets.chunks(8) {
            let mut eight = [0; 8];
            eight[..chunk.len()].copy_from_slice(chunk);
            self.0 = (self.0.rotate_left(5) ^ u64::from_le_bytes(eight)).wrapping_mul(MULTIPLIER);
        }
    }

    fn write_u8(&mut self, octet: u8) {
        self.write(&[octet]);
    }

    /// hashbrown takes the group from the low bits and the tag from the high ones.
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}
