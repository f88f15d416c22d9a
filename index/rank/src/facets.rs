//! How the messages that were found fall into groups: mailboxes, senders, years, whatever the caller has a name for.

use crate::limits::FACET_VALUES_MAX;
use engine_types::EmailId;
use std::collections::BTreeMap;

/// A group, and how many of the messages are in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facet<L> {
    pub label: L,
    pub messages: usize,
}

/// The largest first, then by label. A message may have any number of labels; each counts it once.
pub fn facets<L: Ord + Clone>(
    found: &[EmailId],
    labels: impl Fn(EmailId) -> Vec<L>,
) -> Vec<Facet<L>> {
    let mut counts: BTreeMap<L, usize> = BTreeMap::new();
    for id in found {
        let mut own = labels(*id);
        own.sort_unstable();
        own.dedup();
        own.into_iter()
            .for_each(|label| *counts.entry(label).or_default() += 1);
    }
    let facet = |(label, messages)| Facet { label, messages };
    let mut all: Vec<Facet<L>> = counts.into_iter().map(facet).collect();
    all.sort_by_key(|facet| std::cmp::Reverse(facet.messages));
    all.truncate(FACET_VALUES_MAX);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_come_first() {
        let found = [1, 2, 3].map(EmailId);
        let labels = |id: EmailId| match id.0 {
            1 => vec!["b", "b", "c"],
            2 => vec!["a"],
            _ => vec!["b"],
        };
        let all = facets(&found, labels);
        let shown: Vec<_> = all
            .iter()
            .map(|facet| (facet.label, facet.messages))
            .collect();
        assert_eq!(shown, [("b", 2), ("a", 1), ("c", 1)]);
        assert_eq!(facets(&found, |id| vec![id; 1]).len(), 3);
        let many: Vec<EmailId> = (0..90).map(EmailId).collect();
        assert_eq!(facets(&many, |id| vec![id]).len(), FACET_VALUES_MAX);
    }
}
