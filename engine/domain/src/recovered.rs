//! A shard goes on from what one site had (design §3, Recovery). The lost site may have given numbers that nobody here
//! knows of, and clients may hold them: so every counter that a client can hold jumps, and what it jumped over is never
//! given to anything else (promise P5).
//!
//! Changes all accounts' and mailboxes' rows of the shard at once; messages keep theirs.

use crate::keys::{self, Scope, tag};
use crate::limits::{EMAIL_JUMP, MOD_SEQ_JUMP, UID_JUMP, UID_VALIDITY_JUMP};
use crate::records::{AccountRecord, MailboxRecord, ShardRecord};
use crate::rows::{RowsError, RowsMut};
use engine_events::{EventOutcome, Refusal, ShardRecovered};
use engine_types::{AccountId, ModSeq};
use prost::Message;
use std::collections::BTreeMap;

/// With each account's MODSEQ afterwards.
pub(crate) type Jumped = BTreeMap<AccountId, ModSeq>;

/// Refused unless the incarnation is a new one: the event of an interrupted recovery may stand in the log twice.
pub(crate) fn apply(
    rows: &mut dyn RowsMut,
    shard: u32,
    head: &mut ShardRecord,
    event: &ShardRecovered,
) -> Result<(EventOutcome, Jumped), RowsError> {
    if event.incarnation <= head.incarnation.max(1) {
        return Ok((EventOutcome::refused(Refusal::Invalid), Jumped::new()));
    }
    head.incarnation = event.incarnation;
    let mut jumped = Jumped::new();
    for account in accounts(rows, shard)? {
        let scope = Scope { shard, account };
        let Some(value) = rows.get(&scope.head())? else {
            continue;
        };
        // Rows that cannot be read are in quarantine, or will be: nothing is given out from them.
        let Ok(mut record) = AccountRecord::decode(value) else {
            continue;
        };
        record.mod_seq += MOD_SEQ_JUMP;
        record.last_mailbox += EMAIL_JUMP;
        record.last_email += EMAIL_JUMP;
        record.last_uid_validity = record.last_uid_validity.saturating_add(UID_VALIDITY_JUMP);
        jump_mailboxes(rows, scope, &mut record)?;
        jumped.insert(AccountId(account), ModSeq(record.mod_seq));
        rows.put(scope.head(), record.encode_to_vec());
    }
    Ok((EventOutcome::done(), jumped))
}

/// From account to account by a look each, past the rows between.
fn accounts(rows: &dyn RowsMut, shard: u32) -> Result<Vec<u64>, RowsError> {
    let mut found = Vec::new();
    let all = shard.to_be_bytes();
    let end = keys::end(&all);
    let mut from = Scope { shard, account: 1 }.all();
    loop {
        let mut next = None;
        rows.scan(&from, &end, &mut |key, _| {
            next = Some(keys::u64_at(key, all.len()));
            false
        })?;
        let Some(account) = next else {
            return Ok(found);
        };
        found.push(account);
        from = keys::end(&Scope { shard, account }.all());
    }
}

fn jump_mailboxes(
    rows: &mut dyn RowsMut,
    scope: Scope,
    account: &mut AccountRecord,
) -> Result<(), RowsError> {
    let prefix = scope.tagged(tag::MAILBOX);
    let mut found = Vec::new();
    rows.scan(&prefix, &keys::end(&prefix), &mut |key, value| {
        if let Ok(record) = MailboxRecord::decode(value) {
            found.push((key.to_vec(), record));
        }
        true
    })?;
    for (key, mut record) in found {
        match record.uid_next.checked_add(UID_JUMP) {
            Some(jumped) if jumped < u32::MAX - UID_JUMP => record.uid_next = jumped,
            // No numbers left to jump over: its UIDs get another meaning, and say so (RFC 9051 §2.3.1.1).
            _ => {
                account.last_uid_validity = account.last_uid_validity.saturating_add(1);
                record.uid_validity = account.last_uid_validity;
            }
        }
        // A second recovery: what lies between the two ranges is then taken for lost too, and costs one look more.
        if record.lost_upto == 0 {
            record.lost_after = record.highest_mod_seq;
        }
        record.lost_upto = account.mod_seq;
        record.highest_mod_seq = account.mod_seq;
        rows.put(key, record.encode_to_vec());
    }
    Ok(())
}
