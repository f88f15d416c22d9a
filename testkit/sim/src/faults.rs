//! What goes wrong, and when: drawn from the seed before the run begins.

use crate::chance::{millis, pick};
use raft_log::faulty_disk::Chance;
use std::collections::HashSet;
use std::mem::discriminant;
use std::time::Duration;

/// Kinds of faults in each run.
const KINDS_MIN: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Kill(usize),
    /// At a disk operation soon after: in the middle of a batch.
    PowerCut(usize),
    PowerCutOfAll,
    /// Killed, and its views deleted before it starts again.
    LoseViews(usize),
    Isolate(usize),
    /// What the first sends to the second is lost.
    CutOneWay(usize, usize),
    CutSites,
    SlowNet(Duration),
    SlowDisk(usize),
    /// A write or flush fails soon: the node must stop.
    FailDisk(usize),
    FullDisk(usize),
    ClockOff(usize, i64),
    /// Leadership of a shard goes to a node.
    Transfer(u32, usize),
    SwitchPolicy,
    /// Its disk is lost for good, and a new node takes its place. Once in a run: what one disk held is elsewhere, and
    /// takes its time to be in two places again.
    Replace(usize),
    /// Ways and disks are well again.
    Heal,
}

pub struct Planned {
    pub at: Duration,
    pub fault: Fault,
}

/// Faults begin once the cluster is up, and end before `until`.
pub fn plan(chance: &mut Chance, nodes: usize, shards: u32, until: Duration) -> Vec<Planned> {
    let mut at = millis(chance, 2_000, 4_000);
    let mut planned = Vec::new();
    while at < until {
        let fault = another(chance, nodes, shards, &planned);
        planned.push(Planned { at, fault });
        let lasts = !matches!(
            fault,
            Fault::Kill(_)
                | Fault::PowerCutOfAll
                | Fault::LoseViews(_)
                | Fault::SwitchPolicy
                | Fault::Replace(_)
        );
        at += millis(chance, 300, 3_500);
        if lasts {
            // A disk that is slow when its power goes has much that is not flushed.
            if let Fault::SlowDisk(node) = fault {
                let fault = Fault::PowerCut(node);
                planned.push(Planned { at, fault });
                at += millis(chance, 300, 1_000);
            }
            planned.push(Planned {
                at,
                fault: Fault::Heal,
            });
            at += millis(chance, 200, 2_000);
        }
    }
    planned
}

/// Of a kind that was not drawn before, until there are enough kinds.
fn another(chance: &mut Chance, nodes: usize, shards: u32, planned: &[Planned]) -> Fault {
    let kinds: HashSet<_> = planned.iter().map(|p| discriminant(&p.fault)).collect();
    // `Heal` is one of them.
    let is_varied = kinds.len() > KINDS_MIN;
    loop {
        let fault = draw(chance, nodes, shards);
        let again = |planned: &Planned| matches!(planned.fault, Fault::Replace(_));
        if matches!(fault, Fault::Replace(_)) && planned.iter().any(again) {
            continue;
        }
        if is_varied || !kinds.contains(&discriminant(&fault)) {
            return fault;
        }
    }
}

fn draw(chance: &mut Chance, nodes: usize, shards: u32) -> Fault {
    let node = chance.below(nodes as u64) as usize;
    let other = (node + 1 + chance.below(nodes as u64 - 1) as usize) % nodes;
    match chance.below(100) {
        0..14 => Fault::Kill(node),
        14..30 => Fault::PowerCut(node),
        30..36 => Fault::PowerCutOfAll,
        36..42 => Fault::LoseViews(node),
        42..52 => Fault::Isolate(node),
        52..60 => Fault::CutOneWay(node, other),
        60..68 => Fault::CutSites,
        68..73 => Fault::SlowNet(millis(chance, 20, 300)),
        73..80 => Fault::SlowDisk(node),
        80..85 => Fault::FailDisk(node),
        85..89 => Fault::FullDisk(node),
        89..93 => Fault::ClockOff(node, *pick(chance, &[-45_000, -5_000, 5_000, 45_000])),
        93..95 => Fault::Transfer(chance.below(u64::from(shards)) as u32, node),
        95..97 => Fault::SwitchPolicy,
        _ => Fault::Replace(node),
    }
}
