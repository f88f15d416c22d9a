//! Of each message in each mailbox: when it may have come, when it had come, and the same of its going.

use crate::history::{Action, Marker, Operation, Outcome, Place, Seen};
use std::collections::HashMap;

/// A change that was tried, perhaps by several clients.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change {
    /// The first beginning of one that may have happened.
    pub begun_ns: Option<u64>,
    /// The first end of one that was acknowledged.
    pub done_ns: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Life {
    pub coming: Change,
    pub going: Change,
}

impl Change {
    fn add(&mut self, operation: &Operation) {
        let nothing = operation.outcome == Outcome::Ok(Seen::Nothing);
        if nothing || matches!(operation.outcome, Outcome::Fail(_)) {
            return;
        }
        let begun = self.begun_ns.unwrap_or(u64::MAX).min(operation.begin_ns);
        self.begun_ns = Some(begun);
        if operation.outcome.is_ok() {
            let done = self.done_ns.unwrap_or(u64::MAX).min(operation.end_ns);
            self.done_ns = Some(done);
        }
    }
}

pub type Lives = HashMap<Place, HashMap<Marker, Life>>;

pub fn of(operations: &[Operation]) -> Lives {
    let mut lives = Lives::new();
    for operation in operations {
        match &operation.action {
            Action::Deliver { to, marker } => {
                // Where it is, also if it was sent elsewhere: `answers` tells of that.
                let mailbox = operation.stored_in().unwrap_or(to.mailbox());
                let to = Place::new(to.account(), mailbox);
                life(&mut lives, &to, *marker).coming.add(operation);
            }
            Action::Append { to, marker } | Action::Copy { to, marker, .. } => {
                life(&mut lives, to, *marker).coming.add(operation);
            }
            Action::Move { from, to, marker } => {
                life(&mut lives, from, *marker).going.add(operation);
                life(&mut lives, to, *marker).coming.add(operation);
            }
            Action::Expunge { from, marker } => {
                life(&mut lives, from, *marker).going.add(operation)
            }
            _ => {}
        }
    }
    lives
}

fn life<'a>(lives: &'a mut Lives, place: &Place, marker: Marker) -> &'a mut Life {
    lives
        .entry(place.clone())
        .or_default()
        .entry(marker)
        .or_default()
}
