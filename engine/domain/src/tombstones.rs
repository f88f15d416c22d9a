//! What was expunged, by MODSEQ: VANISHED (EARLIER) answers from here (RFC 7162 §3.2.10).

use crate::context::Context;
use crate::keys::{self, tag};
use crate::limits::{
    RANGES_PER_TOMBSTONE_MAX, TOMBSTONES_PER_MAILBOX_MAX, TOMBSTONES_PRUNED_PER_EVENT_MAX,
};
use crate::records::MailboxRecord;
use crate::rows::RowsError;
use engine_events::{UidRanges, ranges_into};
use engine_types::UidSet;

/// `uids` left `mailbox` with `mod_seq`. The caller writes `record`.
pub(crate) fn add(
    cx: &mut Context<'_>,
    mailbox: u64,
    record: &mut MailboxRecord,
    mod_seq: u64,
    uids: &UidSet,
) -> Result<(), RowsError> {
    let ranges = ranges_into(uids);
    for (chunk, bounds) in ranges
        .bounds
        .chunks(2 * RANGES_PER_TOMBSTONE_MAX)
        .enumerate()
    {
        let key = cx.scope.tombstone(mailbox, mod_seq, chunk as u32);
        let bounds = bounds.to_vec();
        cx.put(key, &UidRanges { bounds });
        record.tombstones += 1;
    }
    prune(cx, mailbox, record)
}

fn prune(cx: &mut Context<'_>, mailbox: u64, record: &mut MailboxRecord) -> Result<(), RowsError> {
    let surplus = record.tombstones.saturating_sub(TOMBSTONES_PER_MAILBOX_MAX) as usize;
    let surplus = surplus.min(TOMBSTONES_PRUNED_PER_EVENT_MAX);
    if surplus == 0 {
        return Ok(());
    }
    let prefix = cx.scope.by_number(tag::TOMBSTONE, mailbox);
    // From the floor on: what lies below was deleted, and stepping over deleted rows costs.
    let from = cx.scope.tombstone(mailbox, record.tombstone_floor, 0);
    let mut oldest = Vec::with_capacity(surplus);
    cx.rows.scan(&from, &keys::end(&prefix), &mut |key, _| {
        oldest.push(key.to_vec());
        oldest.len() < surplus
    })?;
    for key in oldest {
        record.tombstone_floor = keys::u64_at(&key, prefix.len());
        record.tombstones -= 1;
        cx.rows.delete(key);
    }
    Ok(())
}
