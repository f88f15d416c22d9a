//! Questions by chance: substrings of what messages hold, at every length, absent strings, each key, trees of them.

use super::oracle::{Asked, Seen};
use engine_types::EmailId;
use index_query::Key;

/// splitmix64: a seed says all.
pub struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// What the index is asked for the same.
pub fn key(asked: &Asked) -> Key {
    match asked {
        Asked::And(all) => Key::And(all.iter().map(key).collect()),
        Asked::Or(all) => Key::Or(all.iter().map(key).collect()),
        Asked::Not(one) => Key::Not(Box::new(key(one))),
        Asked::Among(numbers) => Key::Ids(numbers.iter().map(|number| EmailId(*number)).collect()),
        Asked::Text(needle) => Key::text(needle).unwrap(),
        Asked::Body(needle) => Key::body(needle).unwrap(),
        Asked::Header(name, needle) => Key::header(name, needle).unwrap(),
    }
}

/// A tree of up to a few keys; most are a single one.
pub fn generate(chance: &mut Chance, seen: &[Seen]) -> Asked {
    tree(chance, seen, 3)
}

fn tree(chance: &mut Chance, seen: &[Seen], depth: usize) -> Asked {
    if depth == 0 || chance.below(10) < 6 {
        return leaf(chance, seen);
    }
    let several = |chance: &mut Chance| {
        (0..2 + chance.below(2))
            .map(|_| tree(chance, seen, depth - 1))
            .collect()
    };
    match chance.below(4) {
        0 => Asked::Not(Box::new(tree(chance, seen, depth - 1))),
        1 => Asked::Or(several(chance)),
        _ => Asked::And(several(chance)),
    }
}

const NAMES: [&str; 10] = [
    "From",
    "to",
    "CC",
    "Bcc",
    "Subject",
    "Message-ID",
    "received",
    "X-Mailer",
    "Content-Type",
    "X-None",
];

pub fn leaf(chance: &mut Chance, seen: &[Seen]) -> Asked {
    let needle = needle(chance, seen);
    match chance.below(20) {
        0..=6 => Asked::Text(needle),
        7..=13 => Asked::Body(needle),
        14..=17 => Asked::Header(
            NAMES[chance.below(NAMES.len())].into(),
            field_needle(chance, seen, needle),
        ),
        18 => Asked::Header(NAMES[chance.below(NAMES.len())].into(), String::new()),
        _ => {
            let share = 1 + chance.below(20);
            Asked::Among(
                (0..seen.len() as u64)
                    .filter(|_| chance.below(share) == 0)
                    .collect(),
            )
        }
    }
}

/// Half of the needles of fields are from fields.
fn field_needle(chance: &mut Chance, seen: &[Seen], other: String) -> String {
    if chance.below(2) == 0 {
        return other;
    }
    let lines: Vec<&String> = seen[chance.below(seen.len())].lines().take(12).collect();
    match lines.get(chance.below(lines.len())) {
        Some(line) => part_of(chance, line, 12),
        None => other,
    }
}

fn needle(chance: &mut Chance, seen: &[Seen]) -> String {
    let lines: Vec<&String> = seen[chance.below(seen.len())].lines().collect();
    let longest = match chance.below(4) {
        0 => 3,
        1 => 8,
        2 => 24,
        _ => 120,
    };
    let Some(line) = lines.get(chance.below(lines.len())) else {
        return "x".into();
    };
    let mut found = part_of(chance, line, longest);
    match chance.below(12) {
        // Probably absent: a character more, or another one.
        0 => found.push(['Q', ' ', '-', '7', 'é'][chance.below(5)]),
        1 => found = found.chars().rev().collect(),
        // In another case, with other white space.
        2 => found = found.to_lowercase(),
        3 => found = found.replace(' ', "\r\n\t"),
        _ => {}
    }
    found
}

fn part_of(chance: &mut Chance, line: &str, longest: usize) -> String {
    let length = 1 + chance.below(longest);
    let mut start = chance.below(line.len());
    while !line.is_char_boundary(start) {
        start -= 1;
    }
    line[start..].chars().take(length).collect()
}
