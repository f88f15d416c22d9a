//! A set of UIDs as ascending, disjoint, non-adjacent ranges: what expunge, store and copy work on.

use crate::Uid;

/// Invariant (US-1): ranges ascend, do not touch, and none holds 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct UidSet {
    ranges: Vec<(u32, u32)>,
}

impl UidSet {
    pub fn new() -> UidSet {
        UidSet::default()
    }

    /// From inclusive ranges in any order, also reversed or overlapping (RFC 9051 `seq-range`); 0 is dropped.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (Uid, Uid)>) -> UidSet {
        let mut sorted: Vec<(u32, u32)> = ranges
            .into_iter()
            .map(|(a, b)| (a.0.min(b.0).max(1), a.0.max(b.0)))
            .filter(|(first, last)| first <= last)
            .collect();
        sorted.sort_unstable();
        let mut set = UidSet::new();
        for (first, last) in sorted {
            set.push_range(first, last);
        }
        set
    }

    /// All UIDs that can exist.
    pub fn all() -> UidSet {
        UidSet {
            ranges: vec![(1, u32::MAX)],
        }
    }

    fn push_range(&mut self, first: u32, last: u32) {
        match self.ranges.last_mut() {
            Some(end) if first <= end.1.saturating_add(1) => end.1 = end.1.max(last),
            _ => self.ranges.push((first, last)),
        }
    }

    /// Adds a UID; cheapest when it is above all others. 0 is ignored.
    pub fn insert(&mut self, uid: Uid) {
        if uid.0 == 0 {
            return;
        }
        if self.ranges.last().is_none_or(|end| uid.0 >= end.0) {
            self.push_range(uid.0, uid.0);
        } else {
            let with = self
                .ranges
                .iter()
                .map(|&(a, b)| (Uid(a), Uid(b)))
                .chain([(uid, uid)]);
            *self = UidSet::from_ranges(with.collect::<Vec<_>>());
        }
    }

    pub fn contains(&self, uid: Uid) -> bool {
        let at = self.ranges.partition_point(|&(_, last)| last < uid.0);
        self.ranges
            .get(at)
            .is_some_and(|&(first, _)| first <= uid.0)
    }

    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Inclusive ranges, ascending.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = (Uid, Uid)> + '_ {
        self.ranges.iter().map(|&(a, b)| (Uid(a), Uid(b)))
    }

    /// How many UIDs it names, whether they exist or not.
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(|&(a, b)| u64::from(b - a) + 1).sum()
    }

    /// Every UID, ascending. Only for sets that a mailbox has bounded.
    pub fn iter(&self) -> impl Iterator<Item = Uid> + '_ {
        self.ranges.iter().flat_map(|&(a, b)| (a..=b).map(Uid))
    }

    pub fn first(&self) -> Option<Uid> {
        self.ranges.first().map(|&(first, _)| Uid(first))
    }

    pub fn last(&self) -> Option<Uid> {
        self.ranges.last().map(|&(_, last)| Uid(last))
    }
}

impl FromIterator<Uid> for UidSet {
    fn from_iter<I: IntoIterator<Item = Uid>>(uids: I) -> UidSet {
        let mut sorted: Vec<Uid> = uids.into_iter().collect();
        sorted.sort_unstable();
        let mut set = UidSet::new();
        for uid in sorted {
            set.insert(uid);
        }
        set
    }
}

/// RFC 9051 `uid-set`: `1:3,7`.
impl std::fmt::Display for UidSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, (first, last)) in self.ranges.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}:{last}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(ranges: &[(u32, u32)], expect: &str) {
        let set = UidSet::from_ranges(ranges.iter().map(|&(a, b)| (Uid(a), Uid(b))));
        assert_eq!(set.to_string(), expect);
    }

    #[test]
    fn ranges_are_put_in_order() {
        check(&[], "");
        check(&[(3, 1)], "1:3");
        check(&[(5, 5), (1, 2), (3, 4)], "1:5");
        check(&[(1, 1), (3, 3)], "1,3");
        check(&[(0, 0)], "");
        check(&[(0, 2)], "1:2");
        check(&[(4, u32::MAX), (1, 1)], "1,4:4294967295");
        check(&[(u32::MAX, u32::MAX), (1, u32::MAX)], "1:4294967295");
    }

    proptest! {
        #[test]
        fn holds_exactly_what_was_put_in(uids in proptest::collection::vec(0u32..50, 0..60)) {
            let mut one_by_one = UidSet::new();
            for &uid in &uids {
                one_by_one.insert(Uid(uid));
            }
            let at_once: UidSet = uids.iter().map(|&uid| Uid(uid)).collect();
            prop_assert_eq!(&one_by_one, &at_once);
            for uid in 0..51 {
                prop_assert_eq!(at_once.contains(Uid(uid)), uid != 0 && uids.contains(&uid));
            }
        }
    }
}
