//! Histories made by hand.

use super::Run;
use crate::history::{Action, Listing, Operation, Outcome, Place, Seen, UidAt};

pub const VALIDITY: u32 = 7;

pub fn place(mailbox: &str) -> Place {
    Place::new("a", mailbox)
}

/// From `begin` to `end`, by client 1 on node 1.
pub fn operation(begin: u64, end: u64, action: Action, outcome: Outcome) -> Operation {
    Operation {
        client: 1,
        process: 1,
        session: 1,
        node: 1,
        begin_ns: begin,
        end_ns: end,
        action,
        outcome,
        stale: false,
    }
}

pub fn ok() -> Outcome {
    Outcome::Ok(Seen::Text(String::new()))
}

pub fn at(uid: u32) -> Outcome {
    Outcome::Ok(Seen::At(UidAt {
        validity: VALIDITY,
        uid,
    }))
}

pub fn fail() -> Outcome {
    Outcome::Fail(String::new())
}

pub fn info() -> Outcome {
    Outcome::Info(String::new())
}

pub fn deliver(begin: u64, end: u64, marker: u64, outcome: Outcome) -> Operation {
    let to = place("in-0");
    operation(begin, end, Action::Deliver { to, marker }, outcome)
}

pub fn read(begin: u64, end: u64, mailbox: &str, rows: &[(u32, u64)]) -> Operation {
    let uid_next = rows.last().map_or(1, |(uid, _)| uid + 1);
    let exists = rows.len() as u32;
    let listing = Listing {
        validity: VALIDITY,
        uid_next,
        mod_seq: u64::from(uid_next),
        exists,
        rows: rows.to_vec(),
    };
    let action = Action::Read {
        of: place(mailbox),
        last: false,
    };
    operation(begin, end, action, Outcome::Ok(Seen::Listing(listing)))
}

pub fn run(mut operations: Vec<Operation>) -> Run {
    operations.sort_by_key(|operation| operation.begin_ns);
    Run {
        operations,
        nodes: vec![1],
        ..Run::default()
    }
}

/// What is found has these words in it, and there is no more.
pub fn expect(found: &[String], words: &[&str]) {
    assert_eq!(found.len(), words.len(), "{found:?}");
    for (text, word) in found.iter().zip(words) {
        assert!(text.contains(word), "{text:?} has no {word:?}");
    }
}
