//! Chance in the shapes that a simulation asks for.

use raft_log::faulty_disk::Chance;
use std::time::Duration;

/// A stream of its own for each concern, so that one more draw of one does not change all others.
pub fn stream(seed: u64, concern: u64) -> Chance {
    let mut chance = Chance(seed);
    Chance(chance.draw() ^ concern.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Milliseconds in `[from, to)`.
pub fn millis(chance: &mut Chance, from: u64, to: u64) -> Duration {
    Duration::from_millis(from + chance.below(to - from))
}

pub fn pick<'a, T>(chance: &mut Chance, from: &'a [T]) -> &'a T {
    &from[chance.below(from.len() as u64) as usize]
}

/// True in `per_cent` of 100 cases.
pub fn is_lucky(chance: &mut Chance, per_cent: u64) -> bool {
    chance.below(100) < per_cent
}
