//! What one event of an account works on: its head row in memory, all other rows behind the trait.
//! Rule: an event checks all, then changes all. A refusal after a write would leave half an event behind.

use crate::keys::{self, Scope, tag};
use crate::records::{AccountRecord, MailboxRecord, NameRecord};
use crate::rows::{self, RowsError, RowsMut};
use engine_events::Refusal;
use engine_types::MailboxName;
use prost::Message;

/// Why an event ends early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Nothing was changed; part of the outcome.
    Refused(Refusal),
    /// Not for this event to decide.
    Rows(RowsError),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Refused(refusal)
    }
}

impl From<RowsError> for Stop {
    fn from(error: RowsError) -> Stop {
        Stop::Rows(error)
    }
}

pub(crate) type Step<T> = Result<T, Stop>;

pub(crate) struct Context<'a> {
    pub rows: &'a mut dyn RowsMut,
    pub scope: Scope,
    pub log_time_ms: u64,
    pub log_index: u64,
    /// Written by the caller if the event is not refused.
    pub account: AccountRecord,
}

impl Context<'_> {
    /// One for each event that changes mail.
    pub fn next_mod_seq(&mut self) -> u64 {
        self.account.mod_seq += 1;
        self.account.mod_seq
    }

    pub fn put(&mut self, key: Vec<u8>, record: &impl Message) {
        self.rows.put(key, record.encode_to_vec());
    }

    pub fn mailbox(&self, mailbox: u64) -> Step<MailboxRecord> {
        let key = self.scope.by_number(tag::MAILBOX, mailbox);
        let record: MailboxRecord = rows::get(self.rows, &key)?.ok_or(Refusal::NoSuchMailbox)?;
        match record.is_sound() {
            true => Ok(record),
            false => Err(RowsError::breach(&key, "MBX-9: the mailbox contradicts itself").into()),
        }
    }

    pub fn put_mailbox(&mut self, mailbox: u64, record: &MailboxRecord) {
        assert!(
            record.is_sound(),
            "MBX-9: mailbox {mailbox} would contradict itself"
        );
        self.put(self.scope.by_number(tag::MAILBOX, mailbox), record);
    }

    pub fn find(&self, name: &MailboxName) -> Result<Option<u64>, RowsError> {
        let key = self.scope.by_text(tag::NAME, name.as_str());
        Ok(rows::get::<NameRecord>(self.rows, &key)?.map(|found| found.id))
    }

    pub fn has_children(&self, name: &MailboxName) -> Result<bool, RowsError> {
        let prefix = self.scope.by_text(
            tag::NAME,
            &format!("{}{}", name.as_str(), MailboxName::SEPARATOR),
        );
        let mut any = false;
        self.rows.scan(&prefix, &keys::end(&prefix), &mut |_, _| {
            any = true;
            false
        })?;
        Ok(any)
    }

    /// Deletes every row whose key begins with `prefix`.
    pub fn delete_all(&mut self, prefix: &[u8]) -> Result<(), RowsError> {
        let mut gone = Vec::new();
        self.rows.scan(prefix, &keys::end(prefix), &mut |key, _| {
            gone.push(key.to_vec());
            true
        })?;
        for key in gone {
            self.rows.delete(key);
        }
        Ok(())
    }
}

/// A name from an event.
pub(crate) fn name(text: &str) -> Step<MailboxName> {
    Ok(MailboxName::new(text).map_err(|_| Refusal::Invalid)?)
}
