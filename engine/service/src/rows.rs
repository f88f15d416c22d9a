//! Rows of the views as gateways see them.

use crate::limits::{KEYWORDS_SHOWN_MAX, PAGE_MESSAGES_MAX};
use crate::service::{Home, rows_failed};
use crate::{
    BodyHandle, Changes, Freshness, MailboxEntry, MailboxStatus, MessageRow, Opened, Principal,
    Refusal, Service,
};
use engine_domain::read::{self, MailboxRow};
use engine_domain::{Rows, RowsError};
use engine_types::{MailboxId, MailboxName, ModSeq, Uid, UidSet, UnixMillis};
use std::cmp::Reverse;
use std::collections::BTreeMap;

fn status(row: MailboxRow) -> MailboxStatus {
    MailboxStatus {
        id: row.id,
        name: row.name,
        uid_validity: row.uid_validity,
        uid_next: row.uid_next,
        messages: row.messages,
        unseen: row.unseen,
        deleted: row.deleted,
        size: row.size,
        highest_mod_seq: row.highest_mod_seq,
        lost: row.lost,
    }
}

pub(crate) fn message(shard: u32, uid: Uid, row: read::MessageRow) -> MessageRow {
    MessageRow {
        uid,
        email: row.email,
        mod_seq: row.mod_seq,
        flags: row.flags,
        // INTERNALDATE before 1970 is shown as 1970: no client's mail is that old.
        internal_date: UnixMillis(u64::try_from(row.internal_date).unwrap_or(0)),
        internal_date_zone: row.zone,
        size: row.trace.len() as u64 + row.size,
        saved_at: row.saved_at,
        body: BodyHandle {
            shard,
            log_index: row.body.index,
            ordinal: row.body.ordinal,
            trace: row.trace,
            size: row.size,
        },
    }
}

/// Real mailboxes, the parents that they imply, and subscribed names that do not exist.
fn entries(rows: &[MailboxRow], subscribed: Vec<MailboxName>) -> Vec<MailboxEntry> {
    let mut names: BTreeMap<MailboxName, MailboxEntry> = BTreeMap::new();
    let bare = |name: &MailboxName| MailboxEntry {
        name: name.clone(),
        id: None,
        special_use: None,
        subscribed: false,
        has_children: false,
    };
    for row in rows {
        let entry = names
            .entry(row.name.clone())
            .or_insert_with(|| bare(&row.name));
        entry.id = Some(row.id);
        entry.special_use = row.special_use;
        let mut above = row.name.parent();
        while let Some(name) = above {
            let parent = names.entry(name.clone()).or_insert_with(|| bare(&name));
            if parent.has_children {
                break;
            }
            parent.has_children = true;
            above = name.parent();
        }
    }
    for name in subscribed {
        names
            .entry(name.clone())
            .or_insert_with(|| bare(&name))
            .subscribed = true;
    }
    let mut list: Vec<MailboxEntry> = names.into_values().collect();
    list.sort_by_key(|entry| Reverse(entry.name.is_inbox()));
    list
}

impl Service {
    /// Runs one read of the principal's rows at this node's applied position.
    pub(crate) fn read<T>(
        &self,
        who: &Principal,
        read: impl FnOnce(&dyn Rows, &Home) -> Result<T, RowsError>,
    ) -> Result<T, Refusal> {
        let home = self.home(who)?;
        read(&self.view(home.shard)?, &home).map_err(rows_failed)
    }

    pub(crate) fn list(&self, who: &Principal) -> Result<Vec<MailboxEntry>, Refusal> {
        self.read(who, |rows, home| {
            let (shard, account) = (home.shard.0, home.account);
            let mailboxes = read::mailboxes(rows, shard, account)?;
            Ok(entries(
                &mailboxes,
                read::subscriptions(rows, shard, account)?,
            ))
        })
    }

    pub(crate) fn status_now(
        &self,
        who: &Principal,
        name: &MailboxName,
    ) -> Result<MailboxStatus, Refusal> {
        self.read(who, |rows, home| {
            read::mailbox_by_name(rows, home.shard.0, home.account, name)
        })?
        .map(status)
        .ok_or(Refusal::NoSuchMailbox)
    }

    /// One view for all of it, so that counters and UIDs agree.
    pub(crate) fn opened_now(
        &self,
        who: &Principal,
        name: &MailboxName,
        freshness: Freshness,
    ) -> Result<Opened, Refusal> {
        self.read(who, |rows, home| {
            let (shard, account) = (home.shard.0, home.account);
            let Some(row) = read::mailbox_by_name(rows, shard, account, name)? else {
                return Ok(None);
            };
            let id = row.id;
            Ok(Some(Opened {
                status: status(row),
                uids: read::uids(rows, shard, account, id)?,
                first_unseen: read::first_unseen(rows, shard, account, id)?,
                keywords: read::keywords(rows, shard, account, id, KEYWORDS_SHOWN_MAX)?,
                freshness,
            }))
        })?
        .ok_or(Refusal::NoSuchMailbox)
    }

    pub(crate) fn page(
        &self,
        who: &Principal,
        mailbox: MailboxId,
        uids: &UidSet,
    ) -> Result<Vec<MessageRow>, Refusal> {
        self.read(who, |rows, home| {
            let (shard, account) = (home.shard.0, home.account);
            let found = read::messages(rows, shard, account, mailbox, uids, PAGE_MESSAGES_MAX)?;
            Ok(found
                .into_iter()
                .map(|(uid, row)| message(shard, uid, row))
                .collect())
        })
    }

    pub(crate) fn changes_since(
        &self,
        who: &Principal,
        mailbox: MailboxId,
        since: ModSeq,
    ) -> Result<Changes, Refusal> {
        self.read(who, |rows, home| {
            let (shard, account) = (home.shard.0, home.account);
            let Some(row) = read::mailbox(rows, shard, account, mailbox)? else {
                return Ok(Changes {
                    highest_mod_seq: since,
                    uid_next: Uid::MIN,
                    changed: Vec::new(),
                    vanished: UidSet::new(),
                    gone: true,
                });
            };
            let (changed, vanished) = if row.highest_mod_seq > since {
                read::changes(rows, shard, account, mailbox, since)?
            } else {
                (Vec::new(), UidSet::new())
            };
            let mut changed: Vec<MessageRow> = changed
                .into_iter()
                .map(|(uid, row)| message(shard, uid, row))
                .collect();
            changed.sort_unstable_by_key(|row| row.uid);
            Ok(Changes {
                highest_mod_seq: row.highest_mod_seq,
                uid_next: row.uid_next,
                changed,
                vanished,
                gone: false,
            })
        })
    }
}
