//! Which log entries a row cannot be read without: their payloads are the homes of bodies.

use crate::keys::{self, TAGGED_LEN, tag};
use crate::records::MessageRecord;
use crate::rows::{self, RowsError};
use engine_types::{AccountId, MailboxId, Uid};

/// Calls `name` with the log index of each entry whose payload this row names; in no order, and some may come twice.
/// Whoever takes over a shard's rows at one position must hold these entries too.
pub fn entries_named(key: &[u8], value: &[u8], name: &mut dyn FnMut(u64)) -> Result<(), RowsError> {
    let of_shard = keys::u64_at(key, 4) == 0;
    match key.get(TAGGED_LEN - 1) {
        Some(&tag::MESSAGE) if !of_shard => {
            let message: MessageRecord = rows::decode(key, value)?;
            name(message.body_index);
            message.chunks.into_iter().for_each(name);
        }
        // Bodies that name it may be on their way.
        Some(&tag::CHUNK) if of_shard => name(keys::u64_at(key, TAGGED_LEN)),
        _ => {}
    }
    Ok(())
}

/// Whose row it is, if it is a message's.
pub fn message_at(key: &[u8]) -> Option<(AccountId, MailboxId, Uid)> {
    let account = keys::u64_at(key, 4);
    let is_message = account != 0 && key.get(TAGGED_LEN - 1) == Some(&tag::MESSAGE);
    is_message.then(|| {
        let mailbox = MailboxId(keys::u64_at(key, TAGGED_LEN));
        let uid = Uid(keys::u32_at(key, TAGGED_LEN + 8));
        (AccountId(account), mailbox, uid)
    })
}
