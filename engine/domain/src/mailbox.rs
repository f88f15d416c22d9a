//! CREATE, RENAME, DELETE, SUBSCRIBE (RFC 9051 §6.3.4 to §6.3.8).

use crate::account::with_ancestors;
use crate::context::{Context, Step, name};
use crate::keys::{self, TAGGED_LEN, tag};
use crate::limits::{IMPORTED_UID_VALIDITY_MAX, SUBSCRIPTIONS_PER_ACCOUNT_MAX};
use crate::messages;
use crate::quarantine;
use crate::records::{MailboxRecord, NameRecord};
use crate::rows::{self, RowsError};
use engine_events::{
    EventOutcome, MailboxCreated, MailboxDeleted, MailboxMade, MailboxRenamed, OutcomeKind,
    Refusal, SubscriptionSet,
};
use engine_types::limits::MAILBOXES_PER_ACCOUNT_MAX;
use engine_types::{MailboxName, SpecialUse, UidSet};
use std::collections::BTreeSet;

/// Missing parents are made as well. A parent that has children but no mailbox (it was deleted) stays as it is.
pub(crate) fn create(cx: &mut Context<'_>, event: &MailboxCreated) -> Step<EventOutcome> {
    let name = name(&event.name)?;
    if cx.find(&name)?.is_some() {
        return Err(Refusal::MailboxExists.into());
    }
    check_event(event)?;
    let parents = missing_parents(cx, &name)?;
    check_room(cx, parents.len() + 1)?;
    check_imported(cx, event.uid_validity)?;
    let subscribe = event.subscribed && !subscribed(cx, &name)?;
    if subscribe && cx.account.subscriptions >= SUBSCRIPTIONS_PER_ACCOUNT_MAX {
        return Err(Refusal::Limit.into());
    }
    let mod_seq = cx.next_mod_seq();
    for parent in &parents {
        make(cx, parent, 0, 0, mod_seq);
    }
    let (mailbox, record) = make(cx, &name, event.special_use, event.uid_validity, mod_seq);
    if subscribe {
        set_subscribed(cx, &name, true);
    }
    Ok(EventOutcome {
        result: Some(OutcomeKind::Mailbox(MailboxMade {
            mailbox,
            uid_validity: record.uid_validity,
        })),
    })
}

pub(crate) fn rename(cx: &mut Context<'_>, event: &MailboxRenamed) -> Step<EventOutcome> {
    let (from, to) = (name(&event.from)?, name(&event.to)?);
    if cx.find(&to)?.is_some() {
        return Err(Refusal::MailboxExists.into());
    }
    if from.is_inbox() {
        return rename_inbox(cx, &to);
    }
    if to.is_below(&from) {
        return Err(Refusal::NotAllowed.into());
    }
    let moves = planned_moves(cx, &from, &to)?;
    let parents = missing_parents(cx, &to)?;
    check_room(cx, parents.len())?;
    let mod_seq = cx.next_mod_seq();
    for parent in &parents {
        make(cx, parent, 0, 0, mod_seq);
    }
    for (mailbox, old, new, mut record) in moves {
        cx.rows.delete(cx.scope.by_text(tag::NAME, old.as_str()));
        let key = cx.scope.by_text(tag::NAME, new.as_str());
        cx.put(key, &NameRecord { id: mailbox });
        record.name = new.as_str().to_owned();
        cx.put_mailbox(mailbox, &record);
    }
    Ok(EventOutcome::done())
}

/// RFC 9051 §6.3.6: the messages move to a new mailbox; INBOX stays, empty, and so does all that lies below it.
fn rename_inbox(cx: &mut Context<'_>, to: &MailboxName) -> Step<EventOutcome> {
    let inbox = cx
        .find(&MailboxName::inbox())?
        .ok_or(Refusal::NoSuchMailbox)?;
    let parents = missing_parents(cx, to)?;
    check_room(cx, parents.len() + 1)?;
    let mod_seq = cx.next_mod_seq();
    for parent in &parents {
        make(cx, parent, 0, 0, mod_seq);
    }
    let (target, _) = make(cx, to, 0, 0, mod_seq);
    let all = messages::existing(cx, inbox, &UidSet::all())?;
    messages::copy_rows(cx, target, &all, mod_seq)?;
    messages::remove_rows(cx, inbox, &all, mod_seq)?;
    Ok(EventOutcome::done())
}

pub(crate) fn delete(cx: &mut Context<'_>, event: &MailboxDeleted) -> Step<EventOutcome> {
    let name = name(&event.name)?;
    if name.is_inbox() {
        return Err(Refusal::NotAllowed.into());
    }
    let Some(mailbox) = cx.find(&name)? else {
        let refusal = match cx.has_children(&name)? {
            true => Refusal::NotAllowed,
            false => Refusal::NoSuchMailbox,
        };
        return Err(refusal.into());
    };
    let (used_bytes, uid_validity) = match quarantine::is_closed(cx.rows, cx.scope, mailbox)? {
        true => (used_without(cx, mailbox)?, cx.account.last_uid_validity),
        false => {
            let record = cx.mailbox(mailbox)?;
            (cx.account.used_bytes - record.size, record.uid_validity)
        }
    };
    cx.next_mod_seq();
    cx.rows.delete(cx.scope.by_text(tag::NAME, name.as_str()));
    for tag in [
        tag::MAILBOX,
        tag::MESSAGE,
        tag::CHANGE,
        tag::TOMBSTONE,
        tag::KEYWORD,
    ] {
        cx.delete_all(&cx.scope.by_number(tag, mailbox))?;
    }
    cx.account.mailboxes -= 1;
    cx.account.used_bytes = used_bytes;
    let retired = &mut cx.account.retired_uid_validity;
    *retired = (*retired).max(uid_validity);
    Ok(EventOutcome::done())
}

/// The account's used octets but for `mailbox`, whose own row is not to be trusted.
fn used_without(cx: &Context<'_>, mailbox: u64) -> Result<u64, RowsError> {
    let prefix = cx.scope.tagged(tag::MAILBOX);
    let mut used = 0;
    // Not decoded before it is known to be another one's.
    let mut others = Vec::new();
    cx.rows.scan(&prefix, &keys::end(&prefix), &mut |key, _| {
        others.push(keys::u64_at(key, prefix.len()));
        true
    })?;
    for other in others.into_iter().filter(|other| *other != mailbox) {
        let key = cx.scope.by_number(tag::MAILBOX, other);
        let record: MailboxRecord = rows::get(cx.rows, &key)?.unwrap_or_default();
        used += record.size;
    }
    Ok(used)
}

pub(crate) fn subscribe(cx: &mut Context<'_>, event: &SubscriptionSet) -> Step<EventOutcome> {
    let name = name(&event.name)?;
    if subscribed(cx, &name)? != event.subscribed {
        if event.subscribed && cx.account.subscriptions >= SUBSCRIPTIONS_PER_ACCOUNT_MAX {
            return Err(Refusal::Limit.into());
        }
        set_subscribed(cx, &name, event.subscribed);
    }
    Ok(EventOutcome::done())
}

/// What the first mailboxes of an account must fulfil, so that `create` cannot refuse one of them later.
pub(crate) fn check_first(wanted: &[(MailboxName, &MailboxCreated)]) -> Step<()> {
    let mut all = BTreeSet::new();
    let mut given = BTreeSet::new();
    for (at, (name, event)) in wanted.iter().enumerate() {
        check_event(event)?;
        let twice = at > 0 && wanted[at - 1].0 == *name;
        let same_validity = event.uid_validity != 0 && !given.insert(event.uid_validity);
        if twice || same_validity || event.uid_validity > IMPORTED_UID_VALIDITY_MAX {
            return Err(Refusal::Invalid.into());
        }
        with_ancestors(name, &mut all);
    }
    // An imported UIDVALIDITY could meet one that was just made for another mailbox: all or none are given.
    let mixed = !given.is_empty() && given.len() != all.len();
    if mixed {
        return Err(Refusal::Invalid.into());
    }
    if all.len() > MAILBOXES_PER_ACCOUNT_MAX {
        return Err(Refusal::Limit.into());
    }
    Ok(())
}

fn check_event(event: &MailboxCreated) -> Step<()> {
    if event.special_use != 0 && SpecialUse::from_number(event.special_use).is_none() {
        return Err(Refusal::Invalid.into());
    }
    Ok(())
}

fn check_room(cx: &Context<'_>, more: usize) -> Step<()> {
    let full = cx.account.mailboxes as usize + more > MAILBOXES_PER_ACCOUNT_MAX;
    let validity_left = u32::MAX - cx.account.last_uid_validity;
    if full || validity_left as usize <= more {
        return Err(Refusal::Limit.into());
    }
    Ok(())
}

/// An imported UIDVALIDITY must never have stood for other messages (promise P5): not above what can be counted on
/// from, above all of deleted mailboxes, and unlike all that there are.
fn check_imported(cx: &Context<'_>, uid_validity: u32) -> Step<()> {
    if uid_validity == 0 || uid_validity > cx.account.last_uid_validity {
        return match uid_validity > IMPORTED_UID_VALIDITY_MAX {
            true => Err(Refusal::NotAllowed.into()),
            false => Ok(()),
        };
    }
    let mut taken = uid_validity <= cx.account.retired_uid_validity;
    let prefix = cx.scope.tagged(tag::MAILBOX);
    rows::scan(
        cx.rows,
        &prefix,
        &prefix,
        &keys::end(&prefix),
        &mut |_, record: MailboxRecord| {
            taken |= record.uid_validity == uid_validity;
            Ok(!taken)
        },
    )?;
    match taken {
        true => Err(Refusal::NotAllowed.into()),
        false => Ok(()),
    }
}

/// Top first.
fn missing_parents(cx: &Context<'_>, name: &MailboxName) -> Result<Vec<MailboxName>, RowsError> {
    let mut missing = Vec::new();
    let mut next = name.parent();
    while let Some(parent) = next {
        if cx.find(&parent)?.is_some() || cx.has_children(&parent)? {
            break;
        }
        next = parent.parent();
        missing.push(parent);
    }
    missing.reverse();
    Ok(missing)
}

/// Mailbox, old name, new name, row: of `from`, if it has a mailbox, and of all below it.
fn planned_moves(
    cx: &Context<'_>,
    from: &MailboxName,
    to: &MailboxName,
) -> Step<Vec<(u64, MailboxName, MailboxName, MailboxRecord)>> {
    let mut found: Vec<(MailboxName, u64)> = Vec::new();
    found.extend(cx.find(from)?.map(|mailbox| (from.clone(), mailbox)));
    let below = cx.scope.by_text(tag::NAME, &format!("{from}/"));
    rows::scan(
        cx.rows,
        &below[..TAGGED_LEN],
        &below,
        &keys::end(&below),
        &mut |text, record: NameRecord| {
            let old = MailboxName::new(&String::from_utf8_lossy(text)).map_err(|error| {
                let key = cx.scope.by_number(tag::MAILBOX, record.id);
                RowsError::breach(&key, format_args!("its name: {error}"))
            })?;
            found.push((old, record.id));
            Ok(true)
        },
    )?;
    if found.is_empty() {
        return Err(Refusal::NoSuchMailbox.into());
    }
    let mut moves = Vec::with_capacity(found.len());
    for (old, mailbox) in found {
        let new = old
            .moved(from, to)
            .and_then(Result::ok)
            .ok_or(Refusal::NotAllowed)?;
        if cx.find(&new)?.is_some() {
            return Err(Refusal::MailboxExists.into());
        }
        moves.push((mailbox, old, new, cx.mailbox(mailbox)?));
    }
    Ok(moves)
}

/// `uid_validity` 0: the next one, `max(log time in seconds, last given + 1)`.
fn make(
    cx: &mut Context<'_>,
    name: &MailboxName,
    special_use: u32,
    uid_validity: u32,
    mod_seq: u64,
) -> (u64, MailboxRecord) {
    let account = &mut cx.account;
    account.last_mailbox += 1;
    account.mailboxes += 1;
    let mailbox = account.last_mailbox;
    let seconds = (cx.log_time_ms / 1_000).min(u64::from(IMPORTED_UID_VALIDITY_MAX)) as u32;
    let uid_validity = match uid_validity {
        0 => seconds.max(account.last_uid_validity + 1),
        imported => imported,
    };
    account.last_uid_validity = account.last_uid_validity.max(uid_validity);
    let record = MailboxRecord {
        name: name.as_str().to_owned(),
        special_use,
        uid_validity,
        uid_next: 1,
        highest_mod_seq: mod_seq,
        ..MailboxRecord::default()
    };
    cx.put_mailbox(mailbox, &record);
    let key = cx.scope.by_text(tag::NAME, name.as_str());
    cx.put(key, &NameRecord { id: mailbox });
    (mailbox, record)
}

fn subscribed(cx: &Context<'_>, name: &MailboxName) -> Result<bool, RowsError> {
    let key = cx.scope.by_text(tag::SUBSCRIPTION, name.as_str());
    Ok(cx.rows.get(&key)?.is_some())
}

/// Only where that is a change.
fn set_subscribed(cx: &mut Context<'_>, name: &MailboxName, subscribed: bool) {
    let key = cx.scope.by_text(tag::SUBSCRIPTION, name.as_str());
    if subscribed {
        cx.account.subscriptions += 1;
        cx.rows.put(key, Vec::new());
    } else {
        cx.account.subscriptions -= 1;
        cx.rows.delete(key);
    }
}
