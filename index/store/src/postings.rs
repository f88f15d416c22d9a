//! The messages that have a token, in the smallest of four forms. A form opens with a number whose two lowest bits name it:
//!
//! | bits | rest of the number | behind |
//! |---|---|---|
//! | 0 | the one message's ordinal | |
//! | 1 | octets behind | gaps between ordinals, less one |
//! | 2 | octets behind | a bit for each ordinal from 0 on, lowest first; zeros at the end left out |
//! | 3 | octets behind | as 1, of the messages that do *not* have it |

use crate::bits::Bits;
use crate::wire::{Numbers, bytes_of, put};

const SINGLE: u64 = 0;
const LIST: u64 = 1;
const BITMAP: u64 = 2;
const ABSENT: u64 = 3;

/// `ordinals` ascend, are at least one and below `total`.
pub fn encode(ordinals: &[u32], total: u32, out: &mut Vec<u8>) {
    if let [single] = ordinals {
        return put(out, u64::from(*single) << 2 | SINGLE);
    }
    let mut list = 0;
    each_gap(ordinals.iter().copied(), |gap| list += bytes_of(gap));
    let bitmap = ordinals.last().map_or(0, |last| *last as usize / 8 + 1);
    let dense = ordinals.len() > total as usize / 2;
    let mut absent = usize::MAX;
    if dense {
        absent = 0;
        each_gap(missing(ordinals, total), |gap| absent += bytes_of(gap));
    }
    let least = list.min(bitmap).min(absent);
    let form = match least {
        _ if least == list => LIST,
        _ if least == bitmap => BITMAP,
        _ => ABSENT,
    };
    put(out, (least as u64) << 2 | form);
    match form {
        LIST => each_gap(ordinals.iter().copied(), |gap| put(out, gap)),
        ABSENT => each_gap(missing(ordinals, total), |gap| put(out, gap)),
        _ => {
            let start = out.len();
            out.resize(start + bitmap, 0);
            for ordinal in ordinals {
                out[start + *ordinal as usize / 8] |= 1 << (ordinal % 8);
            }
        }
    }
}

fn each_gap(ordinals: impl Iterator<Item = u32>, mut take: impl FnMut(u64)) {
    let mut next = 0;
    for ordinal in ordinals {
        take(u64::from(ordinal - next));
        next = ordinal + 1;
    }
}

fn missing(ordinals: &[u32], total: u32) -> impl Iterator<Item = u32> + '_ {
    let mut have = ordinals.iter().peekable();
    (0..total).filter(move |ordinal| have.next_if_eq(&ordinal).is_none())
}

/// One token's postings, undecoded.
pub struct Entry<'a> {
    form: u64,
    rest: u64,
    octets: &'a [u8],
}

/// The next entry of a group; `None` where it is broken.
pub fn next<'a>(numbers: &mut Numbers<'a>) -> Option<Entry<'a>> {
    let head = numbers.number()?;
    let (form, rest) = (head & 3, head >> 2);
    let octets = match form {
        SINGLE => &[],
        _ => numbers.octets(usize::try_from(rest).ok()?)?,
    };
    Some(Entry { form, rest, octets })
}

impl Entry<'_> {
    /// Octets that decoding goes through: of how many messages there are, a rough measure.
    pub fn bytes(&self) -> usize {
        self.octets.len()
    }

    /// Adds the messages to `into`, whose length is the total.
    pub fn add_to(&self, into: &mut Bits) -> Option<()> {
        match self.form {
            SINGLE => into.insert(u32::try_from(self.rest).ok()?),
            LIST => each_listed(self.octets, |ordinal| into.insert(ordinal))?,
            BITMAP => into.insert_bitmap(self.octets),
            _ => {
                let mut all = Bits::all(into.length());
                each_listed(self.octets, |ordinal| all.remove(ordinal))?;
                into.union(&all);
            }
        }
        Some(())
    }

    /// The ordinals in ascending order.
    pub fn each(&self, total: u32, mut take: impl FnMut(u32)) -> Option<()> {
        match self.form {
            SINGLE => take(u32::try_from(self.rest).ok()?),
            LIST => each_listed(self.octets, take)?,
            _ => {
                let mut bits = Bits::none(total);
                self.add_to(&mut bits)?;
                bits.iter().for_each(take);
            }
        }
        Some(())
    }
}

fn each_listed(octets: &[u8], mut take: impl FnMut(u32)) -> Option<()> {
    let mut numbers = Numbers(octets);
    let mut next = 0_u32;
    while let Some(first) = numbers.0.first() {
        // Most gaps are small.
        let gap = match first {
            0..0x80 => {
                numbers.0 = &numbers.0[1..];
                u32::from(*first)
            }
            _ => numbers.small()?,
        };
        let ordinal = next.checked_add(gap)?;
        take(ordinal);
        next = ordinal.checked_add(1)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ordinals_come_back(total in 1_u32..400, density in 0_u32..=100, seed: u64) {
            let chosen = |ordinal: &u32| {
                let hash = (u64::from(*ordinal) ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
                hash % 100 < u64::from(density)
            };
            let mut ordinals: Vec<u32> = (0..total).filter(chosen).collect();
            if ordinals.is_empty() {
                ordinals.push(total - 1);
            }
            let mut out = Vec::new();
            encode(&ordinals, total, &mut out);
            prop_assert!(out.len() <= total as usize / 8 + 1 + 5);
            let mut numbers = Numbers(&out);
            let entry = next(&mut numbers).unwrap();
            prop_assert!(numbers.0.is_empty());
            let mut found = Vec::new();
            entry.each(total, |ordinal| found.push(ordinal)).unwrap();
            prop_assert_eq!(&found, &ordinals);
            let mut bits = Bits::none(total);
            entry.add_to(&mut bits).unwrap();
            prop_assert_eq!(bits.iter().collect::<Vec<_>>(), ordinals);
        }

        #[test]
        fn broken_octets_end(octets in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut numbers = Numbers(&octets);
            while let Some(entry) = next(&mut numbers) {
                entry.add_to(&mut Bits::none(100));
            }
        }
    }
}
