//! Which log entries a row cannot be read without: their payloads are the homes of bodies.

use crate::keys::{self, TAGGED_LEN, tag};
use crate::records::MessageRecord;
use crate::rows::{self, RowsError};

/// Calls `name` with the log index of each entry whose payload this row names; in no order, and some may come twice.
/// Whoever takes over a shard's rows at one position must hold these entries too.
pub fn entries_named(key: &[u8], value: &[u8], name: &mut dyn FnMut(u64)) -> Result<(), RowsError> {
    let account = keys::u64_at(key, 4);
    if account != 0 && key.get(TAGGED_LEN - 1) == Some(&tag::MESSAGE) {
        let message: MessageRecord = rows::decode(key, value)?;
        name(message.body_index);
    }
    Ok(())
}
