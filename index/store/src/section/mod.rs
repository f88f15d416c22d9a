//! A section: one account in one run, complete in itself, so that merging copies it where nothing changes.
//!
//! In order: ids, opaque bodies, table of heads, table of bodies, blocks of heads, blocks of bodies; for each slot (area and kind) that has
//! tokens its lexicon and its postings; the section's head, which says how long each of them is. Messages have *ordinals*
//! from 0, in the order in which they came.

mod build;
mod head;
mod merge;
mod read;
mod tables;
mod texts;

pub use build::build;
pub use head::{Place, SectionHead, Slot, slots};
pub use merge::{Built, Input, merge};
pub use read::Section;
pub use tables::{Half, Tables};
pub use texts::{Blocks, TextWriter};

use crate::bits::Bits;
use crate::wire::{Numbers, put, seal, unseal};

/// Ids by ordinal, as differences, which are small and mostly positive.
pub fn encode_ids(ids: &[u64]) -> Vec<u8> {
    let mut out = Vec::with_capacity(ids.len() * 2 + 4);
    let mut last = 0_u64;
    for id in ids {
        let difference = id.wrapping_sub(last) as i64;
        put(&mut out, (difference << 1 ^ difference >> 63) as u64);
        last = *id;
    }
    seal(&mut out, 0);
    out
}

/// Ordinals of messages with opaque bodies, ascending; nothing at all without any.
pub fn encode_opaque(ordinals: &[u32]) -> Vec<u8> {
    let mut out = Vec::new();
    if !ordinals.is_empty() {
        ordinals
            .iter()
            .for_each(|ordinal| put(&mut out, u64::from(*ordinal)));
        seal(&mut out, 0);
    }
    out
}

pub fn decode_opaque(blob: &[u8], messages: u32) -> Option<Bits> {
    let mut opaque = Bits::none(messages);
    if !blob.is_empty() {
        let mut numbers = Numbers(unseal(blob)?);
        while !numbers.0.is_empty() {
            opaque.insert(numbers.small()?);
        }
    }
    Some(opaque)
}

pub fn decode_ids(blob: &[u8], count: u32) -> Option<Vec<u64>> {
    let mut numbers = Numbers(unseal(blob)?);
    let mut ids = Vec::new();
    let mut last = 0_u64;
    for _ in 0..count {
        let zigzag = numbers.number()?;
        let difference = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
        last = last.wrapping_add(difference as u64);
        ids.push(last);
    }
    Some(ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_come_back(ids in prop::collection::vec(any::<u64>(), 0..40)) {
            prop_assert_eq!(decode_ids(&encode_ids(&ids), ids.len() as u32), Some(ids));
        }
    }
}
