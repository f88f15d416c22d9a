//! Reading a section: its tokens, the messages that have them, and their texts.

use super::{Blocks, Half, Place, SectionHead, Slot, Tables, decode_ids, decode_opaque};
use crate::bits::Bits;
use crate::cache::{Cached, Key, What};
use crate::error::IndexError;
use crate::lexicon::{Group, Lexicon, Matches};
use crate::limits::{DENSE_SHARE, GROUP_TOKENS, READ_BYTES_MAX, READ_GAP_BYTES};
use crate::postings;
use crate::run::{Entry, Run, RunId};
use crate::store::Caches;
use crate::wire::{Numbers, unseal};
use engine_types::EmailId;
use index_text::{Area, Kind, Piece};
use std::sync::Arc;
use zstd::bulk::Decompressor;

/// An account's messages in one run.
#[derive(Clone)]
pub struct Section {
    run: Arc<Run>,
    entry: Entry,
    head: Arc<SectionHead>,
    caches: Arc<Caches>,
}

impl Section {
    pub(crate) fn open(
        run: Arc<Run>,
        entry: Entry,
        caches: Arc<Caches>,
    ) -> Result<Self, IndexError> {
        let head = Arc::new(run.section_head(&entry)?);
        Ok(Self {
            run,
            entry,
            head,
            caches,
        })
    }

    pub fn run(&self) -> RunId {
        self.run.id
    }

    pub fn messages(&self) -> u32 {
        self.head.messages
    }

    /// Without tokens: any of its messages may have any needle.
    pub fn is_plain(&self) -> bool {
        self.head.slots.iter().all(Option::is_none)
    }

    /// Octets of folded text of all its messages.
    pub fn text_bytes(&self) -> u64 {
        self.head.text_bytes
    }

    pub fn damaged(&self, what: &'static str) -> IndexError {
        self.run.damaged(what)
    }

    pub fn id(&self, ordinal: u32) -> Result<EmailId, IndexError> {
        let tables = self.tables()?;
        let id = tables.ids.get(ordinal as usize);
        id.map(|id| EmailId(*id))
            .ok_or_else(|| self.damaged("an ordinal"))
    }

    /// Ids of many, in the order of their ordinals.
    pub fn ids(&self, ordinals: &Bits) -> Result<Vec<EmailId>, IndexError> {
        let tables = self.tables()?;
        let ids = ordinals
            .iter()
            .filter_map(|ordinal| tables.ids.get(ordinal as usize));
        Ok(ids.map(|id| EmailId(*id)).collect())
    }

    /// Which of `ids` (ascending) are here.
    pub fn ordinals(&self, ids: &[EmailId]) -> Result<Bits, IndexError> {
        Ok(self.tables()?.ordinals(ids))
    }

    /// Messages whose bodies are not in the lexicons: they may have any needle.
    pub fn opaque(&self) -> Result<Bits, IndexError> {
        Ok(self.tables()?.opaque.clone())
    }

    /// The tokens of an area that `piece` may be a part of.
    pub fn matches(&self, area: Area, piece: &Piece<'_>) -> Result<Matches, IndexError> {
        let lexicon = self.lexicon(Slot::new(area, piece.kind))?;
        Ok(lexicon
            .map(|lexicon| lexicon.matching(piece.text_in(area), piece))
            .unwrap_or_default())
    }

    /// All tokens of an area, in order, with their numbers: what `matches` gives of those that are chosen.
    pub fn each_token(
        &self,
        area: Area,
        kind: Kind,
        mut take: impl FnMut(u32, &str),
    ) -> Result<(), IndexError> {
        if let Some(lexicon) = self.lexicon(Slot::new(area, kind))? {
            for (number, token) in (0..).zip(lexicon.tokens()) {
                let token = std::str::from_utf8(token).map_err(|_| self.damaged("a lexicon"))?;
                take(number, token);
            }
        }
        Ok(())
    }

    /// Octets of each message's text, by ordinal.
    pub fn text_lengths(&self, half: Half) -> Result<Vec<u32>, IndexError> {
        Ok(self.tables()?.half(half).lengths())
    }

    /// Octets of tokens that a `matches` with an open left side looks through.
    pub fn lexicon_bytes(&self, area: Area, kind: Kind) -> u64 {
        let place = self.head.slots[Slot::new(area, kind).0 as usize];
        place.map_or(0, |place| place.plain_bytes)
    }

    /// Adds the messages that have any of these tokens in `area`; it may stop once all of `enough` are there.
    pub fn add_messages(
        &self,
        area: Area,
        kind: Kind,
        tokens: &Matches,
        enough: &Bits,
        into: &mut Bits,
    ) -> Result<(), IndexError> {
        let slot = Slot::new(area, kind);
        let Some(lexicon) = self.lexicon(slot)? else {
            return Ok(());
        };
        let groups = &lexicon.groups;
        let mut left = &tokens[..];
        while let Some(first) = left.first() {
            if into.covers(enough) {
                return Ok(());
            }
            let first_group = *first as usize / GROUP_TOKENS;
            let end_group = together(groups, left, first_group);
            let octets = self.postings(slot, groups, first_group, end_group)?;
            let mut at = 0;
            let mut sparse = Vec::new();
            for (group, place) in groups.iter().enumerate().take(end_group).skip(first_group) {
                let bytes = place.postings_bytes as usize;
                let mine =
                    left.partition_point(|token| (*token as usize) < (group + 1) * GROUP_TOKENS);
                let (mine, rest) = left.split_at(mine);
                left = rest;
                if !mine.is_empty() {
                    self.add_dense(&octets[at..at + bytes], group, mine, into, &mut sparse)?;
                }
                at += bytes;
            }
            // Tokens that many messages have often are enough.
            if into.covers(enough) {
                return Ok(());
            }
            for entry in sparse {
                entry.add_to(into).ok_or_else(|| self.damaged("postings"))?;
            }
        }
        Ok(())
    }

    /// Adds the messages of those tokens of a group that many have; the others go to `sparse`.
    fn add_dense<'a>(
        &self,
        sealed: &'a [u8],
        group: usize,
        tokens: &[u32],
        into: &mut Bits,
        sparse: &mut Vec<postings::Entry<'a>>,
    ) -> Result<(), IndexError> {
        let broken = || self.damaged("postings");
        let dense = self.messages() as usize / DENSE_SHARE;
        let mut numbers = Numbers(unseal(sealed).ok_or_else(broken)?);
        let mut number = (group * GROUP_TOKENS) as u32;
        for token in tokens {
            loop {
                let entry = postings::next(&mut numbers).ok_or_else(broken)?;
                number += 1;
                if number <= *token {
                    continue;
                }
                match entry.bytes() >= dense {
                    true => entry.add_to(into).ok_or_else(broken)?,
                    false => sparse.push(entry),
                }
                break;
            }
        }
        Ok(())
    }

    /// Postings of groups from, up to.
    fn postings(
        &self,
        slot: Slot,
        groups: &[Group],
        from: usize,
        upto: usize,
    ) -> Result<Vec<u8>, IndexError> {
        let place = self.head.slots[slot.0 as usize].ok_or_else(|| self.damaged("a lexicon"))?;
        let (Some(first), Some(last)) = (groups.get(from), groups.get(upto.wrapping_sub(1))) else {
            return Err(self.damaged("a lexicon"));
        };
        let end = last.postings_at + last.postings_bytes;
        if end > place.postings.bytes {
            return Err(self.damaged("a lexicon"));
        }
        let at = self.entry.at + place.postings.at + first.postings_at;
        self.run.read(at, end - first.postings_at)
    }

    /// A slot's lexicon, and its postings without the groups' check sums.
    pub(crate) fn slot(&self, slot: Slot) -> Result<Option<(Lexicon, Vec<u8>)>, IndexError> {
        let Some(lexicon) = self.lexicon_uncached(slot)? else {
            return Ok(None);
        };
        let sealed = self.postings(slot, &lexicon.groups, 0, lexicon.groups.len())?;
        let postings = lexicon
            .unsealed(&sealed)
            .ok_or_else(|| self.damaged("postings"))?;
        Ok(Some((lexicon, postings)))
    }

    /// Shows the texts of the messages in `wanted`, in order; stops where `look` returns false.
    pub fn texts(
        &self,
        half: Half,
        wanted: &Bits,
        mut look: impl FnMut(u32, &[u8]) -> bool,
    ) -> Result<(), IndexError> {
        let tables = self.tables()?;
        let table = tables.half(half);
        let mut decompressor = Decompressor::new()?;
        for number in 0..table.blocks.len() {
            let (first, end) = table.messages_of(number);
            if !wanted.any_in(first, end) {
                continue;
            }
            let plain = self.block(half, number, &tables, &mut decompressor)?;
            for ordinal in (first..end).filter(|ordinal| wanted.contains(*ordinal)) {
                if !look(ordinal, &plain[table.range(number, ordinal)]) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn block(
        &self,
        half: Half,
        number: usize,
        tables: &Tables,
        decompressor: &mut Decompressor<'_>,
    ) -> Result<Arc<Vec<u8>>, IndexError> {
        let key = self.key(What::Texts(half, number));
        if let Some(Cached::Texts(plain)) = self.caches.texts.get(&key) {
            return Ok(plain);
        }
        let sealed = self.sealed_block(half, number, tables)?;
        let mut plain = Vec::new();
        let opened = tables
            .half(half)
            .open(decompressor, number, &sealed, &mut plain);
        opened.ok_or_else(|| self.damaged("a block of texts"))?;
        let plain = Arc::new(plain);
        self.caches
            .texts
            .put(key, Cached::Texts(plain.clone()), plain.len());
        Ok(plain)
    }

    pub(crate) fn sealed_block(
        &self,
        half: Half,
        number: usize,
        tables: &Tables,
    ) -> Result<Vec<u8>, IndexError> {
        let place = self.head.blocks[half as usize];
        let block = tables.half(half).blocks[number];
        if block.at + u64::from(block.bytes) > place.bytes {
            return Err(self.damaged("a table of texts"));
        }
        let at = self.entry.at + place.at + block.at;
        self.run.read(at, u64::from(block.bytes))
    }

    pub(crate) fn tables(&self) -> Result<Arc<Tables>, IndexError> {
        let key = self.key(What::Tables);
        if let Some(Cached::Tables(tables)) = self.caches.tables.get(&key) {
            return Ok(tables);
        }
        let tables = Arc::new(self.read_tables()?);
        let bytes = tables.bytes();
        self.caches
            .tables
            .put(key, Cached::Tables(tables.clone()), bytes);
        Ok(tables)
    }

    fn read_tables(&self) -> Result<Tables, IndexError> {
        let read = |place: Place| self.run.read(self.entry.at + place.at, place.bytes);
        let count = self.messages();
        let ids = decode_ids(&read(self.head.ids)?, count).ok_or_else(|| self.damaged("ids"))?;
        let half = |half: usize| {
            let table = Blocks::decode(&read(self.head.tables[half])?, count);
            table.ok_or_else(|| self.damaged("a table of texts"))
        };
        let opaque = decode_opaque(&read(self.head.opaque)?, count);
        let opaque = opaque.ok_or_else(|| self.damaged("opaque bodies"))?;
        Ok(Tables::new(ids, opaque, [half(0)?, half(1)?]))
    }

    fn lexicon(&self, slot: Slot) -> Result<Option<Arc<Lexicon>>, IndexError> {
        let key = self.key(What::Lexicon(slot));
        if let Some(Cached::Lexicon(lexicon)) = self.caches.tables.get(&key) {
            return Ok(Some(lexicon));
        }
        let Some(lexicon) = self.lexicon_uncached(slot)?.map(Arc::new) else {
            return Ok(None);
        };
        let bytes = lexicon.bytes();
        self.caches
            .tables
            .put(key, Cached::Lexicon(lexicon.clone()), bytes);
        Ok(Some(lexicon))
    }

    fn lexicon_uncached(&self, slot: Slot) -> Result<Option<Lexicon>, IndexError> {
        let Some(place) = self.head.slots[slot.0 as usize] else {
            return Ok(None);
        };
        let sealed = self
            .run
            .read(self.entry.at + place.lexicon.at, place.lexicon.bytes)?;
        let lexicon =
            unseal(&sealed).and_then(|blob| Lexicon::decode(blob, place.plain_bytes as usize));
        lexicon.map(Some).ok_or_else(|| self.damaged("a lexicon"))
    }

    fn key(&self, what: What) -> Key {
        Key {
            run: self.run.id,
            account: self.entry.account,
            what,
        }
    }
}

/// Groups from `first` on that are worth one read for `tokens`: up to which.
fn together(groups: &[Group], tokens: &[u32], first: usize) -> usize {
    let mut end = first + 1;
    let from = groups.get(first).map_or(0, |group| group.postings_at);
    for token in tokens {
        let group = *token as usize / GROUP_TOKENS;
        let (Some(this), Some(last)) = (groups.get(group), groups.get(end - 1)) else {
            break;
        };
        let gap = this
            .postings_at
            .saturating_sub(last.postings_at + last.postings_bytes);
        let all = this.postings_at + this.postings_bytes - from;
        if group >= end {
            if gap > READ_GAP_BYTES || all > READ_BYTES_MAX {
                break;
            }
            end = group + 1;
        }
    }
    end
}
