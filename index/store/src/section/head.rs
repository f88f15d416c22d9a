//! The head of a section: what lies where in it, and the check sums of what is read whole.

use crate::wire::{Numbers, put, seal, unseal};
use index_text::{Area, Kind};

/// An area and kind, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u8);

impl Slot {
    pub const COUNT: usize = Area::ALL.len() * 2;

    pub fn new(area: Area, kind: Kind) -> Self {
        Self(area as u8 * 2 + kind as u8)
    }
}

pub fn slots() -> impl Iterator<Item = Slot> {
    (0..Slot::COUNT as u8).map(Slot)
}

/// Where a blob lies, from the section's start, and its CRC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub at: u64,
    pub bytes: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LexiconPlace {
    pub tokens: u64,
    pub plain_bytes: u64,
    /// Sealed.
    pub lexicon: Place,
    /// Each group is sealed.
    pub postings: Place,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SectionHead {
    pub account: u64,
    pub messages: u32,
    /// Folded text of all.
    pub text_bytes: u64,
    pub ids: Place,
    /// Empty if no body is opaque.
    pub opaque: Place,
    /// Tables and blocks of heads, then of bodies.
    pub tables: [Place; 2],
    pub blocks: [Place; 2],
    pub slots: [Option<LexiconPlace>; Slot::COUNT],
}

impl SectionHead {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for number in [self.account, u64::from(self.messages), self.text_bytes] {
            put(&mut out, number);
        }
        for place in [
            self.ids,
            self.opaque,
            self.tables[0],
            self.tables[1],
            self.blocks[0],
            self.blocks[1],
        ] {
            put(&mut out, place.bytes);
        }
        for slot in &self.slots {
            let place = slot.unwrap_or_default();
            put(&mut out, place.tokens);
            if place.tokens > 0 {
                put(&mut out, place.plain_bytes);
                put(&mut out, place.lexicon.bytes);
                put(&mut out, place.postings.bytes);
            }
        }
        seal(&mut out, 0);
        out
    }

    pub fn decode(blob: &[u8]) -> Option<Self> {
        let mut numbers = Numbers(unseal(blob)?);
        let mut head = Self {
            account: numbers.number()?,
            messages: numbers.small()?,
            text_bytes: numbers.number()?,
            ..Self::default()
        };
        let mut at = 0_u64;
        let mut place = |bytes: u64| -> Option<Place> {
            let place = Place { at, bytes };
            at = at.checked_add(bytes)?;
            Some(place)
        };
        head.ids = place(numbers.number()?)?;
        head.opaque = place(numbers.number()?)?;
        for both in [&mut head.tables, &mut head.blocks] {
            for one in both {
                *one = place(numbers.number()?)?;
            }
        }
        for slot in &mut head.slots {
            let tokens = numbers.number()?;
            if tokens > 0 {
                *slot = Some(LexiconPlace {
                    tokens,
                    plain_bytes: numbers.number()?,
                    lexicon: place(numbers.number()?)?,
                    postings: place(numbers.number()?)?,
                });
            }
        }
        Some(head)
    }

    /// Octets of all that lies before the head.
    pub fn content_bytes(&self) -> u64 {
        let last = self.slots.iter().flatten().next_back();
        let last = last.map_or(self.blocks[1], |place| place.postings);
        last.at + last.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_comes_back() {
        let mut head = SectionHead {
            account: 7,
            messages: 2,
            text_bytes: 900,
            ids: Place { at: 0, bytes: 5 },
            ..SectionHead::default()
        };
        head.opaque = Place { at: 5, bytes: 0 };
        head.tables = [Place { at: 5, bytes: 1 }, Place { at: 6, bytes: 2 }];
        head.blocks = [Place { at: 8, bytes: 3 }, Place { at: 11, bytes: 400 }];
        head.slots[Slot::new(Area::Body, Kind::Gap).0 as usize] = Some(LexiconPlace {
            tokens: 9,
            plain_bytes: 50,
            lexicon: Place { at: 411, bytes: 30 },
            postings: Place { at: 441, bytes: 20 },
        });
        assert_eq!(SectionHead::decode(&head.encode()), Some(head.clone()));
        assert_eq!(head.content_bytes(), 461);
        let mut blob = head.encode();
        blob[1] ^= 1;
        assert_eq!(SectionHead::decode(&blob), None);
    }

    #[test]
    fn slots_have_numbers_of_their_own() {
        let mut all: Vec<u8> = Area::ALL
            .iter()
            .flat_map(|area| {
                [
                    Slot::new(*area, Kind::Word).0,
                    Slot::new(*area, Kind::Gap).0,
                ]
            })
            .collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(slots().map(|slot| slot.0)));
    }
}
