//! List-append: all reads of a mailbox that only grows are beginnings of one order.

use super::{Run, named};
use crate::history::{Action, Listing, Operation, Place};
use std::collections::BTreeMap;

pub fn check(run: &Run) -> Vec<String> {
    let mut reads: BTreeMap<&Place, Vec<(&Operation, &Listing)>> = BTreeMap::new();
    for operation in &run.operations {
        if let (Action::Read { of, .. }, Some(listing)) =
            (&operation.action, operation.outcome.listing())
            && only_grows(of)
        {
            reads.entry(of).or_default().push((operation, listing));
        }
    }
    let mut found = Vec::new();
    for (place, mut reads) in reads {
        reads.sort_by_key(|(_, listing)| listing.rows.len());
        for pair in reads.windows(2) {
            let ((shorter, beginning), (longer, all)) = (pair[0], pair[1]);
            let differs = beginning
                .rows
                .iter()
                .zip(&all.rows)
                .position(|(one, other)| one != other);
            if let Some(at) = differs {
                found.push(format!(
                    "{place}: at {} UID and message are {:?} ({}) and {:?} ({})",
                    at + 1,
                    beginning.rows[at],
                    named(shorter),
                    all.rows[at],
                    named(longer)
                ));
            }
        }
    }
    found
}

fn only_grows(place: &Place) -> bool {
    let mailbox = place.mailbox();
    mailbox.starts_with("in-") || mailbox == "copies" || mailbox == "done"
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn reads_are_beginnings_of_one_order() {
        let check = |one: &[(u32, u64)], other: &[(u32, u64)], words: &[&str]| {
            let history = vec![read(1, 2, "in-0", one), read(3, 4, "in-0", other)];
            expect(&super::check(&run(history)), words);
        };
        check(&[], &[(1, 10)], &[]);
        check(&[(1, 10)], &[(1, 10), (2, 11)], &[]);
        check(&[(1, 10), (2, 11)], &[(1, 10)], &[]);
        check(
            &[(1, 10), (2, 11)],
            &[(1, 11), (2, 10)],
            &["at 1 UID and message are (1, 10)"],
        );
        check(&[(2, 11)], &[(1, 10), (2, 11)], &["at 1"]);
        check(&[(1, 10), (3, 12)], &[(1, 10), (2, 12)], &["at 2"]);
    }

    #[test]
    fn what_shrinks_is_not_compared() {
        let history = vec![
            read(1, 2, "todo", &[(1, 10), (2, 11)]),
            read(3, 4, "todo", &[(2, 11)]),
        ];
        expect(&super::check(&run(history)), &[]);
    }
}
