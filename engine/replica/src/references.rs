//! References from rows to entries, for whoever checks that every one leads somewhere.

use crate::keys::{is_own, shard_range};
use crate::view::View;
use bytes::Bytes;
use engine_domain::{Rows, RowsError, entries_named, message_at};
use engine_events::{Kind, Payload};
use raft_api::LogIndex;
use std::fmt;

/// Whose row names an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    Message {
        account: u64,
        mailbox: u64,
        uid: u32,
    },
    /// A piece of a message that is on its way.
    Chunk,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Named::Message {
                account,
                mailbox,
                uid,
            } => write!(f, "message {uid} of mailbox {mailbox} of account {account}"),
            Named::Chunk => f.write_str("a piece of a message that is not finished"),
        }
    }
}

impl View {
    /// All references of all rows; an entry may come many times.
    pub fn each_reference(&self, visit: &mut dyn FnMut(Named, LogIndex)) -> Result<(), RowsError> {
        let shard = self.shard();
        let (from, to) = shard_range(shard);
        let mut failed = None;
        self.scan(&from, &to, &mut |key, value| {
            if is_own(shard, key) {
                return true;
            }
            let named =
                message_at(key).map_or(Named::Chunk, |(account, mailbox, uid)| Named::Message {
                    account: account.0,
                    mailbox: mailbox.0,
                    uid: uid.0,
                });
            let read = entries_named(key, value, &mut |index| visit(named, LogIndex(index)));
            failed = read.err();
            failed.is_none()
        })?;
        failed.map_or(Ok(()), Err)
    }
}

/// True: the entry's payload can be what a row names.
pub fn holds_body(payload: &Bytes) -> bool {
    let is_body =
        |kind: &Option<Kind>| matches!(kind, Some(Kind::BodyStored(_) | Kind::BodyChunkStored(_)));
    Payload::decode(payload.clone()).is_ok_and(|payload| {
        payload
            .command
            .events
            .iter()
            .any(|event| is_body(&event.kind))
    })
}
