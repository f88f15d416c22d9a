//! Deletions of messages that lie in runs. Each has a number, and each run the number up to which it holds no message that
//! was deleted, so that a deletion is forgotten when no run needs it.

use crate::run::RunId;
use engine_types::{AccountId, EmailId};
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Death {
    pub number: u64,
    /// Runs up to this sequence may hold the message; one of the same id in a later run was added again.
    pub upto: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dead {
    deaths: BTreeMap<(AccountId, EmailId), Death>,
}

/// A run as deletions see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cleaned {
    /// The sequences that were merged into it: from, to.
    pub first: u64,
    pub last: u64,
    /// Deletions up to this number are done in it.
    pub number: u64,
}

impl Cleaned {
    /// A run as a flush made it.
    pub fn never(id: RunId) -> Self {
        Self {
            first: id.0,
            last: id.0,
            number: 0,
        }
    }
}

impl Dead {
    pub fn len(&self) -> usize {
        self.deaths.len()
    }

    pub fn insert(&mut self, account: AccountId, id: EmailId, death: Death) {
        self.deaths.insert((account, id), death);
    }

    pub fn iter(&self) -> impl Iterator<Item = (AccountId, EmailId, Death)> {
        self.deaths
            .iter()
            .map(|((account, id), death)| (*account, *id, *death))
    }

    /// The ids of an account that are dead in a run, in ascending order.
    pub fn of(&self, account: AccountId, run: Cleaned) -> impl Iterator<Item = EmailId> {
        let range = (account, EmailId(0))..=(account, EmailId(u64::MAX));
        self.deaths
            .range(range)
            .filter(move |(_, death)| death.number > run.number && death.upto >= run.last)
            .map(|((_, id), _)| *id)
    }

    /// Forgets what no run needs any more.
    pub fn prune(&mut self, runs: &[Cleaned]) {
        self.deaths.retain(|_, death| {
            runs.iter()
                .any(|run| run.first <= death.upto && run.number < death.number)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_ends_where_its_message_was_added_again() {
        let account = AccountId(1);
        let mut dead = Dead::default();
        dead.insert(account, EmailId(5), Death { number: 3, upto: 2 });
        let run = |first, last, number| Cleaned {
            first,
            last,
            number,
        };
        let check = |run, expect: &[u64]| {
            let found: Vec<u64> = dead.of(account, run).map(|id| id.0).collect();
            assert_eq!(found, expect, "{run:?}");
        };
        check(run(1, 2, 0), &[5]);
        check(run(1, 2, 3), &[]);
        check(run(3, 3, 0), &[]);
        assert_eq!(dead.of(AccountId(2), run(1, 1, 0)).count(), 0);
        dead.prune(&[run(1, 2, 2)]);
        assert_eq!(dead.len(), 1);
        dead.prune(&[run(1, 2, 3), run(3, 3, 0)]);
        assert_eq!(dead.len(), 0);
    }
}
