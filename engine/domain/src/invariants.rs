//! What always holds of a shard's rows. One `check`, used alike by tests and by whoever scrubs a replica.
//!
//! - ACC-1: an account's used octets are the sum over its mailboxes.
//! - ACC-2: its counts of mailboxes and subscriptions are those of its rows; INBOX exists.
//! - ACC-3: each kept outcome has one row by id and one by age, and their count is the account's.
//! - ACC-4: no id, MODSEQ or UIDVALIDITY in its rows is above the last that it gave.
//! - MBX-1: messages, unseen, deleted and size of a mailbox are those of its rows.
//! - MBX-2: each UID is below UIDNEXT.
//! - MBX-3: no MODSEQ of a message or tombstone is above the mailbox's highest.
//! - MBX-4: names and mailboxes are one to one; two mailboxes never share a UIDVALIDITY.
//! - MBX-5: a row with a mailbox in its key has that mailbox.
//! - MBX-6: each message has one row in the order of changes, with its MODSEQ, and there are no others.
//! - MBX-7: each keyword's count is the number of messages that carry it.
//! - MBX-8: tombstones are as many as the mailbox counts, above its floor, and name no UID that exists.
//! - MBX-9: a mailbox's row does not contradict itself.
//! - QRT-1: a shard's head counts its rows of quarantine.
//! - CHK-1: a shard's head names the age of its oldest chunk's row, and none without one.
//! - DIR-1: each directory account has its own address as a login.
//! - DIR-2: addresses and their reverse rows name the same accounts, all of which exist.

use crate::keys::{self, Scope, TAGGED_LEN, tag};
use crate::read::record_flags;
use crate::records::{
    AccountRecord, AddressRecord, ChunkRecord, DirectoryRecord, KeptOutcomes, KeywordRecord,
    MailboxRecord, MessageRecord, NameRecord, ShardRecord,
};
use crate::rows::{self, Rows, RowsError};
use engine_events::{UidRanges, ranges_from};
use engine_types::{SystemFlag, UidSet};
use std::collections::{BTreeMap, BTreeSet};

/// Breaches found before the check gives up: a broken shard is rebuilt, not listed.
pub const BREACHES_MAX: usize = 100;

/// The breaches in a shard's rows, each with the sentence's number; none in a sound shard. Reads every row.
pub fn check(rows: &dyn Rows, shard: u32) -> Result<Vec<String>, RowsError> {
    let mut breaches = Breaches(Vec::new());
    let zero = Scope { shard, account: 0 };
    let record: ShardRecord = rows::get(rows, &zero.head())?.unwrap_or_default();
    check_outcomes(rows, zero, record.outcomes, &mut breaches)?;
    check_directory(rows, zero, &mut breaches)?;
    let chunks: BTreeMap<u64, ChunkRecord> = numbered(rows, zero, tag::CHUNK)?;
    let oldest = chunks.values().next().map(|chunk| chunk.at_ms);
    breaches.expect(
        oldest == record.oldest_chunk_ms,
        "CHK-1",
        "the oldest chunk",
    );
    let quarantined = count(rows, &zero.tagged(tag::QUARANTINE))?;
    breaches.expect(
        quarantined == record.quarantined as usize,
        "QRT-1",
        quarantined,
    );
    let mut after = zero;
    while let Some(scope) = next_account(rows, after)? {
        check_account(rows, scope, &mut breaches)?;
        after = scope;
        if breaches.0.len() >= BREACHES_MAX {
            break;
        }
    }
    Ok(breaches.0)
}

struct Breaches(Vec<String>);

impl Breaches {
    fn expect(&mut self, holds: bool, sentence: &str, of: impl std::fmt::Display) {
        if !holds && self.0.len() < BREACHES_MAX {
            self.0.push(format!("{sentence}: {of}"));
        }
    }
}

fn next_account(rows: &dyn Rows, after: Scope) -> Result<Option<Scope>, RowsError> {
    let shard = after.shard;
    let mut found = None;
    let end = keys::end(&shard.to_be_bytes());
    rows.scan(&keys::end(&after.all()), &end, &mut |key, _| {
        let account = keys::u64_at(key, 4);
        found = Some(Scope { shard, account });
        false
    })?;
    Ok(found)
}

fn check_account(rows: &dyn Rows, scope: Scope, breaches: &mut Breaches) -> Result<(), RowsError> {
    let name = format!("account {}", scope.account);
    let Some(account) = rows::get::<AccountRecord>(rows, &scope.head())? else {
        breaches.expect(false, "ACC-2", format!("{name} has rows and no head"));
        return Ok(());
    };
    let mailboxes: BTreeMap<u64, MailboxRecord> = numbered(rows, scope, tag::MAILBOX)?;
    let used: u64 = mailboxes.values().map(|mailbox| mailbox.size).sum();
    breaches.expect(used == account.used_bytes, "ACC-1", &name);
    let subscriptions = count(rows, &scope.tagged(tag::SUBSCRIPTION))?;
    breaches.expect(
        account.subscriptions as usize == subscriptions
            && account.mailboxes as usize == mailboxes.len()
            && mailboxes.values().any(|mailbox| mailbox.name == "INBOX"),
        "ACC-2",
        &name,
    );
    check_outcomes(rows, scope, account.outcomes, breaches)?;
    check_names(rows, scope, &mailboxes, breaches)?;
    for (&mailbox, record) in &mailboxes {
        breaches.expect(
            mailbox <= account.last_mailbox
                && record.highest_mod_seq <= account.mod_seq
                && record.uid_validity <= account.last_uid_validity,
            "ACC-4",
            format!("{name} mailbox {mailbox}"),
        );
        check_mailbox(rows, scope, &account, (mailbox, record), breaches)?;
    }
    for tag in [tag::MESSAGE, tag::CHANGE, tag::TOMBSTONE, tag::KEYWORD] {
        let prefix = scope.tagged(tag);
        rows.scan(&prefix, &keys::end(&prefix), &mut |key, _| {
            let mailbox = keys::u64_at(key, TAGGED_LEN);
            breaches.expect(mailboxes.contains_key(&mailbox), "MBX-5", &name);
            true
        })?;
    }
    Ok(())
}

fn check_names(
    rows: &dyn Rows,
    scope: Scope,
    mailboxes: &BTreeMap<u64, MailboxRecord>,
    breaches: &mut Breaches,
) -> Result<(), RowsError> {
    let prefix = scope.tagged(tag::NAME);
    let mut names = BTreeMap::new();
    let to = keys::end(&prefix);
    rows::scan(
        rows,
        &prefix,
        &prefix,
        &to,
        &mut |text, name: NameRecord| {
            names.insert(name.id, String::from_utf8_lossy(text).into_owned());
            Ok(true)
        },
    )?;
    let by_row = mailboxes.iter().map(|(&id, r)| (id, r.name.clone()));
    let validities: BTreeSet<u32> = mailboxes.values().map(|r| r.uid_validity).collect();
    breaches.expect(
        names == by_row.collect()
            && count(rows, &prefix)? == mailboxes.len()
            && validities.len() == mailboxes.len()
            && !validities.contains(&0),
        "MBX-4",
        format!("account {}", scope.account),
    );
    Ok(())
}

fn check_mailbox(
    rows: &dyn Rows,
    scope: Scope,
    account: &AccountRecord,
    (mailbox, record): (u64, &MailboxRecord),
    breaches: &mut Breaches,
) -> Result<(), RowsError> {
    let name = format!("account {} mailbox {mailbox}", scope.account);
    let mut found = MailboxRecord::default();
    let mut changes = BTreeSet::new();
    let mut keywords: BTreeMap<String, u32> = BTreeMap::new();
    let mut uids = UidSet::new();
    let prefix = scope.by_number(tag::MESSAGE, mailbox);
    let to = keys::end(&prefix);
    rows::scan(
        rows,
        &prefix,
        &prefix,
        &to,
        &mut |rest, message: MessageRecord| {
            let uid = keys::u32_at(rest, 0);
            let flags = record_flags(&message);
            found.messages += 1;
            found.unseen += u32::from(!flags.has(SystemFlag::Seen));
            found.deleted += u32::from(flags.has(SystemFlag::Deleted));
            found.size += message.octets();
            breaches.expect(uid > 0 && uid < record.uid_next, "MBX-2", &name);
            breaches.expect(message.mod_seq <= record.highest_mod_seq, "MBX-3", &name);
            breaches.expect(message.email <= account.last_email, "ACC-4", &name);
            changes.insert((message.mod_seq, uid));
            for keyword in flags.keywords() {
                *keywords
                    .entry(keyword.as_str().to_ascii_lowercase())
                    .or_default() += 1;
            }
            uids.insert(engine_types::Uid(uid));
            Ok(true)
        },
    )?;
    breaches.expect(
        (found.messages, found.unseen, found.deleted, found.size)
            == (record.messages, record.unseen, record.deleted, record.size),
        "MBX-1",
        &name,
    );
    breaches.expect(record.is_sound(), "MBX-9", &name);
    let prefix = scope.by_number(tag::CHANGE, mailbox);
    let mut by_row = BTreeSet::new();
    rows.scan(&prefix, &keys::end(&prefix), &mut |key, _| {
        let at = prefix.len();
        by_row.insert((keys::u64_at(key, at), keys::u32_at(key, at + 8)));
        true
    })?;
    breaches.expect(by_row == changes, "MBX-6", &name);
    let prefix = scope.by_number(tag::KEYWORD, mailbox);
    let mut by_row = BTreeMap::new();
    let to = keys::end(&prefix);
    rows::scan(
        rows,
        &prefix,
        &prefix,
        &to,
        &mut |text, row: KeywordRecord| {
            by_row.insert(String::from_utf8_lossy(text).into_owned(), row.messages);
            Ok(true)
        },
    )?;
    breaches.expect(by_row == keywords, "MBX-7", &name);
    check_tombstones(rows, scope, (mailbox, record), &uids, breaches)
}

fn check_tombstones(
    rows: &dyn Rows,
    scope: Scope,
    (mailbox, record): (u64, &MailboxRecord),
    uids: &UidSet,
    breaches: &mut Breaches,
) -> Result<(), RowsError> {
    let name = format!("account {} mailbox {mailbox}", scope.account);
    let prefix = scope.by_number(tag::TOMBSTONE, mailbox);
    let mut many = 0;
    let to = keys::end(&prefix);
    rows::scan(
        rows,
        &prefix,
        &prefix,
        &to,
        &mut |rest, ranges: UidRanges| {
            many += 1;
            let mod_seq = keys::u64_at(rest, 0);
            let gone = ranges_from(&ranges);
            breaches.expect(mod_seq <= record.highest_mod_seq, "MBX-3", &name);
            breaches.expect(
                mod_seq >= record.tombstone_floor
                    && gone.last().is_some_and(|last| last.0 < record.uid_next)
                    && uids.iter().all(|uid| !gone.contains(uid)),
                "MBX-8",
                &name,
            );
            Ok(true)
        },
    )?;
    breaches.expect(many == record.tombstones, "MBX-8", &name);
    Ok(())
}

fn check_outcomes(
    rows: &dyn Rows,
    scope: Scope,
    kept: Option<KeptOutcomes>,
    breaches: &mut Breaches,
) -> Result<(), RowsError> {
    let kept = kept.unwrap_or_default();
    let prefix = scope.tagged(tag::OUTCOME_AGE);
    let mut by_age = Vec::new();
    let mut sound = true;
    rows.scan(&prefix, &keys::end(&prefix), &mut |key, _| {
        sound &= keys::u64_at(key, TAGGED_LEN) >= kept.oldest_ms;
        by_age.push(key[TAGGED_LEN + 8..].to_vec());
        true
    })?;
    for id in &by_age {
        let mut key = scope.tagged(tag::OUTCOME);
        key.extend(id);
        sound &= rows.get(&key)?.is_some();
    }
    let by_id = count(rows, &scope.tagged(tag::OUTCOME))?;
    breaches.expect(
        sound && by_id == by_age.len() && by_id == kept.count as usize,
        "ACC-3",
        format!("account {}", scope.account),
    );
    Ok(())
}

fn check_directory(
    rows: &dyn Rows,
    scope: Scope,
    breaches: &mut Breaches,
) -> Result<(), RowsError> {
    let accounts: BTreeMap<u64, DirectoryRecord> = numbered(rows, scope, tag::DIRECTORY)?;
    for (&account, record) in &accounts {
        let key = scope.by_text(tag::ADDRESS, &record.address);
        let address = rows::get::<AddressRecord>(rows, &key)?.unwrap_or_default();
        let key = scope.by_text(tag::DIRECTORY_NAME, &record.address);
        let name = rows::get::<NameRecord>(rows, &key)?.unwrap_or_default();
        breaches.expect(
            name.id == account
                && address.login
                && address
                    .targets
                    .iter()
                    .all(|target| target.account == account),
            "DIR-1",
            format!("account {account}"),
        );
    }
    let names = count(rows, &scope.tagged(tag::DIRECTORY_NAME))?;
    breaches.expect(names == accounts.len(), "DIR-1", "names and accounts");
    let prefix = scope.tagged(tag::ADDRESS);
    let mut reverse = BTreeSet::new();
    let to = keys::end(&prefix);
    rows::scan(
        rows,
        &prefix,
        &prefix,
        &to,
        &mut |text, record: AddressRecord| {
            let text = String::from_utf8_lossy(text).into_owned();
            for target in record.targets {
                breaches.expect(accounts.contains_key(&target.account), "DIR-2", &text);
                reverse.insert(scope.number_and_text(tag::ADDRESS_OF, target.account, &text));
            }
            Ok(true)
        },
    )?;
    let prefix = scope.tagged(tag::ADDRESS_OF);
    let mut by_row = BTreeSet::new();
    rows.scan(&prefix, &keys::end(&prefix), &mut |key, _| {
        by_row.insert(key.to_vec());
        true
    })?;
    breaches.expect(by_row == reverse, "DIR-2", "reverse rows");
    Ok(())
}

fn count(rows: &dyn Rows, prefix: &[u8]) -> Result<usize, RowsError> {
    let mut many = 0;
    rows.scan(prefix, &keys::end(prefix), &mut |_, _| {
        many += 1;
        true
    })?;
    Ok(many)
}

/// All rows of a tag that are keyed by one number.
fn numbered<M: prost::Message + Default>(
    rows: &dyn Rows,
    scope: Scope,
    tag: u8,
) -> Result<BTreeMap<u64, M>, RowsError> {
    let prefix = scope.tagged(tag);
    let mut found = BTreeMap::new();
    rows::scan(
        rows,
        &prefix,
        &prefix,
        &keys::end(&prefix),
        &mut |rest, record| {
            found.insert(keys::u64_at(rest, 0), record);
            Ok(true)
        },
    )?;
    Ok(found)
}
