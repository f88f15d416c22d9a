//! Sequence sets (RFC 3501 §9 `sequence-set`) and how a session's numbering resolves them.

use super::cursor::{Cursor, Malformed};
use crate::limits::RANGES_MAX;
use engine_types::{Uid, UidSet};

/// Inclusive ranges as given; `None` is `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceSet(pub Vec<(Option<u32>, Option<u32>)>);

impl SequenceSet {
    pub fn parse(cursor: &mut Cursor<'_>) -> Result<SequenceSet, Malformed> {
        let mut ranges = Vec::new();
        loop {
            let first = number(cursor)?;
            let last = if cursor.eat(b':') {
                number(cursor)?
            } else {
                first
            };
            if ranges.len() == RANGES_MAX {
                return Err(Malformed("too many ranges in a set"));
            }
            ranges.push((first, last));
            if !cursor.eat(b',') {
                return Ok(SequenceSet(ranges));
            }
        }
    }

    /// The UIDs among `uids` (ascending) that the set names as UIDs. `*` is the highest of them (RFC 3501 §6.4.8).
    pub fn by_uid(&self, uids: &[Uid]) -> UidSet {
        let Some(&highest) = uids.last() else {
            return UidSet::new();
        };
        let named = UidSet::from_ranges(
            self.0
                .iter()
                .map(|&(a, b)| (a.map_or(highest, Uid), b.map_or(highest, Uid))),
        );
        let mut found = UidSet::new();
        for (first, last) in named.ranges() {
            let from = uids.partition_point(|&u| u < first);
            for &uid in uids[from..].iter().take_while(|&&u| u <= last) {
                found.insert(uid);
            }
        }
        found
    }

    /// The UIDs of the messages with these numbers; `None` if a number is above the mailbox's count.
    pub fn by_number(&self, uids: &[Uid]) -> Option<UidSet> {
        let count = u32::try_from(uids.len()).unwrap_or(u32::MAX);
        let named = self.0.iter().map(|&(a, b)| {
            let (a, b) = (a.unwrap_or(count), b.unwrap_or(count));
            (a.min(b), a.max(b))
        });
        let mut sorted: Vec<(u32, u32)> = named.collect();
        if sorted.iter().any(|&(a, b)| a == 0 || b > count) {
            return None;
        }
        sorted.sort_unstable();
        let mut found = UidSet::new();
        let mut next = 1;
        for (first, last) in sorted {
            let first = first.max(next);
            if first > last {
                continue;
            }
            for &uid in &uids[first as usize - 1..last as usize] {
                found.insert(uid);
            }
            next = last + 1;
        }
        Some(found)
    }
}

fn number(cursor: &mut Cursor<'_>) -> Result<Option<u32>, Malformed> {
    if cursor.eat(b'*') {
        return Ok(None);
    }
    match u32::try_from(cursor.number()?) {
        Ok(0) | Err(_) => Err(Malformed("a number of a set is 1 to 4294967295")),
        Ok(n) => Ok(Some(n)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::cursor::Command;

    fn parse(text: &str) -> Result<SequenceSet, Malformed> {
        let command = Command {
            text: text.as_bytes().to_vec(),
            literals: Vec::new(),
        };
        SequenceSet::parse(&mut Cursor::new(&command))
    }

    #[track_caller]
    fn check(text: &str, uids: &[u32], by_uid: &str, by_number: &str) {
        let uids: Vec<Uid> = uids.iter().map(|&u| Uid(u)).collect();
        let set = parse(text).unwrap();
        assert_eq!(set.by_uid(&uids).to_string(), by_uid, "{text} by uid");
        let found = set
            .by_number(&uids)
            .map_or("none".to_owned(), |s| s.to_string());
        assert_eq!(found, by_number, "{text} by number");
    }

    #[test]
    fn sets_resolve_to_what_is_there() {
        let uids = [2, 4, 9];
        check("1:*", &uids, "2,4,9", "2,4,9");
        check("*", &uids, "9", "9");
        check("100:*", &uids, "9", "none");
        check("*:1", &uids, "2,4,9", "2,4,9");
        check("2", &uids, "2", "4");
        check("3,1,2:3", &uids, "2", "2,4,9");
        check("4", &uids, "4", "none");
        check("1:4294967295", &uids, "2,4,9", "none");
        check("*", &[], "", "none");
        check("1:*", &[], "", "none");
    }

    #[test]
    fn broken_sets_are_refused() {
        for text in ["0", "", "a", "1:", "4294967296", "1,", ",1", "1:0"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
