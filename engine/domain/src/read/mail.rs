//! Reads of a mail shard.

use crate::keys::{self, Scope, TAGGED_LEN, tag};
use crate::records::{AccountRecord, KeywordRecord, MailboxRecord, MessageRecord, NameRecord};
use crate::rows::{self, Rows, RowsError};
use bytes::Bytes;
use engine_events::{FlagSet, UidRanges, flags_from, ranges_from};
use engine_types::{
    AccountId, EmailId, Flags, LostModSeqs, MailboxId, MailboxName, ModSeq, SpecialUse, SystemFlag,
    Uid, UidSet, UidValidity, UnixMillis,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRow {
    pub epoch: u64,
    /// Octets; 0: no bound.
    pub quota_bytes: u64,
    pub used_bytes: u64,
    /// The last that was given.
    pub mod_seq: ModSeq,
    pub mailboxes: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxRow {
    pub id: MailboxId,
    pub name: MailboxName,
    pub special_use: Option<SpecialUse>,
    pub uid_validity: UidValidity,
    pub uid_next: Uid,
    pub messages: u32,
    pub unseen: u32,
    pub deleted: u32,
    /// Octets of all messages with their traces.
    pub size: u64,
    pub highest_mod_seq: ModSeq,
    pub lost: LostModSeqs,
}

/// Where a message's content is: log index and ordinal of its `BodyStored` in this shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyAt {
    pub index: u64,
    pub ordinal: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRow {
    pub email: EmailId,
    pub mod_seq: ModSeq,
    pub flags: Flags,
    /// Unix milliseconds.
    pub internal_date: i64,
    /// Minutes east of UTC.
    pub zone: i32,
    /// Log time when it came into this mailbox.
    pub saved_at: UnixMillis,
    /// The message without its trace.
    pub size: u64,
    pub trace: Bytes,
    pub body: BodyAt,
    /// 128 bits, big endian: XXH3 of the message.
    pub hash: Bytes,
    pub thread_keys: Vec<u64>,
}

pub fn account(
    rows: &dyn Rows,
    shard: u32,
    account: AccountId,
) -> Result<Option<AccountRow>, RowsError> {
    let record: Option<AccountRecord> = rows::get(rows, &scope(shard, account).head())?;
    Ok(record.filter(|_| account.0 != 0).map(|record| AccountRow {
        epoch: record.epoch,
        quota_bytes: record.quota_bytes,
        used_bytes: record.used_bytes,
        mod_seq: ModSeq(record.mod_seq),
        mailboxes: record.mailboxes,
    }))
}

/// Ordered by name.
pub fn mailboxes(
    rows: &dyn Rows,
    shard: u32,
    account: AccountId,
) -> Result<Vec<MailboxRow>, RowsError> {
    let prefix = scope(shard, account).tagged(tag::MAILBOX);
    let mut found = Vec::new();
    rows::scan(
        rows,
        &prefix,
        &prefix,
        &keys::end(&prefix),
        &mut |rest, record| {
            found.push(mailbox_row(
                scope(shard, account),
                keys::u64_at(rest, 0),
                record,
            )?);
            Ok(true)
        },
    )?;
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

pub fn mailbox(
    rows: &dyn Rows,
    shard: u32,
    account: AccountId,
    mailbox: MailboxId,
) -> Result<Option<MailboxRow>, RowsError> {
    let key = scope(shard, account).by_number(tag::MAILBOX, mailbox.0);
    let record: Option<MailboxRecord> = rows::get(rows, &key)?;
    record
        .map(|record| mailbox_row(scope(shard, account), mailbox.0, record))
        .transpose()
}

pub fn mailbox_by_name(
    rows: &dyn Rows,
    shard: u32,
    account: AccountId,
    name: &MailboxName,
) -> Result<Option<MailboxRow>, RowsError> {
    let key = scope(shard, account).by_text(tag::NAME, name.as_str());
    match rows::get::<NameRecord>(rows, &key)? {
        Some(found) => mailbox(rows, shard, account, MailboxId(found.id)),
        None => Ok(None),
    }
}

/// Ordered by name.
pub fn subscriptions(
    rows: &dyn Rows,
    shard: u32,
    account: AccountId,
) -> Result<Vec<MailboxName>, RowsError> {
    let prefix = scope(shard, account).tagged(tag::SUBSCRIPTION);
    let mut names = Vec::new();
    rows.scan(&prefix, &keys::end(&prefix), &mut |key, _| {
        let text = String::from_utf8_lossy(&key[TAGGED_LEN..]);
        names.extend(MailboxName::new(&text).ok());
        true
    })?;
    Ok(names)
}

/// Ascending.
pub fn uids(
    rows: &dyn Rows,
    shard: u32,
    account: AccountId,
    mailbox: MailboxId,
) -> Result<Vec<Uid>, RowsError> {
    let prefix = scope(shard, account).by_number(tag::MESSAGE, mailbox.0);
    let mut uids = Vec::new();
    rows.scan(&prefix, &keys::end(&prefix), &mut |key, _| {
        uids.push(Uid(keys::u32_at(key, prefix.len())));
        true
    })?;
    Ok(uids)
}

/// The first without `\Seen`.
pub fn first_unseen(
    rows: &dyn Rows,
    shard: u32,
    account: AccountId,
    mailbox: MailboxId,
) -> Result<Option<Uid>, RowsError> {
    if self::mailbox(rows, shard, account, mailbox)?.is_none_or(|row| row.unseen == 0) {
        return Ok(None);
    }
    let prefix = scope(shard, account).by_number(tag::MESSAGE, mailbox.0);
    let mut first = None;
    rows::scan(
        rows,
        &prefix,
        &prefix,
        &keys::end(&prefix),
        &mut |rest, record: MessageRecord| {
            if record.system & SystemFlag::Seen as u32 == 0 {
                first = Some(Uid(keys::u32_at(rest, 0)));
            }
            Ok(first.is_none())
        },
    )?;
    Ok(first)
}

/// Keywords that messages of the mailbox carry, ascending without regard to case, at most `max`.
pub fn keywords(
    rows: &dyn Rows,
    shard: u32,
    account: AccountId,
    mailbox: MailboxId,
    max: usize,
) -> Result<Vec<String>, RowsError> {
    let prefix = scope(shard, account).by_number(tag::KEYWORD, mailbox.0);
    let mut keywords = Vec::new();
    rows::scan(
        rows,
        &prefix,
        &prefix,
        &keys::end(&prefix),
        &mut |_, record: KeywordRecord| {
            if keywords.len() < max {
                keywords.push(record.spelling);
            }
            Ok(keywords.len() < max)
        },
    )?;
    Ok(keywords)
}

/// Those of `uids` that exist, ascending, at most `limit`.
pub fn messages(
    rows: &dyn Rows,
    shard: u32,
    account: AccountId,
    mailbox: MailboxId,
    uids: &UidSet,
    limit: usize,
) -> Result<Vec<(Uid, MessageRow)>, RowsError> {
    let scope = scope(shard, account);
    let mut found = Vec::new();
    if limit == 0 {
        return Ok(found);
    }
    each_message(rows, scope, mailbox.0, uids, &mut |uid, record| {
        found.push((Uid(uid), message_row(record)));
        found.len() < limit
    })?;
    Ok(found)
}

/// Messages that are new or changed after `since`, ascending by UID, and UIDs that went after it. Where `since` lies
/// before what is kept, all UIDs that do not exist are named instead.
pub fn changes(
    rows: &dyn Rows,
    shard: u32,
    account: AccountId,
    mailbox: MailboxId,
    since: ModSeq,
) -> Result<(Vec<(Uid, MessageRow)>, UidSet), RowsError> {
    let scope = scope(shard, account);
    let key = scope.by_number(tag::MAILBOX, mailbox.0);
    let Some(record) = rows::get::<MailboxRecord>(rows, &key)? else {
        return Ok((Vec::new(), UidSet::new()));
    };
    if since.0 >= record.highest_mod_seq {
        return Ok((Vec::new(), UidSet::new()));
    }
    let prefix = scope.by_number(tag::CHANGE, mailbox.0);
    let mut uids = Vec::new();
    rows.scan(
        &scope.change(mailbox.0, since.0 + 1, 0),
        &keys::end(&prefix),
        &mut |key, _| {
            uids.push(Uid(keys::u32_at(key, prefix.len() + 8)));
            true
        },
    )?;
    uids.sort_unstable();
    let mut changed = Vec::with_capacity(uids.len());
    for uid in uids {
        let key = scope.message(mailbox.0, uid.0);
        let record = rows::get::<MessageRecord>(rows, &key)?
            .ok_or_else(|| RowsError::breach(&key, "MBX-6: a change without its message"))?;
        changed.push((uid, message_row(record)));
    }
    let vanished = if since.0 < record.tombstone_floor {
        let mut missing = Vec::new();
        let mut next = 1;
        for Uid(uid) in self::uids(rows, shard, account, mailbox)? {
            if next < uid {
                missing.push((Uid(next), Uid(uid - 1)));
            }
            next = uid + 1;
        }
        if next < record.uid_next {
            missing.push((Uid(next), Uid(record.uid_next - 1)));
        }
        UidSet::from_ranges(missing)
    } else {
        vanished(rows, scope, mailbox.0, since.0)?
    };
    Ok((changed, vanished))
}

fn vanished(rows: &dyn Rows, scope: Scope, mailbox: u64, since: u64) -> Result<UidSet, RowsError> {
    let prefix = scope.by_number(tag::TOMBSTONE, mailbox);
    let mut ranges = Vec::new();
    rows::scan(
        rows,
        &prefix,
        &scope.tombstone(mailbox, since + 1, 0),
        &keys::end(&prefix),
        &mut |_, record: UidRanges| {
            ranges.extend(ranges_from(&record).ranges().collect::<Vec<_>>());
            Ok(true)
        },
    )?;
    Ok(UidSet::from_ranges(ranges))
}

/// Visits those of `uids` that exist, ascending, until `visit` returns false.
pub(crate) fn each_message(
    rows: &dyn Rows,
    scope: Scope,
    mailbox: u64,
    uids: &UidSet,
    visit: &mut dyn FnMut(u32, MessageRecord) -> bool,
) -> Result<(), RowsError> {
    let prefix = scope.by_number(tag::MESSAGE, mailbox);
    let behind_all = keys::end(&prefix);
    let mut go_on = true;
    for (first, last) in uids.ranges() {
        if first == last {
            // A lookup costs a fraction of a scan.
            let key = scope.message(mailbox, first.0);
            if let Some(record) = rows::get(rows, &key)?
                && !visit(first.0, record)
            {
                break;
            }
            continue;
        }
        let to = match last.0.checked_add(1) {
            Some(behind) => scope.message(mailbox, behind),
            None => behind_all.clone(),
        };
        let from = scope.message(mailbox, first.0);
        rows::scan(rows, &prefix, &from, &to, &mut |rest, record| {
            go_on = visit(keys::u32_at(rest, 0), record);
            Ok(go_on)
        })?;
        if !go_on {
            break;
        }
    }
    Ok(())
}

pub(super) fn scope(shard: u32, account: AccountId) -> Scope {
    Scope {
        shard,
        account: account.0,
    }
}

fn mailbox_row(scope: Scope, id: u64, record: MailboxRecord) -> Result<MailboxRow, RowsError> {
    Ok(MailboxRow {
        id: MailboxId(id),
        name: MailboxName::new(&record.name)
            .map_err(|error| RowsError::breach(&scope.by_number(tag::MAILBOX, id), error))?,
        special_use: SpecialUse::from_number(record.special_use),
        uid_validity: UidValidity(record.uid_validity),
        uid_next: Uid(record.uid_next),
        messages: record.messages,
        unseen: record.unseen,
        deleted: record.deleted,
        size: record.size,
        highest_mod_seq: ModSeq(record.highest_mod_seq),
        lost: record.lost(),
    })
}

pub(super) fn message_row(record: MessageRecord) -> MessageRow {
    MessageRow {
        email: EmailId(record.email),
        mod_seq: ModSeq(record.mod_seq),
        flags: record_flags(&record),
        internal_date: record.internal_date,
        zone: record.zone,
        saved_at: UnixMillis(record.saved_at),
        size: record.size,
        trace: record.trace,
        body: BodyAt {
            index: record.body_index,
            ordinal: record.body_ordinal,
        },
        hash: record.hash,
        thread_keys: record.thread_keys,
    }
}

pub(crate) fn record_flags(record: &MessageRecord) -> Flags {
    flags_from(&FlagSet {
        system: record.system,
        keywords: record.keywords.clone(),
    })
}
