//! The gate of two sites: while they are cut apart, nothing is acknowledged; under *degrade* not before the lease of the
//! site that is cut off can be over.

use super::{Gate, Run, named};
use crate::history::{Action, Fault, Operation, Seen};
use crate::limits::{CUT_MADE_NS, LEASE_LEFT_NS};

pub fn check(run: &Run) -> Vec<String> {
    let cuts = run.faults.iter().filter(|fault| fault.name == "cut-sites");
    let shut: Vec<(u64, u64)> = cuts.filter_map(|cut| shut(cut, run.gate)).collect();
    let within = |operation: &&Operation| {
        let (begin, end) = (operation.begin_ns, operation.end_ns);
        shut.iter().any(|(from, to)| begin > *from && end < *to)
    };
    let changes = run
        .operations
        .iter()
        .filter(|operation| has_changed(operation));
    let text = |operation: &Operation| {
        format!(
            "{:?} was acknowledged by one site ({})",
            operation.action,
            named(operation)
        )
    };
    changes.filter(within).map(text).collect()
}

/// From when to when nothing is acknowledged.
fn shut(cut: &Fault, gate: Gate) -> Option<(u64, u64)> {
    let made = cut.begin_ns + CUT_MADE_NS;
    match gate {
        Gate::Strict => Some((made, cut.end_ns)),
        Gate::Degrade if cut.was_in_sync => {
            Some((made, cut.end_ns.min(cut.begin_ns + LEASE_LEFT_NS)))
        }
        _ => None,
    }
}

fn has_changed(operation: &Operation) -> bool {
    let is_change = matches!(
        operation.action,
        Action::Deliver { .. } | Action::Write { .. } | Action::Expunge { .. }
    );
    let is_placed = matches!(operation.outcome.seen(), Some(Seen::At(_)));
    is_placed || (is_change && operation.outcome.is_ok())
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::history::Outcome;

    #[test]
    fn nothing_is_acknowledged_by_one_site() {
        let cut = Fault {
            name: "cut-sites",
            text: String::new(),
            was_in_sync: true,
            begin_ns: 1_000_000_000,
            end_ns: 9_000_000_000,
        };
        let check = |begin_ms: u64, end_ms: u64, outcome: Outcome, gate, words: &[&str]| {
            let mut run = run(vec![deliver(
                begin_ms * 1_000_000,
                end_ms * 1_000_000,
                10,
                outcome,
            )]);
            run.faults = vec![cut.clone()];
            run.gate = gate;
            expect(&super::check(&run), words);
        };
        let words = ["was acknowledged by one site"];
        check(4000, 5000, ok(), Gate::Strict, &words);
        check(4000, 5000, ok(), Gate::Degrade, &[]);
        check(2100, 3700, ok(), Gate::Degrade, &words);
        check(2100, 3700, ok(), Gate::None, &[]);
        check(4000, 5000, info(), Gate::Strict, &[]);
        check(0, 5000, ok(), Gate::Strict, &[]);
        check(4000, 9500, ok(), Gate::Strict, &[]);
    }
}
