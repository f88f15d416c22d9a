//! When what is done, drawn from the seed before the run begins.

use super::Nemesis;
use crate::chance::Chance;
use std::time::Duration;

/// One or two nemeses at once, then healing.
pub struct Planned {
    pub wait: Duration,
    pub nemeses: Vec<&'static Nemesis>,
    pub hold: Duration,
}

/// First and last millisecond of the time before a phase, and of its length.
type Times = ((u64, u64), (u64, u64));
const LONG_MS: Times = ((2_000, 6_000), (1_000, 12_000));
const SHORT_MS: Times = ((1_000, 4_000), (200, 3_000));

/// Phases until `time` is over; each of `nemeses` comes before one comes again.
pub fn plan(chance: &mut Chance, nemeses: &[&'static Nemesis], time: Duration) -> Vec<Planned> {
    let mut planned = Vec::new();
    let mut bag: Vec<&'static Nemesis> = Vec::new();
    let mut at = Duration::ZERO;
    while !nemeses.is_empty() {
        let drawn = together(chance, &mut bag, nemeses);
        let is_short = drawn.iter().all(|nemesis| nemesis.is_short);
        let (waits, holds) = if is_short { SHORT_MS } else { LONG_MS };
        let wait = Duration::from_millis(chance.between(waits.0, waits.1));
        let hold = Duration::from_millis(chance.between(holds.0, holds.1));
        at += wait + hold;
        if at >= time {
            break;
        }
        planned.push(Planned {
            wait,
            nemeses: drawn,
            hold,
        });
    }
    planned
}

/// One, or two that get on with each other.
fn together(
    chance: &mut Chance,
    bag: &mut Vec<&'static Nemesis>,
    all: &[&'static Nemesis],
) -> Vec<&'static Nemesis> {
    let mut drawn: Vec<_> = draw(chance, bag, all).into_iter().collect();
    let is_alone = drawn.iter().any(|nemesis| nemesis.is_alone);
    if !is_alone && chance.is_lucky(40) {
        let others: Vec<_> = all.iter().filter(|nemesis| !nemesis.is_alone).collect();
        drawn.extend(chance.pick(&others).map(|nemesis| **nemesis));
        drawn.dedup_by_key(|nemesis| nemesis.name);
    }
    drawn
}

fn draw(
    chance: &mut Chance,
    bag: &mut Vec<&'static Nemesis>,
    all: &[&'static Nemesis],
) -> Option<&'static Nemesis> {
    if bag.is_empty() {
        bag.extend(all);
        chance.shuffle(bag);
    }
    bag.pop()
}

#[cfg(test)]
mod tests {
    use super::super::table;
    use super::*;

    #[test]
    fn a_seed_has_one_schedule_and_all_nemeses_come() {
        let all: Vec<_> = table().iter().collect();
        let names = |seed| {
            let planned = plan(&mut Chance::new(seed), &all, Duration::from_secs(300));
            planned
                .iter()
                .flat_map(|phase| phase.nemeses.iter().map(|nemesis| nemesis.name))
                .collect::<Vec<_>>()
        };
        assert_eq!(names(1), names(1));
        assert_ne!(names(1), names(2));
        for nemesis in &all {
            assert!(names(1).contains(&nemesis.name), "{}", nemesis.name);
        }
    }
}
