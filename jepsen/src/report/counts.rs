//! Counts of a run.

use crate::history::{Action, Operation, Outcome};
use crate::trial::Done;
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Count {
    pub ok: u64,
    pub fail: u64,
    pub info: u64,
    pub stale: u64,
}

pub fn name(action: &Action) -> &'static str {
    match action {
        Action::Deliver { .. } => "deliver",
        Action::Append { .. } => "append",
        Action::Copy { .. } => "copy",
        Action::Move { .. } => "move",
        Action::Expunge { .. } => "expunge",
        Action::Write { .. } => "write",
        Action::ReadRegisters { .. } => "read-registers",
        Action::Read { last: false, .. } => "read",
        Action::Read { last: true, .. } => "final-read",
    }
}

pub fn by_kind(operations: &[Operation]) -> BTreeMap<&'static str, Count> {
    let mut counts: BTreeMap<&'static str, Count> = BTreeMap::new();
    for operation in operations {
        let count = counts.entry(name(&operation.action)).or_default();
        match operation.outcome {
            Outcome::Ok(_) => count.ok += 1,
            Outcome::Fail(_) => count.fail += 1,
            Outcome::Info(_) => count.info += 1,
        }
        count.stale += u64::from(operation.stale);
    }
    counts
}

pub fn outcomes(operations: &[Operation]) -> String {
    let kinds = by_kind(operations);
    let sum = |of: fn(&Count) -> u64| kinds.values().map(of).sum::<u64>();
    format!(
        "{} operations: {} ok, {} refused, {} unknown, {} marked as old; longest pause of a client {:.1} s",
        operations.len(),
        sum(|count| count.ok),
        sum(|count| count.fail),
        sum(|count| count.info),
        sum(|count| count.stale),
        pauses(operations).values().copied().max().unwrap_or(0) as f64 / 1e9
    )
}

/// Of each client the longest time between two of its successes, in nanoseconds.
pub fn pauses(operations: &[Operation]) -> BTreeMap<u64, u64> {
    let mut ends: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for operation in operations
        .iter()
        .filter(|operation| operation.outcome.is_ok())
    {
        ends.entry(operation.client)
            .or_default()
            .push(operation.end_ns);
    }
    let longest = |ends: &Vec<u64>| {
        ends.windows(2)
            .map(|pair| pair[1].saturating_sub(pair[0]))
            .max()
    };
    ends.iter()
        .filter_map(|(client, ends)| Some((*client, longest(ends)?)))
        .collect()
}

pub fn settled(done: &Done) -> String {
    let faults = done.run.faults.len();
    match &done.run.ending.settled {
        Some(Ok(time)) => format!(
            "{faults} faults; all nodes agreed {:.1} s after healing",
            time.as_secs_f64()
        ),
        Some(Err(text)) => format!("{faults} faults; the nodes never agreed: {text}"),
        None => format!("{faults} faults"),
    }
}
