//! After healing: all nodes agree, health is ok, no process died by itself, mail flows through each node, and each node's
//! mailboxes were read in full.

use super::Run;
use crate::history::{Action, Place};
use std::collections::{BTreeMap, BTreeSet};

pub fn check(run: &Run) -> Vec<String> {
    let mut found = run.ending.died.clone();
    if let Some(Err(text)) = &run.ending.settled {
        found.push(format!("the nodes do not agree: {text}"));
    }
    found.extend(not_read(run));
    found
}

/// Nodes without a current final read of a mailbox that another node has one of.
fn not_read(run: &Run) -> Vec<String> {
    let mut read: BTreeMap<&Place, BTreeSet<u64>> = BTreeMap::new();
    for operation in &run.operations {
        if let Action::Read { of, last: true } = &operation.action {
            let nodes = read.entry(of).or_default();
            if operation.outcome.is_ok() && !operation.stale {
                nodes.insert(operation.node);
            }
        }
    }
    let mut found = Vec::new();
    for (place, nodes) in read {
        let missing: Vec<_> = run
            .nodes
            .iter()
            .filter(|node| !nodes.contains(node))
            .collect();
        if !missing.is_empty() {
            found.push(format!(
                "{place} could not be read from {missing:?} at the end"
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_node_is_read_and_agrees() {
        let mut last = read(1, 2, "in-0", &[]);
        last.action = Action::Read {
            of: place("in-0"),
            last: true,
        };
        let mut run = run(vec![last]);
        run.ending.settled = Some(Ok(Duration::from_secs(1)));
        expect(&check(&run), &[]);
        run.nodes.push(2);
        expect(&check(&run), &["a/in-0 could not be read from [2]"]);
        run.ending.settled = Some(Err("digests differ".to_owned()));
        expect(&check(&run), &["digests differ", "could not be read"]);
    }
}
