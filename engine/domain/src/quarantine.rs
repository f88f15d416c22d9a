//! A breach ends with one mailbox, or, where none can be named, with one account: what met it changes nothing, and later
//! events on the mailbox are refused until it is deleted. Decided from rows and the entry alone, so that all replicas
//! with the same rows decide alike; that its rows are the same ones, a replica must make sure of before it writes.

use crate::context::name;
use crate::fold::{At, Breach};
use crate::keys::{self, Scope, TAGGED_LEN, tag};
use crate::records::{NameRecord, QuarantineRecord, ShardRecord};
use crate::rows::{self, Rows, RowsError, RowsMut};
use engine_events::{Event, Kind};
use engine_types::{AccountId, MailboxId, MailboxName};
use prost::Message;
use std::any::Any;

/// In place of a mailbox: the account as a whole.
const WHOLE: u64 = 0;

/// What an event met, other than a refusal.
pub(crate) enum Met {
    /// A row that no fold writes, by its key.
    Row(Vec<u8>, String),
    Panic(Box<dyn Any + Send>),
}

impl Met {
    /// The mailboxes to close; `None`: the row is not one of the account's.
    fn mailboxes(
        &self,
        rows: &dyn Rows,
        scope: Scope,
        kind: &Kind,
    ) -> Result<Option<Vec<u64>>, RowsError> {
        match self {
            Met::Row(key, _) if !key.starts_with(&scope.all()) => Ok(None),
            Met::Row(key, _) => {
                let of_mailbox = matches!(
                    key.get(TAGGED_LEN - 1),
                    Some(
                        &(tag::MAILBOX
                            | tag::MESSAGE
                            | tag::CHANGE
                            | tag::TOMBSTONE
                            | tag::KEYWORD)
                    )
                );
                let mailbox = keys::u64_at(key, TAGGED_LEN);
                Ok(Some(vec![if of_mailbox { mailbox } else { WHOLE }]))
            }
            Met::Panic(_) => {
                let mut named = match named(rows, scope, kind) {
                    Err(RowsError::Breach { .. }) => Vec::new(),
                    named => named?,
                };
                if named.is_empty() {
                    named.push(WHOLE);
                }
                Ok(Some(named))
            }
        }
    }

    /// For this replica's log: not the same text in every build.
    fn into_detail(self) -> String {
        match self {
            Met::Row(_, detail) => detail,
            Met::Panic(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                text.unwrap_or("a panic without words").to_owned()
            }
        }
    }
}

/// Closes what `met` tells of; `rows` are as before the event. Those that were closed already are not told again.
/// `Err`: no mailbox and no account is to blame, the shard is.
pub(crate) fn close(
    rows: &mut dyn RowsMut,
    at: At,
    head: &mut ShardRecord,
    event: &Event,
    kind: &Kind,
    met: Met,
) -> Result<Vec<Breach>, RowsError> {
    let scope = Scope {
        shard: at.shard,
        account: event.account,
    };
    let Some(mailboxes) = met.mailboxes(rows, scope, kind)? else {
        let detail = format!(
            "of another account than {}: {}",
            event.account,
            met.into_detail()
        );
        return Err(RowsError::Store(detail));
    };
    let detail = met.into_detail();
    let record = QuarantineRecord {
        term: at.term,
        index: at.index,
    };
    let mut breaches = Vec::new();
    for mailbox in mailboxes {
        let key = key(scope, mailbox);
        if rows.get(&key)?.is_some() {
            continue;
        }
        rows.put(key, record.encode_to_vec());
        head.quarantined += 1;
        breaches.push(Breach {
            account: AccountId(scope.account),
            mailbox: (mailbox != WHOLE).then_some(MailboxId(mailbox)),
            detail: detail.clone(),
        });
    }
    Ok(breaches)
}

/// True: the event must not touch what it names. Deletion is the way out, of a mailbox as of an account.
pub(crate) fn refuses(rows: &dyn Rows, scope: Scope, kind: &Kind) -> Result<bool, RowsError> {
    if matches!(kind, Kind::AccountClosed(_)) {
        return Ok(false);
    }
    let mut mailboxes = vec![WHOLE];
    if !matches!(kind, Kind::MailboxDeleted(_)) {
        mailboxes.extend(named(rows, scope, kind)?);
    }
    for mailbox in mailboxes {
        if is_closed(rows, scope, mailbox)? {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(crate) fn is_closed(rows: &dyn Rows, scope: Scope, mailbox: u64) -> Result<bool, RowsError> {
    Ok(rows.get(&key(scope, mailbox))?.is_some())
}

/// `kind` was applied: what it deleted is no longer closed. `deleted`: the mailboxes that it named before.
pub(crate) fn lift(
    rows: &mut dyn RowsMut,
    scope: Scope,
    head: &mut ShardRecord,
    kind: &Kind,
    deleted: &[u64],
) -> Result<(), RowsError> {
    let mut gone = Vec::new();
    match kind {
        Kind::AccountClosed(_) => {
            let prefix = of_shard(scope).by_number(tag::QUARANTINE, scope.account);
            rows.scan(&prefix, &keys::end(&prefix), &mut |key, _| {
                gone.push(key.to_vec());
                true
            })?;
        }
        Kind::MailboxDeleted(_) => gone.extend(deleted.iter().map(|mailbox| key(scope, *mailbox))),
        _ => {}
    }
    for key in gone {
        if rows.get(&key)?.is_some() {
            rows.delete(key);
            head.quarantined -= 1;
        }
    }
    Ok(())
}

/// Those of the account's mailboxes that `kind` reads or changes, as far as it names them.
pub(crate) fn named(rows: &dyn Rows, scope: Scope, kind: &Kind) -> Result<Vec<u64>, RowsError> {
    let find = |text: &str| -> Result<Option<u64>, RowsError> {
        let Ok(name) = name(text) else {
            return Ok(None);
        };
        let key = scope.by_text(tag::NAME, name.as_str());
        Ok(rows::get::<NameRecord>(rows, &key)?.map(|found| found.id))
    };
    let mut named = Vec::new();
    match kind {
        Kind::FlagsChanged(event) => named.push(event.mailbox),
        Kind::MessagesExpunged(event) => named.push(event.mailbox),
        Kind::MessagesCopied(event) => {
            named.push(event.from);
            named.extend(find(&event.to)?);
        }
        Kind::MessageAppended(event) => match find(&event.mailbox)? {
            Some(found) => named.push(found),
            None if event.or_inbox => named.extend(find(MailboxName::inbox().as_str())?),
            None => {}
        },
        Kind::MailboxRenamed(event) => named.extend(find(&event.from)?),
        Kind::MailboxDeleted(event) => named.extend(find(&event.name)?),
        _ => {}
    }
    named.sort_unstable();
    named.dedup();
    // An event may name a mailbox by any number.
    named.retain(|mailbox| *mailbox != WHOLE);
    Ok(named)
}

/// The rows of all accounts stand together, so that they can be listed.
fn key(scope: Scope, mailbox: u64) -> Vec<u8> {
    let mut key = of_shard(scope).by_number(tag::QUARANTINE, scope.account);
    key.extend(mailbox.to_be_bytes());
    key
}

fn of_shard(scope: Scope) -> Scope {
    Scope {
        account: 0,
        ..scope
    }
}

/// A mailbox, or an account as a whole, that takes no changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quarantined {
    pub account: AccountId,
    /// `None`: the account as a whole.
    pub mailbox: Option<MailboxId>,
    /// Term and log index of the entry that met the breach.
    pub term: u64,
    pub index: u64,
}

/// At most `max`, by account.
pub fn quarantined(rows: &dyn Rows, shard: u32, max: usize) -> Result<Vec<Quarantined>, RowsError> {
    let mut found = Vec::new();
    let zero = Scope { shard, account: 0 };
    let head: ShardRecord = rows::get(rows, &zero.head())?.unwrap_or_default();
    if head.quarantined == 0 || max == 0 {
        return Ok(found);
    }
    let prefix = zero.tagged(tag::QUARANTINE);
    rows::scan(
        rows,
        &prefix,
        &prefix,
        &keys::end(&prefix),
        &mut |rest, record: QuarantineRecord| {
            let mailbox = keys::u64_at(rest, 8);
            found.push(Quarantined {
                account: AccountId(keys::u64_at(rest, 0)),
                mailbox: (mailbox != WHOLE).then_some(MailboxId(mailbox)),
                term: record.term,
                index: record.index,
            });
            Ok(found.len() < max)
        },
    )?;
    Ok(found)
}
