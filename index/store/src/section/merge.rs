//! One account's sections of several runs to one: texts one after the other, tokens by order, deleted messages left out.

use super::build::Indexed;
use super::head::{LexiconPlace, Place, SectionHead};
use super::{Half, Section, TextWriter, encode_ids, encode_opaque};
use crate::bits::Bits;
use crate::error::IndexError;
use crate::lexicon::{Lexicon, LexiconWriter, Written};
use crate::postings;
use crate::wire::{Numbers, unseal};
use std::io;
use zstd::bulk::Decompressor;

/// All of a section but its head.
pub struct Parts {
    account: u64,
    messages: u32,
    text_bytes: u64,
    ids: Vec<u8>,
    opaque: Vec<u8>,
    /// Table and blocks of heads, of bodies.
    texts: Vec<(Vec<u8>, Vec<u8>)>,
    /// By slot.
    pub lexicons: Vec<Option<Written>>,
}

impl Parts {
    pub fn new(account: u64, text_bytes: u64, ids: &[u64], opaque: &[u32]) -> Self {
        Self {
            account,
            messages: ids.len() as u32,
            text_bytes,
            ids: encode_ids(ids),
            opaque: encode_opaque(opaque),
            texts: Vec::new(),
            lexicons: Vec::new(),
        }
    }

    pub fn texts(&mut self, writers: [TextWriter; 2]) -> io::Result<()> {
        for writer in writers {
            self.texts.push(writer.finish()?);
        }
        Ok(())
    }
}

/// A section as it is written: its content, and its head, which stands behind.
pub struct Built {
    pub content: Vec<u8>,
    pub head: SectionHead,
}

pub fn assemble(parts: Parts) -> Built {
    let mut out = Vec::new();
    let mut put = |blob: &[u8]| -> Place {
        let at = out.len() as u64;
        out.extend_from_slice(blob);
        Place {
            at,
            bytes: blob.len() as u64,
        }
    };
    let mut head = SectionHead {
        account: parts.account,
        messages: parts.messages,
        text_bytes: parts.text_bytes,
        ids: put(&parts.ids),
        opaque: put(&parts.opaque),
        ..SectionHead::default()
    };
    for (place, (table, _)) in head.tables.iter_mut().zip(&parts.texts) {
        *place = put(table);
    }
    for (place, (_, blocks)) in head.blocks.iter_mut().zip(&parts.texts) {
        *place = put(blocks);
    }
    for (slot, written) in head.slots.iter_mut().zip(parts.lexicons) {
        if let Some(mut written) = written {
            crate::wire::seal(&mut written.blob, 0);
            *slot = Some(LexiconPlace {
                tokens: written.tokens,
                plain_bytes: written.plain_bytes as u64,
                lexicon: put(&written.blob),
                postings: put(&written.postings),
            });
        }
    }
    Built { content: out, head }
}

/// A section and which of its messages go on.
pub struct Input {
    pub section: Section,
    pub live: Bits,
}

/// `None` if no message goes on. With less text than `plain_bytes_max` the section is plain.
pub fn merge(
    account: u64,
    inputs: &[Input],
    plain_bytes_max: u64,
) -> Result<Option<Built>, IndexError> {
    let mut ids = Vec::new();
    // New ordinals by old ones.
    let mut moved: Vec<Vec<Option<u32>>> = Vec::new();
    for input in inputs {
        let mut new = vec![None; input.section.messages() as usize];
        let tables = input.section.tables()?;
        for ordinal in input.live.iter() {
            new[ordinal as usize] = Some(ids.len() as u32);
            ids.push(tables.ids[ordinal as usize]);
        }
        moved.push(new);
    }
    if ids.is_empty() {
        return Ok(None);
    }
    let mut text_bytes = 0;
    let heads = merge_texts(inputs, Half::Head, &mut text_bytes)?;
    let bodies = merge_texts(inputs, Half::Body, &mut text_bytes)?;
    let indexed = match text_bytes < plain_bytes_max {
        true => Indexed::default(),
        false => merge_tokens(inputs, &moved, ids.len() as u32)?,
    };
    let mut parts = Parts::new(account, text_bytes, &ids, &indexed.opaque);
    parts.texts([heads, bodies])?;
    parts.lexicons = indexed.lexicons;
    Ok(Some(assemble(parts)))
}

fn merge_tokens(
    inputs: &[Input],
    moved: &[Vec<Option<u32>>],
    total: u32,
) -> Result<Indexed, IndexError> {
    let mut indexed = Indexed::default();
    let mut fresh = Vec::new();
    for (input, moved) in inputs.iter().zip(moved) {
        let section = &input.section;
        let own = section
            .is_plain()
            .then(|| Fresh::new(section))
            .transpose()?;
        let opaque = match &own {
            Some(own) => own.opaque.clone(),
            None => section.opaque()?,
        };
        let stays = opaque
            .iter()
            .filter_map(|old| moved.get(old as usize).copied().flatten());
        indexed.opaque.extend(stays);
        fresh.push(own);
    }
    for slot in super::slots() {
        let mut lexicons = Vec::new();
        for ((input, moved), fresh) in inputs.iter().zip(moved).zip(&mut fresh) {
            let lexicon = match fresh {
                Some(fresh) => fresh
                    .lexicons
                    .get_mut(slot.0 as usize)
                    .and_then(Option::take),
                None => input.section.slot(slot)?,
            };
            lexicons.extend(lexicon.map(|lexicon| (lexicon, input, &moved[..])));
        }
        indexed.lexicons.push(merge_lexicons(&lexicons, total)?);
    }
    Ok(indexed)
}

/// Tokens of a section that is plain: made now from its texts, which are few.
struct Fresh {
    opaque: Bits,
    /// By slot, with postings that are not sealed.
    lexicons: Vec<Option<(Lexicon, Vec<u8>)>>,
}

impl Fresh {
    fn new(section: &Section) -> Result<Self, IndexError> {
        let all = Bits::all(section.messages());
        let mut halves = [Vec::new(), Vec::new()];
        for half in [Half::Head, Half::Body] {
            section.texts(half, &all, |_, text| {
                halves[half as usize].push(String::from_utf8_lossy(text).into_owned());
                true
            })?;
        }
        let [heads, bodies] = &halves;
        let texts = heads
            .iter()
            .zip(bodies)
            .map(|(head, body)| (&head[..], &body[..]));
        let indexed = Indexed::new(texts)?;
        let mut opaque = Bits::none(section.messages());
        indexed
            .opaque
            .iter()
            .for_each(|ordinal| opaque.insert(*ordinal));
        let read = |written: Written| {
            let lexicon = Lexicon::decode(&written.blob, written.plain_bytes)?;
            let postings = lexicon.unsealed(&written.postings)?;
            Some((lexicon, postings))
        };
        let lexicons = indexed
            .lexicons
            .into_iter()
            .map(|written| written.and_then(read));
        Ok(Self {
            opaque,
            lexicons: lexicons.collect(),
        })
    }
}

fn merge_texts(
    inputs: &[Input],
    half: Half,
    text_bytes: &mut u64,
) -> Result<TextWriter, IndexError> {
    let mut writer = TextWriter::new()?;
    let mut plain = Vec::new();
    let mut decompressor = Decompressor::new()?;
    for input in inputs {
        let tables = input.section.tables()?;
        let table = tables.half(half);
        for number in 0..table.blocks.len() {
            let (first, end) = table.messages_of(number);
            let live: Vec<u32> = (first..end)
                .filter(|ordinal| input.live.contains(*ordinal))
                .collect();
            if live.is_empty() {
                continue;
            }
            let lengths: Vec<u32> = live
                .iter()
                .map(|o| table.range(number, *o).len() as u32)
                .collect();
            *text_bytes += lengths.iter().map(|length| u64::from(*length)).sum::<u64>();
            let sealed = input.section.sealed_block(half, number, &tables)?;
            let whole = live.len() == (end - first) as usize;
            if whole && unseal(&sealed).is_some() && writer.copy(&lengths, &sealed)? {
                continue;
            }
            if table
                .open(&mut decompressor, number, &sealed, &mut plain)
                .is_none()
            {
                return Err(input.section.damaged("a block of texts"));
            }
            for ordinal in live {
                writer.push(&plain[table.range(number, ordinal)])?;
            }
        }
    }
    Ok(writer)
}

/// The tokens of one input in order, with their postings.
struct Stream<'a> {
    tokens: Box<dyn Iterator<Item = &'a [u8]> + 'a>,
    token: Option<&'a [u8]>,
    /// Postings without the groups' check sums.
    postings: Numbers<'a>,
    live: &'a Bits,
    moved: &'a [Option<u32>],
}

impl Stream<'_> {
    /// Adds the new ordinals of the token that is in front, and goes on to the next.
    fn take(&mut self, into: &mut Vec<u32>) -> Option<()> {
        let entry = postings::next(&mut self.postings)?;
        entry.each(self.live.length(), |old| {
            into.extend(self.moved.get(old as usize).copied().flatten());
        })?;
        self.token = self.tokens.next();
        Some(())
    }
}

type Read<'a> = ((Lexicon, Vec<u8>), &'a Input, &'a [Option<u32>]);

fn merge_lexicons(lexicons: &[Read<'_>], total: u32) -> Result<Option<Written>, IndexError> {
    let mut streams: Vec<(Stream<'_>, &Section)> = lexicons
        .iter()
        .map(|((lexicon, postings), input, moved)| {
            let mut tokens = Box::new(lexicon.tokens());
            let stream = Stream {
                token: tokens.next(),
                tokens,
                postings: Numbers(postings),
                live: &input.live,
                moved,
            };
            (stream, &input.section)
        })
        .collect();
    let mut writer = LexiconWriter::new(total);
    let mut ordinals = Vec::new();
    // A handful of streams: the least token by looking at all.
    while let Some(token) = streams.iter().filter_map(|(stream, _)| stream.token).min() {
        ordinals.clear();
        for (stream, section) in &mut streams {
            if stream.token == Some(token) {
                stream
                    .take(&mut ordinals)
                    .ok_or_else(|| section.damaged("postings"))?;
            }
        }
        if !ordinals.is_empty() {
            writer.push(token, &ordinals);
        }
    }
    Ok(writer.finish()?)
}
