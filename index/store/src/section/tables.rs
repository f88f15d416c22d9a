//! Who and where: what a section says of its messages, in memory while the account is searched.

use super::Blocks;
use crate::bits::Bits;
use engine_types::EmailId;

/// The two strings of a folded text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Half {
    Head,
    Body,
}

/// Who and where: what a section says of its messages.
#[derive(Debug)]
pub struct Tables {
    /// By ordinal.
    pub ids: Vec<u64>,
    /// Messages whose bodies have no tokens.
    pub opaque: Bits,
    /// Ordinals by ascending id, where ids don't ascend themselves.
    order: Option<Vec<u32>>,
    halves: [Blocks; 2],
}

impl Tables {
    pub fn new(ids: Vec<u64>, opaque: Bits, halves: [Blocks; 2]) -> Self {
        let order = (!ids.is_sorted()).then(|| {
            let mut order: Vec<u32> = (0..ids.len() as u32).collect();
            order.sort_unstable_by_key(|ordinal| ids[*ordinal as usize]);
            order
        });
        Self {
            ids,
            opaque,
            order,
            halves,
        }
    }

    pub fn half(&self, half: Half) -> &Blocks {
        &self.halves[half as usize]
    }

    pub fn bytes(&self) -> usize {
        let order = self.order.as_ref().map_or(0, Vec::len);
        self.ids.len() * 8 + order * 4 + self.halves.iter().map(Blocks::bytes).sum::<usize>()
    }

    /// Which of `wanted` (ascending) are here.
    pub fn ordinals(&self, wanted: &[EmailId]) -> Bits {
        let mut found = Bits::none(self.ids.len() as u32);
        // A few ids are looked up; many are merged with ours.
        if wanted.len() < self.ids.len() / 16 {
            let known = wanted.iter().filter_map(|id| self.find(id.0));
            known.for_each(|ordinal| found.insert(ordinal));
            return found;
        }
        let mut wanted = wanted.iter().peekable();
        for (id, ordinal) in self.sorted() {
            while wanted.next_if(|wanted| wanted.0 < id).is_some() {}
            if wanted.peek().is_some_and(|wanted| wanted.0 == id) {
                found.insert(ordinal);
            }
        }
        found
    }

    /// Ids with their ordinals, by ascending id.
    fn sorted(&self) -> impl Iterator<Item = (u64, u32)> {
        (0..self.ids.len() as u32).map(|at| {
            let ordinal = self.order.as_ref().map_or(at, |order| order[at as usize]);
            (self.ids[ordinal as usize], ordinal)
        })
    }

    fn find(&self, id: u64) -> Option<u32> {
        match &self.order {
            None => self.ids.binary_search(&id).ok().map(|at| at as u32),
            Some(order) => {
                let at = order.binary_search_by_key(&id, |ordinal| self.ids[*ordinal as usize]);
                at.ok().map(|at| order[at])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn ids_are_found_in_any_order(
            ids in prop::collection::hash_set(0_u64..300, 0..60), wanted in prop::collection::btree_set(0_u64..300, 0..60),
            sorted: bool,
        ) {
            let mut ids: Vec<u64> = ids.into_iter().collect();
            if sorted {
                ids.sort_unstable();
            }
            let tables = Tables::new(ids.clone(), Bits::none(ids.len() as u32), [Blocks::default(), Blocks::default()]);
            for wanted in [wanted.clone(), wanted.into_iter().take(2).collect()] {
                let list: Vec<EmailId> = wanted.iter().map(|id| EmailId(*id)).collect();
                let found: BTreeSet<u64> = tables.ordinals(&list).iter().map(|o| ids[o as usize]).collect();
                let expect: BTreeSet<u64> = ids.iter().copied().filter(|id| wanted.contains(id)).collect();
                prop_assert_eq!(found, expect);
            }
        }
    }
}
