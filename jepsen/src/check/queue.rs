//! Queue: a message that was put into `todo` is in `todo` or in `done`, and is moved once.

use super::lives::Change;
use super::{Run, lives, named};
use crate::history::{Action, Marker, Operation, Outcome, Place, Seen};
use std::collections::{BTreeMap, HashMap};

pub fn check(run: &Run) -> Vec<String> {
    let mut found = moved_twice(&run.operations);
    found.extend(moved_from_nowhere(&run.operations));
    found.extend(in_one_place(run));
    found
}

type Moves<'a> = BTreeMap<(&'a Place, Marker), Vec<&'a Operation>>;

fn moves(operations: &[Operation]) -> Moves<'_> {
    let mut moves = Moves::new();
    for operation in operations {
        if let Action::Move { from, marker, .. } = &operation.action {
            moves.entry((from, *marker)).or_default().push(operation);
        }
    }
    moves
}

fn moved_twice(operations: &[Operation]) -> Vec<String> {
    let mut found = Vec::new();
    for ((from, marker), moves) in moves(operations) {
        let mut done = moves
            .iter()
            .filter(|operation| matches!(operation.outcome.seen(), Some(Seen::At(_))));
        if let (Some(one), Some(other)) = (done.next(), done.next()) {
            let (one, other) = (named(one), named(other));
            found.push(format!(
                "message {marker} was moved from {from} twice: {one}; {other}"
            ));
        }
    }
    found
}

/// "Nothing to move", while it was there and nobody else had begun to move it.
fn moved_from_nowhere(operations: &[Operation]) -> Vec<String> {
    let lives = lives::of(operations);
    let mut found = Vec::new();
    for ((from, marker), moves) in moves(operations) {
        let life = lives
            .get(from)
            .and_then(|lives| lives.get(&marker))
            .copied()
            .unwrap_or_default();
        for operation in moves {
            let was_there = life
                .coming
                .done_ns
                .is_some_and(|done| done < operation.begin_ns);
            let may_be_gone = life
                .going
                .begun_ns
                .is_some_and(|begun| begun < operation.end_ns);
            let nothing = operation.outcome == Outcome::Ok(Seen::Nothing) && !operation.stale;
            if nothing && was_there && !may_be_gone {
                found.push(format!(
                    "message {marker} is not in {from} to be moved ({})",
                    named(operation)
                ));
            }
        }
    }
    found
}

/// By the final reads of each node: not in both, and not in neither.
fn in_one_place(run: &Run) -> Vec<String> {
    let mut places: HashMap<(u64, &str), HashMap<Marker, Vec<&Place>>> = HashMap::new();
    for operation in &run.operations {
        if let (Action::Read { of, last: true }, Some(listing)) =
            (&operation.action, operation.outcome.listing())
            && is_queue(of)
        {
            let of_node = places.entry((operation.node, of.account())).or_default();
            for (_, marker) in &listing.rows {
                of_node.entry(*marker).or_default().push(of);
            }
        }
    }
    let lives = lives::of(&run.operations);
    let mut found = Vec::new();
    for ((node, account), here) in &places {
        let put = lives
            .get(&Place::new(account, "todo"))
            .into_iter()
            .flatten();
        for (marker, life) in put {
            let count = here.get(marker).map_or(0, Vec::len);
            let is_sure = life.coming.done_ns.is_some();
            if count > 1 || (count == 0 && is_sure) {
                let going = shown(&life.going);
                found.push(format!(
                    "message {marker} of {account} is in {count} places of node {node} ({going})"
                ));
            }
        }
    }
    found
}

fn shown(going: &Change) -> &'static str {
    match (going.begun_ns, going.done_ns) {
        (None, _) => "never moved",
        (Some(_), None) => "its move has an unknown outcome",
        _ => "moved",
    }
}

fn is_queue(place: &Place) -> bool {
    ["todo", "done"].contains(&place.mailbox())
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn put(marker: u64) -> Operation {
        let to = place("todo");
        operation(1, 2, Action::Append { to, marker }, at(1))
    }

    fn moved(begin: u64, end: u64, outcome: Outcome) -> Operation {
        let (from, to) = (place("todo"), place("done"));
        operation(
            begin,
            end,
            Action::Move {
                from,
                to,
                marker: 10,
            },
            outcome,
        )
    }

    fn last(mailbox: &str, rows: &[(u32, u64)]) -> Operation {
        let mut operation = read(20, 21, mailbox, rows);
        operation.action = Action::Read {
            of: place(mailbox),
            last: true,
        };
        operation
    }

    #[test]
    fn a_moved_message_is_in_one_place() {
        let check = |todo: &[(u32, u64)], done: &[(u32, u64)], words: &[&str]| {
            let history = vec![
                put(10),
                moved(3, 4, info()),
                last("todo", todo),
                last("done", done),
            ];
            expect(&super::check(&run(history)), words);
        };
        check(&[(1, 10)], &[], &[]);
        check(&[], &[(1, 10)], &[]);
        check(&[(1, 10)], &[(1, 10)], &["is in 2 places"]);
        check(
            &[],
            &[],
            &["is in 0 places of node 1 (its move has an unknown outcome)"],
        );
    }

    #[test]
    fn a_message_is_moved_once() {
        let history = vec![
            put(10),
            moved(3, 4, at(1)),
            moved(5, 6, Outcome::Ok(Seen::Nothing)),
        ];
        expect(&super::check(&run(history)), &[]);
        let history = vec![put(10), moved(3, 4, at(1)), moved(5, 6, at(2))];
        expect(&super::check(&run(history)), &["moved from a/todo twice"]);
        let history = vec![
            put(10),
            moved(3, 4, Outcome::Ok(Seen::Nothing)),
            moved(5, 6, at(1)),
        ];
        expect(
            &super::check(&run(history)),
            &["is not in a/todo to be moved"],
        );
    }
}
