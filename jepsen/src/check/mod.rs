//! Checkers: each holds a history against one kind of promise.

mod answers;
mod converge;
mod gate;
mod lives;
mod order;
mod queue;
mod register;
mod set;
#[cfg(test)]
mod testing;
mod uid;

use crate::history::{Fault, Operation};
use crate::limits::SHOWN_MAX;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub checker: &'static str,
    pub text: String,
}

/// All that a run has left.
#[derive(Default)]
pub struct Run {
    /// In the order of their beginnings.
    pub operations: Vec<Operation>,
    /// At the end.
    pub nodes: Vec<u64>,
    pub faults: Vec<Fault>,
    pub gate: Gate,
    pub ending: Ending,
}

/// When one of two sites may acknowledge alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gate {
    /// There are not two sites, and any loss of one leaves a majority in two.
    #[default]
    None,
    /// After the lease of the other site is over.
    Degrade,
    Strict,
}

/// What happened once everything was healed.
#[derive(Default)]
pub struct Ending {
    /// Until all nodes agreed and health was ok; or what was wrong to the last.
    pub settled: Option<Result<Duration, String>>,
    /// Nodes that died though nothing was done to them, and what an operator could not do.
    pub died: Vec<String>,
}

/// What was not decided in time, and why.
pub type Undecided = Vec<String>;

pub struct Checker {
    pub name: &'static str,
    pub about: &'static str,
    check: fn(&Run, &mut Undecided) -> Vec<String>,
}

pub const CHECKERS: [Checker; 8] = [
    Checker {
        name: "set",
        about: "what was acknowledged is there, once; what was refused or expunged is not; what was shown stays",
        check: |run, _| set::check(run),
    },
    Checker {
        name: "register",
        about: "flags of each message are linearizable",
        check: register::check,
    },
    Checker {
        name: "uid",
        about: "a UID means one message for ever; UIDs rise; UIDNEXT and HIGHESTMODSEQ never fall",
        check: |run, _| uid::check(run),
    },
    Checker {
        name: "list-append",
        about: "all reads of a mailbox are beginnings of one order",
        check: |run, _| order::check(run),
    },
    Checker {
        name: "queue",
        about: "a moved message is in one place",
        check: |run, _| queue::check(run),
    },
    Checker {
        name: "answers",
        about: "what exists is not denied; mail is stored where it was sent; commands are understood",
        check: |run, _| answers::check(run),
    },
    Checker {
        name: "gate",
        about: "nothing is acknowledged while two sites are cut apart, where one is not to suffice",
        check: |run, _| gate::check(run),
    },
    Checker {
        name: "converge",
        about: "after healing all nodes agree, health is ok, mail flows, each node was read",
        check: |run, _| converge::check(run),
    },
];

/// All checkers over a run: violations, and what could not be decided.
pub fn all(run: &Run) -> (Vec<Violation>, Undecided) {
    let mut violations = Vec::new();
    let mut undecided = Vec::new();
    for checker in &CHECKERS {
        let mut texts = (checker.check)(run, &mut undecided);
        let more = texts.len().saturating_sub(SHOWN_MAX);
        texts.truncate(SHOWN_MAX);
        if more > 0 {
            texts.push(format!("and {more} more"));
        }
        let checker = checker.name;
        violations.extend(texts.into_iter().map(|text| Violation { checker, text }));
    }
    (violations, undecided)
}

/// Of an operation, for people.
fn named(operation: &Operation) -> String {
    format!(
        "node {}, process {}, {:.3} to {:.3} s",
        operation.node,
        operation.process,
        operation.begin_ns as f64 / 1e9,
        operation.end_ns as f64 / 1e9
    )
}
