//! Folded texts in blocks: one after the other without anything between them, compressed, sealed. A table says which
//! messages lie in which block and where each ends.

use crate::limits::BLOCK_BYTES;
use crate::wire::{Numbers, put, seal, unseal};
use std::io;
use zstd::bulk::{Compressor, Decompressor};

/// zstd's level for blocks: measured in `docs/decisions/2026-11-24-search-postings.md`.
const LEVEL: i32 = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// From the first block.
    pub at: u64,
    /// Sealed.
    pub bytes: u32,
    /// The first message in it.
    pub first: u32,
}

/// A table in memory.
#[derive(Debug, Default)]
pub struct Blocks {
    pub blocks: Vec<Block>,
    /// Where each message's text ends in its plain block.
    pub ends: Vec<u32>,
}

impl Blocks {
    pub fn decode(blob: &[u8], messages: u32) -> Option<Self> {
        let mut numbers = Numbers(unseal(blob)?);
        let mut table = Self::default();
        let mut at = 0_u64;
        for _ in 0..numbers.number()? {
            let bytes = numbers.small()?;
            let first = table.ends.len() as u32;
            table.blocks.push(Block { at, bytes, first });
            at = at.checked_add(u64::from(bytes))?;
            let mut end = 0_u32;
            for _ in 0..numbers.number()? {
                end = end.checked_add(numbers.small()?)?;
                table.ends.push(end);
            }
        }
        (table.ends.len() == messages as usize).then_some(table)
    }

    /// The messages in block `number`: from, and up to.
    pub fn messages_of(&self, number: usize) -> (u32, u32) {
        let end = self.blocks.get(number + 1).map(|block| block.first);
        let all = self.ends.len() as u32;
        (self.blocks[number].first, end.unwrap_or(all))
    }

    /// Where a message's text begins and ends in its plain block.
    pub fn range(&self, block: usize, ordinal: u32) -> std::ops::Range<usize> {
        let start = match ordinal == self.blocks[block].first {
            true => 0,
            false => self.ends[ordinal as usize - 1],
        };
        start as usize..self.ends[ordinal as usize] as usize
    }

    /// Octets of each message's text, by ordinal.
    pub fn lengths(&self) -> Vec<u32> {
        let blocks = 0..self.blocks.len();
        let of_block = |block| {
            let (first, end) = self.messages_of(block);
            (first..end).map(move |ordinal| self.range(block, ordinal).len() as u32)
        };
        blocks.flat_map(of_block).collect()
    }

    /// Plain octets of a block.
    pub fn plain_bytes(&self, block: usize) -> usize {
        let (first, end) = self.messages_of(block);
        match first == end {
            true => 0,
            false => self.ends[end as usize - 1] as usize,
        }
    }

    pub fn bytes(&self) -> usize {
        self.blocks.len() * size_of::<Block>() + self.ends.len() * 4
    }

    /// The plain octets of a block; `None` where it is broken. Making a decompressor costs as much as a block: one is for
    /// many.
    pub fn open(
        &self,
        decompressor: &mut Decompressor<'_>,
        block: usize,
        sealed: &[u8],
        into: &mut Vec<u8>,
    ) -> Option<()> {
        let plain = self.plain_bytes(block);
        into.clear();
        into.reserve(plain);
        let content = unseal(sealed)?;
        let found = decompressor.decompress_to_buffer(content, into).ok()?;
        (found == plain).then_some(())
    }
}

/// Takes texts in the order of their messages' ordinals.
pub struct TextWriter {
    compressor: Compressor<'static>,
    plain: Vec<u8>,
    lengths: Vec<u32>,
    table: Vec<u8>,
    count: u64,
    pub blocks: Vec<u8>,
}

impl TextWriter {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            compressor: Compressor::new(LEVEL)?,
            plain: Vec::new(),
            lengths: Vec::new(),
            table: Vec::new(),
            count: 0,
            blocks: Vec::new(),
        })
    }

    pub fn push(&mut self, text: &[u8]) -> io::Result<()> {
        // A block's octets are counted in 32 bits; a message is far below.
        if self.plain.len() + text.len() > BLOCK_BYTES {
            self.end_block()?;
        }
        self.plain.extend_from_slice(text);
        self.lengths.push(text.len() as u32);
        if self.plain.len() >= BLOCK_BYTES {
            self.end_block()?;
        }
        Ok(())
    }

    /// A block of another run as it is; false if its texts are to be pushed instead, since blocks would stay small.
    pub fn copy(&mut self, lengths: &[u32], sealed: &[u8]) -> io::Result<bool> {
        let plain: usize = lengths.iter().map(|length| *length as usize).sum();
        let small = BLOCK_BYTES / 2;
        if plain < small || (!self.plain.is_empty() && self.plain.len() < small) {
            return Ok(false);
        }
        self.end_block()?;
        self.row(lengths, sealed.len());
        self.blocks.extend_from_slice(sealed);
        Ok(true)
    }

    fn end_block(&mut self) -> io::Result<()> {
        if self.lengths.is_empty() {
            return Ok(());
        }
        let mut sealed = self.compressor.compress(&self.plain)?;
        seal(&mut sealed, 0);
        let lengths = std::mem::take(&mut self.lengths);
        self.row(&lengths, sealed.len());
        self.blocks.append(&mut sealed);
        self.plain.clear();
        Ok(())
    }

    fn row(&mut self, lengths: &[u32], bytes: usize) {
        self.count += 1;
        put(&mut self.table, bytes as u64);
        put(&mut self.table, lengths.len() as u64);
        lengths
            .iter()
            .for_each(|length| put(&mut self.table, u64::from(*length)));
    }

    /// Table and blocks.
    pub fn finish(mut self) -> io::Result<(Vec<u8>, Vec<u8>)> {
        self.end_block()?;
        let mut table = Vec::with_capacity(self.table.len() + 16);
        put(&mut table, self.count);
        table.append(&mut self.table);
        seal(&mut table, 0);
        Ok((table, self.blocks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts_of(table: &[u8], blocks: &[u8], messages: u32) -> Option<Vec<Vec<u8>>> {
        let table = Blocks::decode(table, messages)?;
        let mut texts = Vec::new();
        for (number, block) in table.blocks.iter().enumerate() {
            let mut plain = Vec::new();
            let sealed = blocks
                .get(block.at as usize..)?
                .get(..block.bytes as usize)?;
            table.open(&mut Decompressor::new().ok()?, number, sealed, &mut plain)?;
            let (first, end) = table.messages_of(number);
            texts.extend((first..end).map(|ordinal| plain[table.range(number, ordinal)].to_vec()));
        }
        Some(texts)
    }

    proptest! {
        #[test]
        fn texts_come_back(lengths in prop::collection::vec(prop_oneof![0_usize..200, 20_000_usize..50_000], 0..12)) {
            let texts: Vec<Vec<u8>> = lengths.iter().map(|length| vec![b'A' + (*length % 26) as u8; *length]).collect();
            let mut writer = TextWriter::new().unwrap();
            texts.iter().for_each(|text| writer.push(text).unwrap());
            let (table, blocks) = writer.finish().unwrap();
            prop_assert_eq!(texts_of(&table, &blocks, texts.len() as u32), Some(texts));
        }
    }

    #[test]
    fn a_rotten_block_is_seen() {
        let mut writer = TextWriter::new().unwrap();
        writer.push(b"SOME TEXT").unwrap();
        let (table, mut blocks) = writer.finish().unwrap();
        let middle = blocks.len() / 2;
        blocks[middle] ^= 4;
        assert_eq!(texts_of(&table, &blocks, 1), None);
    }
}
