//! Set-full: what was acknowledged is in every later read, once; what was refused or expunged never is; what was shown is
//! not taken back.

use super::lives::{self, Life};
use super::{Run, named};
use crate::history::{Action, Listing, Marker, Operation, Outcome, Place, Seen};
use std::collections::{HashMap, HashSet};

pub fn check(run: &Run) -> Vec<String> {
    let lives = lives::of(&run.operations);
    let none = HashMap::new();
    let reads: Vec<_> = run.operations.iter().filter_map(listed).collect();
    let shown = first_shown(&reads);
    let mut found = not_found(&run.operations);
    for (operation, place, listing) in &reads {
        let lives = lives.get(place).unwrap_or(&none);
        let rows: HashSet<Marker> = listing.rows.iter().map(|(_, marker)| *marker).collect();
        let what = format!("{place} ({})", named(operation));
        found.extend(wrongly_there(&what, listing, lives));
        if operation.stale {
            continue;
        }
        for (marker, life) in lives {
            let shown = shown.get(&(place, *marker)).copied();
            if let Some(wrong) = wrong(operation, life, shown, rows.contains(marker)) {
                found.push(format!("message {marker} {wrong} in {what}"));
            }
        }
    }
    found
}

fn listed(operation: &Operation) -> Option<(&Operation, &Place, &Listing)> {
    match &operation.action {
        Action::Read { of, .. } => Some((operation, of, operation.outcome.listing()?)),
        _ => None,
    }
}

/// When a read that had the message was over, for the first time.
fn first_shown<'a>(
    reads: &[(&Operation, &'a Place, &Listing)],
) -> HashMap<(&'a Place, Marker), u64> {
    let mut shown = HashMap::new();
    for (operation, place, listing) in reads {
        for (_, marker) in &listing.rows {
            let first = shown.entry((*place, *marker)).or_insert(u64::MAX);
            *first = operation.end_ns.min(*first);
        }
    }
    shown
}

/// In a read that says that it is current.
fn wrong(
    read: &Operation,
    life: &Life,
    shown_ns: Option<u64>,
    is_there: bool,
) -> Option<&'static str> {
    let before = |time: Option<u64>| time.is_some_and(|time| time < read.begin_ns);
    let may_be_gone = life.going.begun_ns.is_some_and(|begun| begun < read.end_ns);
    match is_there {
        false if before(life.coming.done_ns) && !may_be_gone => {
            Some("was acknowledged, and is not")
        }
        false if before(shown_ns) && !may_be_gone => Some("was shown, and is not any more"),
        true if before(life.going.done_ns) => Some("was removed, and is still"),
        _ => None,
    }
}

/// What no read may have, not even one that is old.
fn wrongly_there(what: &str, listing: &Listing, lives: &HashMap<Marker, Life>) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    for (_, marker) in &listing.rows {
        if !seen.insert(*marker) {
            found.push(format!("message {marker} is twice in {what}"));
        }
        match lives.get(marker) {
            None => found.push(format!(
                "message {marker}, which nobody sent there, is in {what}"
            )),
            Some(life) if life.coming.begun_ns.is_none() => {
                found.push(format!("message {marker} was refused, and is in {what}"));
            }
            Some(_) => {}
        }
    }
    found
}

/// COPY knows of no message that is acknowledged and that nobody removes.
fn not_found(operations: &[Operation]) -> Vec<String> {
    let lost = operations
        .iter()
        .filter_map(|operation| match &operation.action {
            Action::Copy { from, marker, .. }
                if operation.outcome == Outcome::Ok(Seen::Nothing) && !operation.stale =>
            {
                Some(format!(
                    "message {marker} of {from} is not there to be copied ({})",
                    named(operation)
                ))
            }
            _ => None,
        });
    lost.collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn acknowledged_is_in_each_later_read() {
        let check = |rows: &[(u32, u64)], words: &[&str]| {
            let history = vec![
                deliver(1, 2, 10, ok()),
                deliver(1, 2, 11, info()),
                read(3, 4, "in-0", rows),
            ];
            expect(&super::check(&run(history)), words);
        };
        check(&[(1, 10)], &[]);
        check(&[(1, 11), (2, 10)], &[]);
        check(
            &[(1, 11)],
            &["message 10 was acknowledged, and is not in a/in-0"],
        );
        check(&[(1, 10), (2, 10)], &["message 10 is twice"]);
        check(&[(1, 10), (2, 99)], &["message 99, which nobody sent"]);
    }

    #[test]
    fn what_overlaps_may_be_there_or_not() {
        let history = vec![deliver(1, 5, 10, ok()), read(4, 8, "in-0", &[])];
        expect(&super::check(&run(history)), &[]);
    }

    #[test]
    fn refused_is_never_there() {
        let history = vec![deliver(1, 2, 10, fail()), read(3, 4, "in-0", &[(1, 10)])];
        expect(&super::check(&run(history)), &["message 10 was refused"]);
    }

    #[test]
    fn shown_is_not_taken_back_and_an_old_copy_may_lack_it() {
        let mut old = read(5, 6, "in-0", &[]);
        old.stale = true;
        let mut history = vec![
            deliver(1, 2, 10, info()),
            read(3, 4, "in-0", &[(1, 10)]),
            old,
        ];
        expect(&super::check(&run(history.clone())), &[]);
        history.push(read(7, 8, "in-0", &[]));
        expect(&super::check(&run(history)), &["message 10 was shown"]);
    }

    #[test]
    fn removed_does_not_come_back() {
        let from = place("bin");
        let appended = Action::Append {
            to: from.clone(),
            marker: 10,
        };
        let expunge = Action::Expunge { from, marker: 10 };
        let history = |outcome, rows: &[(u32, u64)]| {
            vec![
                operation(1, 2, appended.clone(), at(1)),
                operation(3, 4, expunge.clone(), outcome),
                read(5, 6, "bin", rows),
            ]
        };
        expect(&super::check(&run(history(ok(), &[]))), &[]);
        expect(
            &super::check(&run(history(ok(), &[(1, 10)]))),
            &["message 10 was removed"],
        );
        expect(&super::check(&run(history(info(), &[(1, 10)]))), &[]);
        expect(&super::check(&run(history(info(), &[]))), &[]);
        expect(
            &super::check(&run(history(fail(), &[]))),
            &["message 10 was acknowledged"],
        );
    }

    #[test]
    fn a_message_that_is_there_can_be_copied() {
        let (from, to) = (place("in-0"), place("copies"));
        let copy = operation(
            3,
            4,
            Action::Copy {
                from,
                to,
                marker: 10,
            },
            Outcome::Ok(Seen::Nothing),
        );
        let history = vec![deliver(1, 2, 10, ok()), copy];
        expect(
            &super::check(&run(history)),
            &["message 10 of a/in-0 is not there to be copied"],
        );
    }
}
