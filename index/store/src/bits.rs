//! A set of ordinals: one bit for each message of an account in a run.

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bits {
    words: Vec<u64>,
    /// Ordinals are below this.
    length: u32,
}

impl Bits {
    pub fn none(length: u32) -> Self {
        Self {
            words: vec![0; length.div_ceil(64) as usize],
            length,
        }
    }

    pub fn all(length: u32) -> Self {
        let mut bits = Self {
            words: vec![u64::MAX; length.div_ceil(64) as usize],
            length,
        };
        bits.cut();
        bits
    }

    fn cut(&mut self) {
        let beyond = self.length % 64;
        if let Some(last) = self.words.last_mut()
            && beyond != 0
        {
            *last &= (1 << beyond) - 1;
        }
    }

    pub fn length(&self) -> u32 {
        self.length
    }

    /// An ordinal beyond the length is passed over: no damaged file makes a set larger.
    pub fn insert(&mut self, ordinal: u32) {
        if ordinal < self.length {
            self.words[ordinal as usize / 64] |= 1 << (ordinal % 64);
        }
    }

    pub fn remove(&mut self, ordinal: u32) {
        if ordinal < self.length {
            self.words[ordinal as usize / 64] &= !(1 << (ordinal % 64));
        }
    }

    pub fn contains(&self, ordinal: u32) -> bool {
        ordinal < self.length && self.words[ordinal as usize / 64] >> (ordinal % 64) & 1 == 1
    }

    pub fn count(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Whether all of `other` are here.
    pub fn covers(&self, other: &Bits) -> bool {
        let mut both = self.words.iter().zip(&other.words);
        both.all(|(word, other)| other & !word == 0)
    }

    /// Parts of about as many ordinals each, in order.
    pub fn parts(&self, count: usize) -> Vec<Bits> {
        let each = (self.count() as usize).div_ceil(count.max(1)).max(1);
        let mut parts = Vec::new();
        for (at, ordinal) in self.iter().enumerate() {
            if at % each == 0 {
                parts.push(Bits::none(self.length));
            }
            if let Some(part) = parts.last_mut() {
                part.insert(ordinal);
            }
        }
        parts
    }

    /// Sets the bits that `octets` has, lowest bit first.
    pub fn insert_bitmap(&mut self, octets: &[u8]) {
        for (word, chunk) in self.words.iter_mut().zip(octets.chunks(8)) {
            let mut eight = [0; 8];
            eight[..chunk.len()].copy_from_slice(chunk);
            *word |= u64::from_le_bytes(eight);
        }
        self.cut();
    }

    pub fn union(&mut self, other: &Bits) {
        self.each(other, |word, other| word | other);
    }

    pub fn intersect(&mut self, other: &Bits) {
        self.each(other, |word, other| word & other);
    }

    pub fn subtract(&mut self, other: &Bits) {
        self.each(other, |word, other| word & !other);
    }

    fn each(&mut self, other: &Bits, of: impl Fn(u64, u64) -> u64) {
        debug_assert_eq!(self.length, other.length);
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word = of(*word, *other);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                if left == 0 {
                    return None;
                }
                let bit = left.trailing_zeros();
                left &= left - 1;
                Some(at as u32 * 64 + bit)
            })
        })
    }

    /// Whether any ordinal from `start` up to `end` is in the set.
    pub fn any_in(&self, start: u32, end: u32) -> bool {
        let end = end.min(self.length);
        if start >= end {
            return false;
        }
        let (first, last) = (start as usize / 64, (end - 1) as usize / 64);
        (first..=last).any(|at| {
            let mut word = self.words[at];
            if at == first {
                word &= u64::MAX << (start % 64);
            }
            if at == last {
                word &= u64::MAX >> (63 - (end - 1) % 64);
            }
            word != 0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_set_of_numbers(
            length in 0_u32..200,
            one in prop::collection::btree_set(0_u32..200, 0..40),
            other in prop::collection::btree_set(0_u32..200, 0..40),
            range in (0_u32..210, 0_u32..210),
        ) {
            let of = |set: &BTreeSet<u32>| {
                let mut bits = Bits::none(length);
                set.iter().for_each(|ordinal| bits.insert(*ordinal));
                bits
            };
            let kept = |set: &BTreeSet<u32>| set.iter().copied().filter(|o| *o < length).collect::<BTreeSet<_>>();
            let (a, b) = (kept(&one), kept(&other));
            let check = |change: fn(&mut Bits, &Bits), expect: BTreeSet<u32>| {
                let mut bits = of(&one);
                change(&mut bits, &of(&other));
                assert_eq!(bits.iter().collect::<BTreeSet<_>>(), expect);
                assert_eq!(bits.count() as usize, expect.len());
            };
            check(Bits::union, &a | &b);
            check(Bits::intersect, &a & &b);
            check(Bits::subtract, &a - &b);
            prop_assert_eq!(of(&one).covers(&of(&other)), b.is_subset(&a));
            let parts = of(&one).parts(3);
            prop_assert!(parts.len() <= 3);
            prop_assert!(parts.iter().flat_map(Bits::iter).eq(a.iter().copied()));
            prop_assert_eq!(Bits::all(length).count(), length);
            let any = a.iter().any(|o| (range.0..range.1).contains(o));
            prop_assert_eq!(of(&one).any_in(range.0, range.1), any);
        }
    }
}
