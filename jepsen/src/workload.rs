//! What the clients work on: accounts, mailboxes by purpose, registers, jobs.

use crate::chance::Chance;
use crate::history::{Marker, Place};
use crate::limits::{BOX_MESSAGES, REGISTER_BITS, REGISTERS};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Beside the boxes. `todo` and `done` are a queue; messages come to `bin` to be expunged; `copies` are of other boxes'.
pub const MAILBOXES: [&str; 5] = ["registers", "todo", "done", "bin", "copies"];

#[derive(Clone, Copy, Debug)]
pub struct Job {
    pub marker: Marker,
    pub uid: u32,
}

pub struct Workload {
    pub accounts: Vec<String>,
    pub clients: u64,
    /// Of each account: mailboxes that only grow, one after the other.
    pub boxes: u64,
    markers: AtomicU64,
    sessions: AtomicU64,
    values: Mutex<HashMap<(Place, u32), u32>>,
    jobs: Mutex<HashMap<String, Vec<Job>>>,
    /// Draws of an account's box so far.
    filled: Mutex<HashMap<String, u64>>,
}

impl Workload {
    pub fn new(accounts: Vec<String>, clients: u64, boxes: u64) -> Workload {
        Workload {
            accounts,
            clients,
            boxes: boxes.max(1),
            markers: AtomicU64::new(1),
            sessions: AtomicU64::new(1),
            values: Mutex::default(),
            jobs: Mutex::default(),
            filled: Mutex::default(),
        }
    }

    /// Of one account, in the order of their making.
    pub fn mailboxes(&self) -> Vec<String> {
        let boxes = (0..self.boxes).map(|number| format!("in-{number}"));
        boxes.chain(MAILBOXES.map(str::to_owned)).collect()
    }

    /// All that is read at the end, with the mailbox that nothing should come to.
    pub fn places(&self) -> Vec<Place> {
        let mut names = self.mailboxes();
        names.push("INBOX".to_owned());
        let of = |account: &String| {
            names
                .iter()
                .map(|name| Place::new(account, name))
                .collect::<Vec<_>>()
        };
        self.accounts.iter().flat_map(of).collect()
    }

    pub fn next_marker(&self) -> Marker {
        self.markers.fetch_add(1, Ordering::SeqCst)
    }

    pub fn next_session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::SeqCst)
    }

    /// The box that is being filled.
    pub fn current_box(&self, account: &str) -> Place {
        let mut filled = self.filled.lock().unwrap_or_else(PoisonError::into_inner);
        let count = filled.entry(account.to_owned()).or_default();
        *count += 1;
        let number = (*count / BOX_MESSAGES) % self.boxes;
        Place::new(account, &format!("in-{number}"))
    }

    /// Mostly the one that is being filled.
    pub fn some_box(&self, account: &str, chance: &mut Chance) -> Place {
        if chance.is_lucky(25) {
            let names = self.mailboxes();
            let others: Vec<_> = names.iter().filter(|name| *name != "registers").collect();
            if let Some(name) = chance.pick(&others) {
                return Place::new(account, name);
            }
        }
        let filled = self.filled.lock().unwrap_or_else(PoisonError::into_inner);
        let count = filled.get(account).copied().unwrap_or(0);
        Place::new(
            account,
            &format!("in-{}", (count / BOX_MESSAGES) % self.boxes),
        )
    }

    pub fn registers(&self, account: &str) -> Place {
        Place::new(account, "registers")
    }

    pub fn some_register(&self, chance: &mut Chance) -> u32 {
        chance.below(u64::from(REGISTERS)) as u32 + 1
    }

    /// No value is written twice to a register; `None`: it is used up.
    pub fn next_value(&self, of: &Place, register: u32) -> Option<u32> {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let value = values.entry((of.clone(), register)).or_default();
        *value += 1;
        (*value < 1 << REGISTER_BITS).then_some(*value)
    }

    pub fn add_job(&self, account: &str, job: Job) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.entry(account.to_owned()).or_default().push(job);
    }

    /// Often left in the list, so that others move it too. `None`: make one first.
    pub fn some_job(&self, account: &str, chance: &mut Chance) -> Option<Job> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let open = jobs.get_mut(account)?;
        if open.is_empty() || chance.is_lucky(40) {
            return None;
        }
        let at = chance.below(open.len() as u64) as usize;
        match chance.is_lucky(60) {
            true => Some(open.swap_remove(at)),
            false => open.get(at).copied(),
        }
    }
}
