//! UIDs: one meaning for ever, ascending in reads and in the order of acknowledged appends; UIDNEXT and HIGHESTMODSEQ
//! never fall.

use super::{Run, named};
use crate::history::{Action, Listing, Marker, Operation, Place, Seen, UidAt};
use std::collections::{BTreeMap, HashMap};

pub fn check(run: &Run) -> Vec<String> {
    let mut meanings = Meanings::default();
    for operation in &run.operations {
        meanings.learn(operation);
    }
    let mut found = std::mem::take(&mut meanings.conflicts);
    found.extend(run.operations.iter().flat_map(descending));
    for (place, operations) in by_place(&run.operations) {
        found.extend(appends_rise(place, &operations, &meanings));
        found.extend(never_fall(place, &operations));
    }
    found
}

/// What each UID was said to mean, and by whom first.
#[derive(Default)]
struct Meanings<'a> {
    by_uid: HashMap<(&'a Place, UidAt), (Marker, &'a Operation)>,
    /// Of messages that lie in a mailbox once.
    by_marker: HashMap<(&'a Place, Marker), u32>,
    validity: HashMap<&'a Place, (u32, &'a Operation)>,
    conflicts: Vec<String>,
}

impl<'a> Meanings<'a> {
    fn learn(&mut self, operation: &'a Operation) {
        match (&operation.action, operation.outcome.seen()) {
            (Action::Append { to, marker }, Some(Seen::At(at)))
            | (Action::Copy { to, marker, .. }, Some(Seen::At(at)))
            | (Action::Move { to, marker, .. }, Some(Seen::At(at))) => {
                self.mean(to, *at, *marker, operation)
            }
            (Action::Read { of, .. }, Some(Seen::Listing(listing))) => {
                let validity = listing.validity;
                for (uid, marker) in &listing.rows {
                    self.mean(
                        of,
                        UidAt {
                            validity,
                            uid: *uid,
                        },
                        *marker,
                        operation,
                    );
                }
            }
            _ => {}
        }
    }

    fn mean(&mut self, place: &'a Place, at: UidAt, marker: Marker, operation: &'a Operation) {
        let (known, first) = *self
            .by_uid
            .entry((place, at))
            .or_insert((marker, operation));
        if known != marker {
            let (one, other) = (named(first), named(operation));
            let uid = at.uid;
            self.conflicts.push(format!(
                "UID {uid} of {place} was message {known} ({one}) and is {marker} ({other})"
            ));
        }
        self.by_marker.insert((place, marker), at.uid);
        let (validity, _) = *self
            .validity
            .entry(place)
            .or_insert((at.validity, operation));
        if validity != at.validity {
            let text = format!(
                "UIDVALIDITY of {place} was {validity} and is {} ({})",
                at.validity,
                named(operation)
            );
            self.conflicts.push(text);
        }
    }
}

fn descending(operation: &Operation) -> Option<String> {
    let listing = operation.outcome.listing()?;
    let pair = listing.rows.windows(2).find(|pair| pair[0].0 >= pair[1].0);
    let above = listing
        .rows
        .last()
        .is_some_and(|(uid, _)| *uid >= listing.uid_next);
    // A message may come between SELECT and FETCH, and is then above what SELECT said.
    let grown = listing.rows.len() > listing.exists as usize;
    if above && !grown {
        return Some(format!(
            "a UID is not below UIDNEXT {} ({})",
            listing.uid_next,
            named(operation)
        ));
    }
    pair.map(|pair| {
        format!(
            "UIDs {} and {} do not ascend ({})",
            pair[0].0,
            pair[1].0,
            named(operation)
        )
    })
}

fn by_place(operations: &[Operation]) -> BTreeMap<&Place, Vec<&Operation>> {
    let mut places: BTreeMap<&Place, Vec<&Operation>> = BTreeMap::new();
    for operation in operations {
        let place = match &operation.action {
            Action::Deliver { to, .. } | Action::Append { to, .. } => to,
            Action::Copy { to, .. } | Action::Move { to, .. } => to,
            Action::Read { of, .. } => of,
            _ => continue,
        };
        places.entry(place).or_default().push(operation);
    }
    places
}

/// Each acknowledged message has a higher UID than all whose acknowledgement came before it was begun, and than all that
/// a read had shown until then. `operations` are in the order of their beginnings.
fn appends_rise(place: &Place, operations: &[&Operation], meanings: &Meanings<'_>) -> Vec<String> {
    let mut by_end = operations.to_vec();
    by_end.sort_by_key(|operation| operation.end_ns);
    let mut ended = by_end.into_iter().peekable();
    let mut highest: Option<(u32, &Operation)> = None;
    let mut found = Vec::new();
    for operation in operations {
        while let Some(before) = ended.next_if(|before| before.end_ns < operation.begin_ns) {
            let uid = highest_of(before, place, meanings);
            if uid.is_some_and(|uid| highest.is_none_or(|(highest, _)| uid > highest)) {
                highest = uid.map(|uid| (uid, before));
            }
        }
        let Some((uid, (before, first))) = came(operation, place, meanings).zip(highest) else {
            continue;
        };
        if uid <= before {
            let (one, other) = (named(first), named(operation));
            found.push(format!(
                "{place}: UID {uid} came ({other}) after UID {before} was known ({one})"
            ));
        }
    }
    found
}

/// The UID that the operation gave to a message.
fn came(operation: &Operation, place: &Place, meanings: &Meanings<'_>) -> Option<u32> {
    match (&operation.action, operation.outcome.seen()?) {
        (Action::Read { .. }, _) => None,
        (_, Seen::At(at)) => Some(at.uid),
        (Action::Deliver { marker, .. }, _) => meanings.by_marker.get(&(place, *marker)).copied(),
        _ => None,
    }
}

fn highest_of(operation: &Operation, place: &Place, meanings: &Meanings<'_>) -> Option<u32> {
    match operation.outcome.listing() {
        Some(listing) => Some(listing.uid_next.saturating_sub(1)),
        None => came(operation, place, meanings),
    }
}

/// In the order of time between reads that say that they are current; within a session between all.
fn never_fall(place: &Place, operations: &[&Operation]) -> Vec<String> {
    let reads: Vec<(&Operation, &Listing)> = operations
        .iter()
        .filter_map(|operation| Some((*operation, operation.outcome.listing()?)))
        .collect();
    let mut by_end = reads.clone();
    by_end.sort_by_key(|(operation, _)| operation.end_ns);
    let mut ended = by_end.into_iter().peekable();
    let mut current: (u32, u64) = (0, 0);
    let mut sessions: HashMap<u64, (u32, u64)> = HashMap::new();
    let mut found = Vec::new();
    for (operation, listing) in reads {
        while let Some((before, had)) =
            ended.next_if(|(before, _)| before.end_ns < operation.begin_ns)
        {
            if !before.stale {
                raise(&mut current, had);
            }
        }
        let session = sessions.entry(operation.session).or_default();
        let floor = match operation.stale {
            true => *session,
            false => (current.0.max(session.0), current.1.max(session.1)),
        };
        if listing.uid_next < floor.0 || listing.mod_seq < floor.1 {
            let what = named(operation);
            let (next, mod_seq) = (listing.uid_next, listing.mod_seq);
            found.push(format!(
                "{place}: UIDNEXT {next}, HIGHESTMODSEQ {mod_seq} after {floor:?} ({what})"
            ));
        }
        raise(session, listing);
    }
    found
}

fn raise(floor: &mut (u32, u64), listing: &Listing) {
    *floor = (floor.0.max(listing.uid_next), floor.1.max(listing.mod_seq));
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn append(begin: u64, end: u64, marker: u64, uid: u32) -> Operation {
        let to = place("in-0");
        operation(begin, end, Action::Append { to, marker }, at(uid))
    }

    #[test]
    fn a_uid_means_one_message() {
        let check = |rows: &[(u32, u64)], words: &[&str]| {
            let history = vec![append(1, 2, 10, 1), read(3, 4, "in-0", rows)];
            expect(&super::check(&run(history)), words);
        };
        check(&[(1, 10)], &[]);
        check(&[(1, 11)], &["UID 1 of a/in-0 was message 10"]);
        check(
            &[(1, 10), (3, 12), (2, 11)],
            &["UIDs 3 and 2 do not ascend"],
        );
    }

    #[test]
    fn a_uid_validity_is_for_ever() {
        let mut other = append(3, 4, 11, 2);
        other.outcome = Outcome::Ok(Seen::At(UidAt {
            validity: 8,
            uid: 2,
        }));
        expect(
            &super::check(&run(vec![append(1, 2, 10, 1), other])),
            &["UIDVALIDITY of a/in-0 was 7 and is 8"],
        );
    }

    #[test]
    fn uids_rise_in_the_order_of_acknowledgements() {
        expect(
            &super::check(&run(vec![append(1, 2, 10, 1), append(3, 4, 11, 2)])),
            &[],
        );
        expect(
            &super::check(&run(vec![append(1, 4, 10, 2), append(3, 5, 11, 1)])),
            &[],
        );
        expect(
            &super::check(&run(vec![append(1, 2, 10, 2), append(3, 4, 11, 1)])),
            &["UID 1 came"],
        );
        let history = vec![
            deliver(1, 2, 10, ok()),
            deliver(3, 4, 11, ok()),
            read(5, 6, "in-0", &[(1, 11), (2, 10)]),
        ];
        expect(&super::check(&run(history)), &["UID 1 came"]);
    }

    #[test]
    fn what_a_mailbox_says_of_itself_never_falls() {
        let high = read(1, 2, "in-0", &[(1, 10), (2, 11)]);
        let mut low = read(3, 4, "in-0", &[(1, 10)]);
        low.session = 2;
        expect(
            &super::check(&run(vec![high.clone(), low.clone()])),
            &["UIDNEXT 2, HIGHESTMODSEQ 2 after (3, 3)"],
        );
        low.stale = true;
        expect(&super::check(&run(vec![high.clone(), low.clone()])), &[]);
        low.session = 1;
        expect(&super::check(&run(vec![high, low])), &["UIDNEXT 2"]);
    }

    use crate::history::Outcome;
}
