//! The sorted tokens of one area and kind, flat: in memory each with a line feed before and behind it, so that one pass
//! of `memmem` finds those with a piece in them, wherever it stands.

use crate::limits::GROUP_TOKENS;
use crate::postings;
use crate::wire::{CRC_BYTES, Numbers, put, seal, unseal};
use index_text::Piece;
use memchr::{memchr, memchr_iter, memmem};
use std::io;

/// zstd's level: a lexicon is written once for each merge of its run.
const LEVEL: i32 = 9;

/// Ascending numbers of tokens.
pub type Matches = Vec<u32>;

/// Where a group's postings lie, with their CRC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// In the plain tokens: of the line feed before its first token.
    pub at: usize,
    pub postings_at: u64,
    pub postings_bytes: u64,
}

#[derive(Debug, Default)]
pub struct Lexicon {
    /// `\n` token `\n` token … `\n`.
    plain: Vec<u8>,
    pub groups: Vec<Group>,
}

impl Lexicon {
    /// `None` where the blob is broken.
    pub fn decode(blob: &[u8], plain_bytes: usize) -> Option<Self> {
        let content = zstd::bulk::decompress(blob, plain_bytes).ok()?;
        let mut numbers = Numbers(&content);
        let count = numbers.number()?;
        let mut groups = Vec::new();
        let (mut at, mut postings_at) = (0_usize, 0_u64);
        for _ in 0..count {
            let tokens = numbers.small()? as usize;
            let postings_bytes = numbers.number()?;
            groups.push(Group {
                at,
                postings_at,
                postings_bytes,
            });
            at = at.checked_add(tokens)?;
            postings_at = postings_at.checked_add(postings_bytes)?;
        }
        let plain = numbers.0.to_vec();
        // The line feed behind the last token.
        (plain.len() == at + 1).then_some(Self { plain, groups })
    }

    /// All groups' postings without their check sums; `None` where one is broken.
    pub fn unsealed(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(sealed.len());
        for group in &self.groups {
            let at = group.postings_at as usize;
            let group = sealed.get(at..)?.get(..group.postings_bytes as usize)?;
            out.extend_from_slice(unseal(group)?);
        }
        Some(out)
    }

    pub fn bytes(&self) -> usize {
        self.plain.len() + self.groups.len() * size_of::<Group>()
    }

    /// All tokens in order.
    pub fn tokens(&self) -> impl Iterator<Item = &[u8]> {
        let inner = self.plain.get(1..self.plain.len().saturating_sub(1));
        let inner = inner.filter(|_| !self.groups.is_empty());
        inner
            .into_iter()
            .flat_map(|plain| plain.split(|octet| *octet == b'\n'))
    }

    /// Those that are `text`, or go on at an open side of the piece.
    pub fn matching(&self, text: &str, piece: &Piece<'_>) -> Matches {
        let text = text.as_bytes();
        match (piece.open_left, piece.open_right) {
            (false, false) => self.one(text),
            (false, true) => self.beginning_with(text),
            (true, false) => self.containing(&[text, b"\n"].concat()),
            (true, true) => self.containing(text),
        }
    }

    /// The last group whose first token is not above `text`, as that group's number and place.
    fn group_before(&self, text: &[u8]) -> Option<(usize, usize)> {
        let above = self
            .groups
            .partition_point(|group| self.token_at(group.at) <= text);
        let group = above.checked_sub(1)?;
        Some((group, self.groups[group].at))
    }

    /// The token behind the line feed at `at`.
    fn token_at(&self, at: usize) -> &[u8] {
        let rest = &self.plain[at + 1..];
        &rest[..memchr(b'\n', rest).unwrap_or(rest.len())]
    }

    fn one(&self, text: &[u8]) -> Matches {
        let Some((group, mut at)) = self.group_before(text) else {
            return Matches::new();
        };
        for number in 0..GROUP_TOKENS {
            if at + 1 >= self.plain.len() {
                break;
            }
            let token = self.token_at(at);
            if token >= text {
                let found = token == text;
                let number = (group * GROUP_TOKENS + number) as u32;
                return if found { vec![number] } else { Matches::new() };
            }
            at += token.len() + 1;
        }
        Matches::new()
    }

    fn beginning_with(&self, text: &[u8]) -> Matches {
        let (group, mut at) = self.group_before(text).unwrap_or((0, 0));
        let mut number = (group * GROUP_TOKENS) as u32;
        let mut found = Matches::new();
        while at + 1 < self.plain.len() {
            let token = self.token_at(at);
            if token.starts_with(text) {
                found.push(number);
            } else if token > text {
                break;
            }
            number += 1;
            at += token.len() + 1;
        }
        found
    }

    fn containing(&self, text: &[u8]) -> Matches {
        let mut found = Matches::new();
        let Some(plain) = self.plain.get(1..) else {
            return found;
        };
        let finder = memmem::Finder::new(text);
        // Line feeds before `counted`: the number of the token that it is in.
        let (mut number, mut counted) = (0_u32, 0);
        for hit in finder.find_iter(plain) {
            number += memchr_iter(b'\n', &plain[counted..hit]).count() as u32;
            counted = hit;
            if found.last() != Some(&number) {
                found.push(number);
            }
        }
        found
    }
}

/// Takes tokens in ascending order.
pub struct LexiconWriter {
    total: u32,
    tokens: u64,
    plain: Vec<u8>,
    /// Octets of tokens and of postings of each whole group.
    groups: Vec<(usize, usize)>,
    group_at: usize,
    postings_at: usize,
    postings: Vec<u8>,
}

/// A lexicon as it is written.
pub struct Written {
    pub tokens: u64,
    pub plain_bytes: usize,
    pub blob: Vec<u8>,
    pub postings: Vec<u8>,
}

impl LexiconWriter {
    /// `total`: messages of the section.
    pub fn new(total: u32) -> Self {
        Self {
            total,
            tokens: 0,
            plain: Vec::new(),
            groups: Vec::new(),
            group_at: 0,
            postings_at: 0,
            postings: Vec::new(),
        }
    }

    pub fn push(&mut self, token: &[u8], ordinals: &[u32]) {
        self.plain.push(b'\n');
        self.plain.extend_from_slice(token);
        postings::encode(ordinals, self.total, &mut self.postings);
        self.tokens += 1;
        if self.tokens.is_multiple_of(GROUP_TOKENS as u64) {
            self.end_group();
        }
    }

    fn end_group(&mut self) {
        seal(&mut self.postings, self.postings_at);
        let tokens = self.plain.len() - self.group_at;
        self.groups
            .push((tokens, self.postings.len() - self.postings_at));
        self.group_at = self.plain.len();
        self.postings_at = self.postings.len();
    }

    /// `None` without tokens.
    pub fn finish(mut self) -> io::Result<Option<Written>> {
        if self.tokens == 0 {
            return Ok(None);
        }
        if self.group_at < self.plain.len() {
            self.end_group();
        }
        let mut content = Vec::with_capacity(self.plain.len() + self.groups.len() * 5 + 10);
        put(&mut content, self.groups.len() as u64);
        for (tokens, postings) in &self.groups {
            debug_assert!(*postings > CRC_BYTES);
            put(&mut content, *tokens as u64);
            put(&mut content, *postings as u64);
        }
        content.append(&mut self.plain);
        content.push(b'\n');
        Ok(Some(Written {
            tokens: self.tokens,
            plain_bytes: content.len(),
            blob: zstd::bulk::compress(&content, LEVEL)?,
            postings: self.postings,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use index_text::Kind;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn lexicon(tokens: &BTreeSet<String>) -> Lexicon {
        let mut writer = LexiconWriter::new(3);
        tokens
            .iter()
            .for_each(|token| writer.push(token.as_bytes(), &[1]));
        match writer.finish().unwrap() {
            Some(written) => Lexicon::decode(&written.blob, written.plain_bytes).unwrap(),
            None => Lexicon::default(),
        }
    }

    fn texts(lexicon: &Lexicon) -> Vec<String> {
        let text = |token: &[u8]| String::from_utf8(token.to_vec()).unwrap();
        lexicon.tokens().map(text).collect()
    }

    proptest! {
        #[test]
        fn pieces_find_their_tokens(
            tokens in prop::collection::btree_set("[ab日]{1,5}", 0..200), text in "[ab日]{1,3}", open: (bool, bool),
        ) {
            let lexicon = lexicon(&tokens);
            let all = texts(&lexicon);
            prop_assert_eq!(&all, &tokens.into_iter().collect::<Vec<_>>());
            let piece = Piece { kind: Kind::Word, text: &text, bare: &text, open_left: open.0, open_right: open.1 };
            let found: Vec<&String> = lexicon.matching(&text, &piece).iter().map(|n| &all[*n as usize]).collect();
            let is = |token: &&String| match open {
                (false, false) => **token == text,
                (false, true) => token.starts_with(&text),
                (true, false) => token.ends_with(&text),
                (true, true) => token.contains(&text),
            };
            prop_assert_eq!(found, all.iter().filter(is).collect::<Vec<_>>());
        }

        #[test]
        fn a_broken_lexicon_is_refused(blob in prop::collection::vec(any::<u8>(), 0..60)) {
            let compressed = zstd::bulk::compress(&blob, 1).unwrap();
            if let Some(lexicon) = Lexicon::decode(&compressed, blob.len()) {
                lexicon.tokens().count();
            }
            assert!(Lexicon::decode(&blob, 100).is_none());
        }
    }
}
