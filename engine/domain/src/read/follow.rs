//! Messages for whoever follows them beside the rows: search.

use super::mail::{MessageRow, each_message, message_row, scope};
use crate::keys::{self, TAGGED_LEN, tag};
use crate::rows::{self, Rows, RowsError};
use engine_types::{AccountId, EmailId, MailboxId, Uid, UidSet};

/// What a changed row means for whoever follows messages beside the rows (search): one came into a mailbox, or left one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageMoved {
    pub account: AccountId,
    /// `None`: it left.
    pub row: Option<MessageRow>,
    pub email: EmailId,
}

/// `None`: not a message's row, or one that only changed.
pub fn message_moved(
    key: &[u8],
    before: Option<&[u8]>,
    after: Option<&[u8]>,
) -> Result<Option<MessageMoved>, RowsError> {
    // Shard and account, then the tag.
    if key.get(TAGGED_LEN - 1) != Some(&tag::MESSAGE) {
        return Ok(None);
    }
    let (record, has_come) = match (before, after) {
        (None, Some(after)) => (after, true),
        (Some(before), None) => (before, false),
        _ => return Ok(None),
    };
    let row = message_row(rows::decode(key, record)?);
    Ok(Some(MessageMoved {
        account: AccountId(keys::u64_at(key, 4)),
        email: row.email,
        row: has_come.then_some(row),
    }))
}

/// The next account of a mail shard behind `after` that has rows.
pub fn next_account(
    rows: &dyn Rows,
    shard: u32,
    after: AccountId,
) -> Result<Option<AccountId>, RowsError> {
    let Some(next) = after.0.checked_add(1) else {
        return Ok(None);
    };
    let from = scope(shard, AccountId(next)).all();
    let mut found = None;
    rows.scan(&from, &keys::end(&shard.to_be_bytes()), &mut |key, _| {
        found = Some(AccountId(keys::u64_at(key, 4)));
        false
    })?;
    Ok(found)
}

/// Which message of the account each UID of a mailbox is, ascending by UID.
pub fn emails(
    rows: &dyn Rows,
    shard: u32,
    account: AccountId,
    mailbox: MailboxId,
) -> Result<Vec<(Uid, EmailId)>, RowsError> {
    let mut found = Vec::new();
    let all = UidSet::all();
    each_message(
        rows,
        scope(shard, account),
        mailbox.0,
        &all,
        &mut |uid, record| {
            found.push((Uid(uid), EmailId(record.email)));
            true
        },
    )?;
    Ok(found)
}

/// All messages of an account, each as often as it lies in a mailbox, until `visit` returns false.
pub fn each_of_account(
    rows: &dyn Rows,
    shard: u32,
    account: AccountId,
    visit: &mut dyn FnMut(MessageRow) -> bool,
) -> Result<(), RowsError> {
    let prefix = scope(shard, account).tagged(tag::MESSAGE);
    let mut failed = None;
    rows.scan(
        &prefix,
        &keys::end(&prefix),
        &mut |key, row| match rows::decode(key, row) {
            Ok(record) => visit(message_row(record)),
            Err(error) => {
                failed = Some(error);
                false
            }
        },
    )?;
    failed.map_or(Ok(()), Err)
}
