//! What goes into the next batch: second copies of votes, then the queue in order, as far as bounds and segment allow.

use crate::format::{BatchHead, BatchRow, frame_bytes};
use crate::log_end::Batch;
use crate::queue::{Item, Queued};
use crate::state::State;
use crate::writer::Writer;
use crate::{JournalBroken, limits};
use raft_api::{LogId, ShardId};
use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

impl Writer {
    pub(crate) fn has_frames_to_write(&self) -> bool {
        !self.second_copies.is_empty()
            || self
                .shared
                .state
                .lock()
                .queue
                .iter()
                .any(|queued| queued.item.shard().is_some())
    }

    /// Goes on to the next segment if the next item does not fit in this one.
    pub(crate) fn make_room_for_next(&mut self) -> Result<(), JournalBroken> {
        let (payload, rows) = {
            let state = self.shared.state.lock();
            let next = self.second_copies.front().or_else(|| {
                state
                    .queue
                    .iter()
                    .map(|queued| &queued.item)
                    .find(|item| item.shard().is_some())
            });
            (
                next.map_or(0, |item| item.payload().len()),
                state.shards.len() + 1,
            )
        };
        let bytes = frame_bytes(BatchHead::payload_bytes(rows)) + frame_bytes(payload);
        if self.log.fits(bytes, 1, rows) {
            return Ok(());
        }
        self.log.seal_segment(&self.shared)?;
        self.log.next_segment(&self.shared)?;
        if self.log.fits(bytes, 1, rows) {
            Ok(())
        } else {
            Err(JournalBroken::NoRoom)
        }
    }

    /// Takes second copies, then the queue in order, as far as bounds and segment allow.
    pub(crate) fn take_batch(&mut self) -> Batch {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state.lock();
        let rows = mark_rows(&mut state, &self.log.last);
        let mut batch = Batch {
            items: Vec::new(),
            rows,
            bytes: 0,
            cost: 0,
        };
        let mut frames = 0_u64;
        let mut count = 0;
        loop {
            let second = self.second_copies.front();
            let Some(item) = second.or_else(|| state.queue.front().map(|queued| &queued.item))
            else {
                break;
            };
            if let Some(shard) = item.shard() {
                let rows = batch.rows.len() + usize::from(!batch.rows.contains_key(&shard));
                let bytes = frames + frame_bytes(item.payload().len());
                let total = frame_bytes(BatchHead::payload_bytes(rows)) + bytes;
                let is_full = total > limits::MAX_BATCH_BYTES || count == limits::MAX_BATCH_FRAMES;
                if (count > 0 && is_full) || !self.log.fits(total, count + 1, rows) {
                    break;
                }
                if second.is_none() {
                    batch.cost += state.cost(item.payload().len());
                }
                note_item(&mut batch.rows, &mut self.log.last, item, shard);
                (frames, batch.bytes, count) = (bytes, total, count + 1);
            }
            let queued = match self.second_copies.pop_front() {
                Some(item) => Some(Queued { item, done: None }),
                None => state.queue.pop_front(),
            };
            batch.items.extend(queued);
        }
        if count == 0 {
            // Marks alone do not make a batch; the seal takes them.
            state.marks_are_dirty |= !batch.rows.is_empty();
            for shard in batch.rows.keys() {
                if let Some(shard) = state.shards.get_mut(shard) {
                    shard.mark_is_dirty = true;
                }
            }
        }
        batch
    }
}

/// Rows for marks that the disk does not know yet. They count as told once these rows are written.
pub(crate) fn mark_rows(
    state: &mut State,
    last: &BTreeMap<ShardId, LogId>,
) -> BTreeMap<ShardId, BatchRow> {
    if !mem::take(&mut state.marks_are_dirty) {
        return BTreeMap::new();
    }
    let mut rows = BTreeMap::new();
    for (id, shard) in &mut state.shards {
        if mem::take(&mut shard.mark_is_dirty) {
            rows.insert(
                *id,
                BatchRow {
                    shard: *id,
                    frames: 0,
                    last: last.get(id).copied(),
                    mark: shard.mark,
                },
            );
        }
    }
    rows
}

fn note_item(
    rows: &mut BTreeMap<ShardId, BatchRow>,
    last: &mut BTreeMap<ShardId, LogId>,
    item: &Item,
    shard: ShardId,
) {
    let ends_with = match item {
        Item::Entry { entry, .. } => Some(entry.log_id),
        Item::Truncate { last, .. } => *last,
        Item::Purge { last, .. } => Some(*last),
        Item::Vote { .. } | Item::Adopted { .. } | Item::Part { .. } | Item::Nothing => {
            last.get(&shard).copied()
        }
    };
    match ends_with {
        Some(log_id) => last.insert(shard, log_id),
        None => last.remove(&shard),
    };
    let row = rows.entry(shard).or_insert(BatchRow {
        shard,
        frames: 0,
        last: None,
        mark: None,
    });
    row.frames += 1;
    row.last = ends_with;
}
