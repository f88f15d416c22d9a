//! Which message of its account each UID of a mailbox is: search knows messages, mailboxes know UIDs.
//!
//! Kept of the mailboxes that were searched last, and brought level by what changed since.

use crate::limits::EMAILS_KEPT_MAX;
use engine_domain::read::{self, MailboxRow};
use engine_domain::{Rows, RowsError};
use engine_types::{AccountId, EmailId, MailboxId, ModSeq, Uid};
use parking_lot::Mutex;
use raft_api::ShardId;
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Which {
    pub shard: ShardId,
    pub account: AccountId,
    pub mailbox: MailboxId,
}

/// A mailbox at a MODSEQ. Ascending by UID.
#[derive(Clone, Default)]
pub(crate) struct Emails {
    mod_seq: ModSeq,
    uids: Vec<Uid>,
    ids: Vec<EmailId>,
}

#[derive(Default)]
pub(crate) struct Kept(Mutex<Lists>);

#[derive(Default)]
struct Lists {
    lists: HashMap<Which, (u64, Arc<Emails>)>,
    uses: u64,
}

impl Emails {
    fn read(rows: &dyn Rows, which: Which, mod_seq: ModSeq) -> Result<Emails, RowsError> {
        let mut emails = Emails {
            mod_seq,
            ..Emails::default()
        };
        let Which {
            shard,
            account,
            mailbox,
        } = which;
        for (uid, id) in read::emails(rows, shard.0, account, mailbox)? {
            emails.uids.push(uid);
            emails.ids.push(id);
        }
        Ok(emails)
    }

    /// What changed since, and what went. New ones have higher UIDs than all there were.
    fn next(&self, rows: &dyn Rows, which: Which, mod_seq: ModSeq) -> Result<Emails, RowsError> {
        let (shard, mailbox) = (which.shard.0, which.mailbox);
        let (changed, gone) = read::changes(rows, shard, which.account, mailbox, self.mod_seq)?;
        let mut next = Emails {
            mod_seq,
            ..Emails::default()
        };
        let stay = self.iter().filter(|(uid, _)| !gone.contains(*uid));
        let last = self.uids.last().copied().unwrap_or(Uid(0));
        let new = changed.into_iter().filter(|(uid, _)| *uid > last);
        for (uid, id) in stay.chain(new.map(|(uid, row)| (uid, row.email))) {
            next.uids.push(uid);
            next.ids.push(id);
        }
        Ok(next)
    }

    pub fn iter(&self) -> impl Iterator<Item = (Uid, EmailId)> + '_ {
        self.uids.iter().copied().zip(self.ids.iter().copied())
    }

    /// Those of `uids` (ascending) that exist.
    pub fn of(&self, uids: &[Uid]) -> Vec<(Uid, EmailId)> {
        let mut asked = uids.iter().peekable();
        let wanted = self.iter().filter(|(uid, _)| {
            while asked.next_if(|next| **next < *uid).is_some() {}
            asked.next_if(|next| **next == *uid).is_some()
        });
        wanted.collect()
    }
}

impl Kept {
    /// As the rows have it; `None`: there is no such mailbox.
    pub fn get(&self, rows: &dyn Rows, which: Which) -> Result<Option<Arc<Emails>>, RowsError> {
        let mailbox = read::mailbox(rows, which.shard.0, which.account, which.mailbox)?;
        let Some(MailboxRow {
            highest_mod_seq, ..
        }) = mailbox
        else {
            return Ok(None);
        };
        let known = self
            .0
            .lock()
            .lists
            .get(&which)
            .map(|(_, list)| list.clone());
        let emails = match known {
            Some(known) if known.mod_seq == highest_mod_seq => known,
            Some(known) if known.mod_seq < highest_mod_seq => {
                Arc::new(known.next(rows, which, highest_mod_seq)?)
            }
            _ => Arc::new(Emails::read(rows, which, highest_mod_seq)?),
        };
        self.0.lock().keep(which, emails.clone());
        Ok(Some(emails))
    }
}

impl Lists {
    fn keep(&mut self, which: Which, emails: Arc<Emails>) {
        self.uses += 1;
        let uses = self.uses;
        self.lists.insert(which, (uses, emails));
        let messages = |lists: &HashMap<Which, (u64, Arc<Emails>)>| -> usize {
            lists.values().map(|(_, list)| list.uids.len() + 16).sum()
        };
        while messages(&self.lists) > EMAILS_KEPT_MAX {
            let oldest = self.lists.iter().min_by_key(|(_, (used, _))| *used);
            let Some(oldest) = oldest.map(|(which, _)| *which) else {
                return;
            };
            self.lists.remove(&oldest);
        }
    }
}
