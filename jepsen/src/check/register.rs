//! Registers: the flags of each message are linearizable. porcupine-rs looks for an order; `evidence` names two
//! operations that contradict each other, where there are such.

use super::{Run, Undecided, named};
use crate::history::{Action, Operation, Outcome, Place, Seen};
use crate::limits::LINEARIZE_MAX;
use porcupine_rs::{CheckResult, Model, Operation as Timed, check_operations_timeout};
use std::collections::{BTreeMap, HashMap};

#[derive(Clone, Copy, Debug)]
enum Step {
    Write(u32),
    Read(u32),
}

#[derive(Clone, Debug)]
struct Register;

impl Model for Register {
    type State = u32;
    type Op = Step;
    type Metadata = ();

    fn init() -> u32 {
        0
    }

    fn step(state: &u32, step: &Step) -> (bool, u32) {
        match step {
            Step::Write(value) => (true, *value),
            Step::Read(value) => (value == state, *state),
        }
    }
}

/// What happened to one register.
#[derive(Default)]
struct Track<'a> {
    /// Of each value the write that may have happened; values are unique.
    writes: BTreeMap<u32, &'a Operation>,
    reads: Vec<(u32, &'a Operation)>,
}

pub fn check(run: &Run, undecided: &mut Undecided) -> Vec<String> {
    let mut tracks: BTreeMap<(&Place, u32), Track<'_>> = BTreeMap::new();
    for operation in &run.operations {
        match (&operation.action, &operation.outcome) {
            (Action::Write { .. }, Outcome::Fail(_)) => {}
            (
                Action::Write {
                    of,
                    register,
                    value,
                },
                _,
            ) => {
                tracks
                    .entry((of, *register))
                    .or_default()
                    .writes
                    .insert(*value, operation);
            }
            (Action::ReadRegisters { of }, Outcome::Ok(Seen::Registers(values))) => {
                for (register, value) in values {
                    tracks
                        .entry((of, *register))
                        .or_default()
                        .reads
                        .push((*value, operation));
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    for ((place, register), track) in tracks {
        let name = format!("flags of UID {register} in {place}");
        if let Some(text) = track.unknown_value().or_else(|| track.evidence()) {
            found.push(format!("{name}: {text}"));
            continue;
        }
        match check_operations_timeout::<Register>(&track.timed(), LINEARIZE_MAX) {
            CheckResult::Ok => {}
            CheckResult::Illegal => {
                found.push(format!("{name}: there is no order of its writes and reads"))
            }
            CheckResult::Unknown => undecided.push(format!(
                "{name}: no order found in {} s",
                LINEARIZE_MAX.as_secs()
            )),
        }
    }
    found
}

impl<'a> Track<'a> {
    /// A value that was never written, or whose write was refused: not even an old copy may have it.
    fn unknown_value(&self) -> Option<String> {
        let (value, read) = self
            .reads
            .iter()
            .find(|(value, _)| *value != 0 && !self.writes.contains_key(value))?;
        Some(format!(
            "{value} was read ({}), whose write was refused or never sent",
            named(read)
        ))
    }

    /// The reads that say that they are current.
    fn current(&self) -> impl Iterator<Item = (u32, &'a Operation)> + '_ {
        self.reads
            .iter()
            .filter(|(_, read)| !read.stale)
            .map(|(value, read)| (*value, *read))
    }

    /// For the search. A write of unknown outcome that nobody read may as well never have happened; one that was read had
    /// happened by the end of that read.
    fn timed(&self) -> Vec<Timed<Register>> {
        let seen = self.first_seen();
        let mut timed = Vec::new();
        for (value, write) in &self.writes {
            let is_sure = write.outcome.is_ok();
            let end = match seen.get(value) {
                Some(end) if is_sure => write.end_ns.min(*end),
                Some(end) => *end,
                None if is_sure => write.end_ns,
                None => continue,
            };
            timed.push(at(write, end, Step::Write(*value)));
        }
        timed.extend(
            self.current()
                .map(|(value, read)| at(read, read.end_ns, Step::Read(value))),
        );
        timed
    }

    /// Of each value the earliest end of a read that had it.
    fn first_seen(&self) -> HashMap<u32, u64> {
        let mut seen = HashMap::new();
        for (value, read) in self.current() {
            let end = seen.entry(value).or_insert(u64::MAX);
            *end = read.end_ns.min(*end);
        }
        seen
    }

    /// A read that had ended before the write of its value began; or a read of a value that had been replaced by then.
    fn evidence(&self) -> Option<String> {
        let seen = self.first_seen();
        // When a value was the register's for certain: its write or a read of it has ended.
        let settled = |value: u32, write: &Operation| {
            let acknowledged = write.outcome.is_ok().then_some(write.end_ns);
            let read = seen.get(&value).copied();
            acknowledged.into_iter().chain(read).min()
        };
        let mut last_begun: Vec<(u64, u32, u64)> = self
            .writes
            .iter()
            .filter_map(|(value, write)| Some((settled(*value, write)?, *value, write.begin_ns)))
            .collect();
        last_begun.sort_unstable();
        for (value, read) in self.current() {
            let written = self.writes.get(&value);
            if let Some(write) = written.filter(|write| write.begin_ns > read.end_ns) {
                return Some(format!(
                    "{value} was read ({}) before it was written ({})",
                    named(read),
                    named(write)
                ));
            }
            let settled_ns = match written {
                Some(write) => settled(value, write).unwrap_or(u64::MAX),
                None => 0,
            };
            let before = last_begun
                .iter()
                .take_while(|(end, ..)| *end < read.begin_ns);
            let newer = before
                .filter(|(_, other, begin)| *other != value && *begin > settled_ns)
                .last();
            if let Some((_, newer, _)) = newer {
                return Some(format!(
                    "{value} was read ({}) after {newer} had replaced it",
                    named(read)
                ));
            }
        }
        None
    }
}

fn at(operation: &Operation, end_ns: u64, op: Step) -> Timed<Register> {
    Timed {
        client_id: None,
        call_time: operation.begin_ns as i64,
        return_time: end_ns as i64,
        op,
        metadata: None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::chance::Chance;

    fn write(begin: u64, end: u64, value: u32, outcome: Outcome) -> Operation {
        let of = place("registers");
        operation(
            begin,
            end,
            Action::Write {
                of,
                register: 1,
                value,
            },
            outcome,
        )
    }

    fn look(begin: u64, end: u64, value: u32) -> Operation {
        let of = place("registers");
        let seen = Seen::Registers(vec![(1, value)]);
        operation(begin, end, Action::ReadRegisters { of }, Outcome::Ok(seen))
    }

    fn found(history: Vec<Operation>) -> Vec<String> {
        super::check(&run(history), &mut Vec::new())
    }

    #[test]
    fn reads_have_the_last_value() {
        expect(
            &found(vec![look(1, 2, 0), write(3, 4, 1, ok()), look(5, 6, 1)]),
            &[],
        );
        expect(
            &found(vec![write(1, 2, 1, ok()), look(3, 4, 0)]),
            &["0 was read"],
        );
        expect(
            &found(vec![
                write(1, 2, 1, ok()),
                write(3, 4, 2, ok()),
                look(5, 6, 1),
            ]),
            &["after 2 had replaced it"],
        );
        expect(
            &found(vec![look(1, 2, 1), write(3, 4, 1, ok())]),
            &["before it was written"],
        );
        expect(
            &found(vec![write(1, 2, 1, fail()), look(3, 4, 1)]),
            &["refused or never sent"],
        );
    }

    #[test]
    fn an_unknown_write_may_come_late_or_never() {
        expect(
            &found(vec![write(1, 2, 1, info()), look(3, 4, 0), look(5, 6, 1)]),
            &[],
        );
        expect(
            &found(vec![write(1, 2, 1, info()), look(3, 4, 1), look(5, 6, 0)]),
            &["0 was read"],
        );
    }

    #[test]
    fn concurrent_writes_are_in_either_order_but_in_one() {
        let two = [write(1, 10, 1, ok()), write(1, 10, 2, ok())];
        let after = |reads: [u32; 2]| {
            let reads = [look(11, 12, reads[0]), look(13, 14, reads[1])];
            found(two.iter().cloned().chain(reads).collect())
        };
        expect(&after([1, 1]), &[]);
        expect(&after([2, 2]), &[]);
        expect(&after([1, 2]), &["no order"]);
    }

    #[test]
    fn an_old_copy_may_say_so() {
        let mut old = look(5, 6, 0);
        old.stale = true;
        expect(&found(vec![write(1, 2, 1, ok()), old]), &[]);
    }

    /// `evidence` never names what an order exists for.
    #[test]
    fn evidence_agrees_with_the_search() {
        for seed in 0..2000 {
            let mut chance = Chance::new(seed);
            let mut history = Vec::new();
            for value in 1..=3 {
                let begin = chance.below(30);
                let outcome = if chance.is_lucky(30) { info() } else { ok() };
                history.push(write(begin, begin + 1 + chance.below(8), value, outcome));
            }
            for _ in 0..3 {
                let begin = chance.below(40);
                history.push(look(
                    begin,
                    begin + 1 + chance.below(4),
                    chance.below(4) as u32,
                ));
            }
            let history = run(history);
            let mut track = Track::default();
            for operation in &history.operations {
                match (&operation.action, &operation.outcome) {
                    (Action::Write { value, .. }, _) => {
                        track.writes.insert(*value, operation);
                    }
                    (_, Outcome::Ok(Seen::Registers(values))) => {
                        track.reads.push((values[0].1, operation))
                    }
                    _ => {}
                }
            }
            let order = check_operations_timeout::<Register>(&track.timed(), LINEARIZE_MAX);
            if let Some(text) = track.evidence() {
                assert_eq!(order, CheckResult::Illegal, "seed {seed}: {text}");
            }
        }
    }
}
