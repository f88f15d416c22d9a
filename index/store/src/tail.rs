//! Messages that are in no run yet: in memory, searched by a scan.

use engine_types::{AccountId, EmailId};
use index_text::FoldedText;
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Debug)]
pub struct TailMessage {
    pub id: EmailId,
    pub text: FoldedText,
}

#[derive(Default)]
pub struct Tail {
    accounts: HashMap<AccountId, Vec<Arc<TailMessage>>>,
    bytes: usize,
}

impl Tail {
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    pub fn add(&mut self, account: AccountId, message: TailMessage) {
        self.bytes += message.text.bytes();
        self.accounts
            .entry(account)
            .or_default()
            .push(Arc::new(message));
    }

    pub fn remove(&mut self, account: AccountId, id: EmailId) -> bool {
        let Some(messages) = self.accounts.get_mut(&account) else {
            return false;
        };
        let before = messages.len();
        messages.retain(|message| {
            let stays = message.id != id;
            if !stays {
                self.bytes -= message.text.bytes();
            }
            stays
        });
        let removed = messages.len() < before;
        if messages.is_empty() {
            self.accounts.remove(&account);
        }
        removed
    }

    pub fn of(&self, account: AccountId) -> &[Arc<TailMessage>] {
        self.accounts.get(&account).map_or(&[], |messages| messages)
    }

    /// By account, in ascending order.
    pub fn sorted(&self) -> Vec<(AccountId, &[Arc<TailMessage>])> {
        let mut all: Vec<_> = self
            .accounts
            .iter()
            .map(|(account, messages)| (*account, &messages[..]))
            .collect();
        all.sort_unstable_by_key(|(account, _)| *account);
        all
    }

    /// Puts what came before in front of what came since.
    pub fn put_back(&mut self, earlier: &Tail) {
        for (account, messages) in &earlier.accounts {
            let later = self.accounts.entry(*account).or_default();
            later.splice(0..0, messages.iter().cloned());
        }
        self.bytes += earlier.bytes;
    }
}
