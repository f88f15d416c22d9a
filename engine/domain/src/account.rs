//! An account's beginning, end and quota.

use crate::context::{Context, Step, name};
use crate::keys::{Scope, tag};
use crate::mailbox;
use crate::records::{AccountRecord, ClosedRecord};
use crate::rows::{self, RowsError, RowsMut};
use engine_events::{AccountOpened, EventOutcome, MailboxCreated, QuotaSet, Refusal};
use engine_types::MailboxName;
use prost::Message;
use std::collections::BTreeSet;

/// `cx.account` is empty at first. INBOX is made even if the event does not name it.
pub(crate) fn open(cx: &mut Context<'_>, epoch: u64, event: &AccountOpened) -> Step<EventOutcome> {
    let closed: Option<ClosedRecord> = rows::get(cx.rows, &closed_key(cx.scope))?;
    if closed.is_some_and(|closed| epoch <= closed.epoch) {
        return Err(Refusal::WrongShard.into());
    }
    let inbox = MailboxCreated {
        name: MailboxName::inbox().as_str().to_owned(),
        subscribed: true,
        ..MailboxCreated::default()
    };
    let mut wanted: Vec<(MailboxName, &MailboxCreated)> = Vec::new();
    for created in &event.mailboxes {
        wanted.push((name(&created.name)?, created));
    }
    if !wanted.iter().any(|(name, _)| name.is_inbox()) {
        wanted.insert(0, (MailboxName::inbox(), &inbox));
    }
    // Parents before children, so that none is made twice.
    wanted.sort_by(|a, b| a.0.cmp(&b.0));
    mailbox::check_first(&wanted)?;
    cx.account = AccountRecord {
        epoch,
        quota_bytes: event.quota_bytes,
        // RFC 7162 §3.1.2.1: HIGHESTMODSEQ is at least 1.
        mod_seq: 1,
        ..AccountRecord::default()
    };
    for (_, created) in wanted {
        mailbox::create(cx, created)?;
    }
    Ok(EventOutcome::done())
}

/// Deletes all rows of the account.
pub(crate) fn close(rows: &mut dyn RowsMut, scope: Scope, epoch: u64) -> Result<(), RowsError> {
    let prefix = scope.all();
    let mut gone = Vec::new();
    rows.scan(&prefix, &crate::keys::end(&prefix), &mut |key, _| {
        gone.push(key.to_vec());
        true
    })?;
    for key in gone {
        rows.delete(key);
    }
    rows.put(closed_key(scope), ClosedRecord { epoch }.encode_to_vec());
    Ok(())
}

pub(crate) fn set_quota(cx: &mut Context<'_>, event: &QuotaSet) -> Step<EventOutcome> {
    cx.account.quota_bytes = event.quota_bytes;
    Ok(EventOutcome::done())
}

/// Refuses what `bytes` more would lift above the quota.
pub(crate) fn check_quota(account: &AccountRecord, bytes: u64) -> Step<()> {
    let over = account.used_bytes.saturating_add(bytes) > account.quota_bytes;
    if account.quota_bytes > 0 && over {
        return Err(Refusal::OverQuota.into());
    }
    Ok(())
}

/// All ancestors of `name` and itself.
pub(crate) fn with_ancestors(name: &MailboxName, into: &mut BTreeSet<MailboxName>) {
    let mut next = Some(name.clone());
    while let Some(name) = next {
        next = name.parent();
        into.insert(name);
    }
}

fn closed_key(scope: Scope) -> Vec<u8> {
    let shard = Scope {
        shard: scope.shard,
        account: 0,
    };
    shard.by_number(tag::CLOSED, scope.account)
}
