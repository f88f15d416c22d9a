//! What the clients know: what every message may be by now, and the checkers that hold what is seen against it.
//!
//! Each message carries a marker. One client alone changes it, so each marker has one history; what it may be is a set of
//! possibilities, of which there is more than one only after an unknown outcome.
//!
//! Checkers, each with the promise that it owns:
//! `lost` (P1): what was acknowledged is there in the end, on every node. `taken-back` (P2): what was shown is not of
//! another message later. `untrue-refusal` (P8): what was refused is not there. `twice` (P8): nothing is there twice.
//! `stale` (linearizable reads): a read shows all that was acknowledged before it began. `backwards`: a session sees
//! MODSEQ rise only. `two-sites` (P1): what is acknowledged is on stable storage in two sites; `lease`: or no other site believes that it is;
//! `verdict`: or says so to whoever would recover it from there. `digest` (P6): equal
//! positions, equal rows, and the rows are sound. `stopped`: a node ends only where its disk was broken. `stuck`: after
//! healing, mail flows.

use engine_service::MessageRow;
use std::collections::{BTreeMap, BTreeSet};
use xxhash_rust::xxh3::Xxh3;

pub const ACCOUNTS: [&str; 3] = ["alice@example.org", "bob@example.org", "carol@example.org"];
pub const MAILBOXES: [&str; 3] = ["INBOX", "A", "B"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub checker: &'static str,
    pub text: String,
}

/// One copy of a message: in which mailbox, and the value of its flag register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Copy {
    pub mailbox: usize,
    pub value: u32,
}

#[derive(Clone, Debug)]
pub struct Marker {
    pub account: usize,
    pub owner: usize,
    /// Rises whenever its owner begins to change it.
    pub version: u64,
    /// Never empty; each sorted.
    pub possible: Vec<Vec<Copy>>,
    /// Where the owner knows the one copy to be.
    pub uid: Option<u32>,
}

/// A marker that its owner may change.
pub struct Owned {
    pub number: u64,
    pub account: usize,
    pub uid: u32,
    pub copy: Copy,
}

/// A marker whose state was certain when a read began.
pub struct Certain {
    marker: u64,
    version: u64,
}

#[derive(Default)]
pub struct World {
    pub violations: Vec<Violation>,
    pub markers: BTreeMap<u64, Marker>,
    pub trace: Trace,
    pub operations: u64,
    /// (account, mailbox id, UIDVALIDITY, UID): RFC 9051 §2.3.1.1.
    uids: BTreeMap<(usize, u64, u32, u32), u64>,
    /// (account, email id): which marker its bytes carry.
    bodies: BTreeMap<(usize, u64), u64>,
    /// (client, account, mailbox): the highest MODSEQ that the client was shown.
    mod_seqs: BTreeMap<(usize, usize, usize), u64>,
}

/// All that happens, in order: its hash tells whether two runs were the same.
#[derive(Default)]
pub struct Trace {
    hash: Xxh3,
    pub prints: bool,
}

impl Trace {
    pub fn note(&mut self, at_ms: u128, line: &str) {
        self.hash.update(&at_ms.to_le_bytes());
        self.hash.update(line.as_bytes());
        if self.prints {
            println!("{:>7.3} {line}", at_ms as f64 / 1000.0);
        }
    }

    pub fn hash(&self) -> u128 {
        self.hash.digest128()
    }
}

impl World {
    pub fn breach(&mut self, checker: &'static str, text: String) {
        // The first ones tell; a broken run would fill the memory.
        if self.violations.len() < 20 {
            self.violations.push(Violation { checker, text });
        }
    }

    pub fn new_marker(&mut self, owner: usize, account: usize) -> u64 {
        let marker = self.markers.len() as u64 + 1;
        let arrived = vec![Copy {
            mailbox: 0,
            value: 0,
        }];
        self.markers.insert(
            marker,
            Marker {
                account,
                owner,
                version: 0,
                possible: vec![Vec::new(), arrived],
                uid: None,
            },
        );
        marker
    }

    /// From now on the marker may be as it was, or `after`.
    pub fn begin(&mut self, marker: u64, after: Vec<Copy>) {
        if let Some(marker) = self.markers.get_mut(&marker) {
            marker.version += 1;
            marker.uid = None;
            marker.possible.push(after);
        }
    }

    pub fn settle(&mut self, marker: u64, as_now: Vec<Copy>, uid: Option<u32>) {
        if let Some(marker) = self.markers.get_mut(&marker) {
            marker.version += 1;
            marker.possible = vec![as_now];
            marker.uid = uid;
        }
    }

    /// One of this client's markers that have one copy at a known place.
    pub fn owned(&self, owner: usize, choice: u64) -> Option<Owned> {
        let of_owner = |(number, marker): (&u64, &Marker)| {
            let (Some(uid), [copy]) = (marker.uid, &marker.possible[0][..]) else {
                return None;
            };
            (marker.owner == owner).then_some(Owned {
                number: *number,
                account: marker.account,
                uid,
                copy: *copy,
            })
        };
        let all: Vec<Owned> = self.markers.iter().filter_map(of_owner).collect();
        let count = all.len().max(1) as u64;
        all.into_iter().nth((choice % count) as usize)
    }

    pub fn uid_is(&mut self, account: usize, place: (u64, u32), uid: u32, marker: u64) {
        let key = (account, place.0, place.1, uid);
        let known = *self.uids.entry(key).or_insert(marker);
        if known != marker {
            let (account, id) = (ACCOUNTS[account], place.0);
            self.breach(
                "taken-back",
                format!("{account}: UID {uid} of mailbox {id} was message {known}, and is message {marker}"),
            );
        }
    }

    pub fn marker_of(&self, account: usize, email: u64) -> Option<u64> {
        self.bodies.get(&(account, email)).copied()
    }

    pub fn learn_body(&mut self, account: usize, email: u64, marker: u64) {
        self.bodies.insert((account, email), marker);
        match self.markers.get(&marker) {
            Some(known) if known.account == account => {}
            _ => self.breach(
                "lost",
                format!(
                    "{}: a message carries marker {marker}, which never went there",
                    ACCOUNTS[account]
                ),
            ),
        }
    }

    pub fn before_read(&self, account: usize) -> Vec<Certain> {
        let certain = |(number, marker): (&u64, &Marker)| {
            (marker.account == account && marker.possible.len() == 1).then_some(Certain {
                marker: *number,
                version: marker.version,
            })
        };
        self.markers.iter().filter_map(certain).collect()
    }

    /// What a linearizable read of one mailbox showed.
    pub fn after_read(
        &mut self,
        account: usize,
        mailbox: usize,
        before: &[Certain],
        seen: &[(u64, u32)],
        what: &str,
    ) {
        let mut copies: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for (marker, value) in seen {
            copies.entry(*marker).or_default().push(*value);
        }
        let mut found = Vec::new();
        for certain in before {
            let Some(marker) = self.markers.get(&certain.marker) else {
                continue;
            };
            if marker.version != certain.version {
                continue;
            }
            let expected: Vec<u32> = marker.possible[0]
                .iter()
                .filter(|copy| copy.mailbox == mailbox)
                .map(|copy| copy.value)
                .collect();
            let mut shown = copies.remove(&certain.marker).unwrap_or_default();
            shown.sort_unstable();
            if shown != expected {
                found.push(format!(
                    "{what}: message {} in {} of {}: acknowledged {expected:?}, shown {shown:?}",
                    certain.marker, MAILBOXES[mailbox], ACCOUNTS[account]
                ));
            }
        }
        for text in found {
            self.breach("stale", text);
        }
    }

    pub fn mod_seq_shown(&mut self, client: usize, account: usize, mailbox: usize, mod_seq: u64) {
        let highest = self.mod_seqs.entry((client, account, mailbox)).or_default();
        let before = *highest;
        *highest = before.max(mod_seq);
        if mod_seq < before {
            self.breach(
                "backwards",
                format!(
                    "client {client}: MODSEQ went from {before} to {mod_seq} in {}",
                    MAILBOXES[mailbox]
                ),
            );
        }
    }

    /// `found`: all copies that a node shows, by marker.
    pub fn check_end(&mut self, node: usize, found: &BTreeMap<u64, Vec<Copy>>) {
        let mut breaches = Vec::new();
        let nothing = Vec::new();
        for (number, marker) in &self.markers {
            let shown = found.get(number).unwrap_or(&nothing);
            if marker.possible.contains(shown) {
                continue;
            }
            let most = marker.possible.iter().map(Vec::len).max().unwrap_or(0);
            let checker = match (most, shown.len()) {
                (0, _) => "untrue-refusal",
                (most, shown) if shown > most => "twice",
                _ => "lost",
            };
            let may_be = &marker.possible;
            breaches.push((
                checker,
                format!("node {node}: message {number} may be {may_be:?}, and is {shown:?}"),
            ));
        }
        let known: BTreeSet<u64> = self.markers.keys().copied().collect();
        for marker in found.keys().filter(|marker| !known.contains(marker)) {
            breaches.push(("lost", format!("node {node}: nobody sent message {marker}")));
        }
        for (checker, text) in breaches {
            self.breach(checker, text);
        }
    }
}

/// The flag register: a keyword `v<number>`, or none for 0.
pub fn value_of(row: &MessageRow) -> u32 {
    let keyword = row.flags.keywords().next();
    keyword
        .and_then(|keyword| keyword.as_str().get(1..)?.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Copy, World};
    use std::collections::BTreeMap;

    fn world() -> World {
        let mut world = World::default();
        for _ in 0..3 {
            world.new_marker(0, 0);
        }
        world.settle(1, vec![here(0)], Some(1));
        world.settle(2, Vec::new(), None);
        world
    }

    fn here(value: u32) -> Copy {
        Copy { mailbox: 0, value }
    }

    fn only(world: &World) -> Vec<&'static str> {
        world.violations.iter().map(|v| v.checker).collect()
    }

    /// Each checker is shown a bad history made by hand, and a good one.
    #[test]
    fn the_end_is_held_against_what_was_acknowledged() {
        type Row = (
            &'static str,
            &'static [(u64, &'static [u32])],
            &'static [&'static str],
        );
        let rows: [Row; 6] = [
            ("as acknowledged", &[(1, &[0])], &[]),
            ("the unknown one came to be", &[(1, &[0]), (3, &[0])], &[]),
            ("lost", &[], &["lost"]),
            ("another flag", &[(1, &[7])], &["lost"]),
            (
                "refused, and there",
                &[(1, &[0]), (2, &[0])],
                &["untrue-refusal"],
            ),
            ("twice", &[(1, &[0, 0])], &["twice"]),
        ];
        for (name, found, expect) in rows {
            let mut world = world();
            let found: BTreeMap<u64, Vec<Copy>> = found
                .iter()
                .map(|(marker, values)| (*marker, values.iter().map(|v| here(*v)).collect()))
                .collect();
            world.check_end(1, &found);
            assert_eq!(only(&world), expect, "{name}");
        }
    }

    #[test]
    fn a_read_shows_what_was_acknowledged_before_it_began() {
        type Row = (
            &'static str,
            &'static [(u64, u32)],
            bool,
            &'static [&'static str],
        );
        let rows: [Row; 5] = [
            ("all", &[(1, 0)], false, &[]),
            ("missing", &[], false, &["stale"]),
            ("an old flag", &[(1, 3)], false, &["stale"]),
            ("expunged, and shown", &[(1, 0), (2, 0)], false, &["stale"]),
            ("changed meanwhile", &[], true, &[]),
        ];
        for (name, seen, changed, expect) in rows {
            let mut world = world();
            let before = world.before_read(0);
            if changed {
                world.begin(1, Vec::new());
            }
            world.after_read(0, 0, &before, seen, "a read");
            assert_eq!(only(&world), expect, "{name}");
        }
    }

    #[test]
    fn uids_and_mod_seqs_do_not_change_their_meaning() {
        let mut world = world();
        world.uid_is(0, (1, 5), 9, 1);
        world.uid_is(0, (1, 5), 9, 1);
        world.uid_is(0, (1, 6), 9, 3);
        assert_eq!(only(&world), [""; 0]);
        world.uid_is(0, (1, 5), 9, 3);
        world.mod_seq_shown(0, 0, 0, 7);
        world.mod_seq_shown(1, 0, 0, 6);
        world.mod_seq_shown(0, 0, 0, 6);
        assert_eq!(only(&world), ["taken-back", "backwards"]);
    }
}
