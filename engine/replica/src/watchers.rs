//! Who waits for an account to change.

use crate::limits::WATCHERS_BEFORE_CLEANING;
use engine_types::{AccountId, ModSeq};
use std::collections::HashMap;
use tokio::sync::watch;

pub struct Watchers {
    accounts: HashMap<AccountId, watch::Sender<ModSeq>>,
    clean_at: usize,
}

impl Watchers {
    pub fn new() -> Watchers {
        Watchers {
            accounts: HashMap::new(),
            clean_at: WATCHERS_BEFORE_CLEANING,
        }
    }

    pub fn watch(&mut self, account: AccountId, now: ModSeq) -> watch::Receiver<ModSeq> {
        if self.accounts.len() >= self.clean_at {
            self.accounts.retain(|_, sender| !sender.is_closed());
            self.clean_at = (self.accounts.len() * 2).max(WATCHERS_BEFORE_CLEANING);
        }
        let sender = self
            .accounts
            .entry(account)
            .or_insert_with(|| watch::channel(now).0);
        sender.subscribe()
    }

    pub fn wake(&self, account: AccountId, mod_seq: ModSeq) {
        if let Some(sender) = self.accounts.get(&account) {
            sender.send_replace(mod_seq);
        }
    }

    pub fn accounts(&self) -> Vec<AccountId> {
        self.accounts.keys().copied().collect()
    }
}
