//! Applies one payload: stamps log time and folds its events in order.

use crate::keys::Scope;
use crate::records::ShardRecord;
use crate::rows::{self, Rows, RowsError, RowsMut};
use engine_events::{EventOutcome, Kind, Outcome, Payload, Refusal};
use engine_types::{AccountId, ModSeq, UnixMillis};
use prost::Message;

/// The control group's shard: it alone folds the directory.
pub(crate) const CONTROL_SHARD: u32 = 0;

/// Where a payload stands in its shard's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    pub shard: u32,
    pub term: u64,
    pub index: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Folded {
    pub outcome: Outcome,
    /// Accounts that changed, each with its MODSEQ afterwards.
    pub touched: Vec<(AccountId, ModSeq)>,
}

/// Pure: the same rows, position and payload give the same rows and outcome.
pub fn apply(rows: &mut dyn RowsMut, at: At, payload: &Payload) -> Result<Folded, RowsError> {
    let head = Scope {
        shard: at.shard,
        account: 0,
    }
    .head();
    let mut record: ShardRecord = rows::get(rows, &head)?.unwrap_or_default();
    record.log_time_ms = record.log_time_ms.max(payload.decided_at.0);
    rows.put(head, record.encode_to_vec());
    let outcome = |event: &engine_events::Event| match event.kind {
        Some(Kind::BodyStored(_) | Kind::BodyChunkStored(_)) => EventOutcome::done(),
        _ => EventOutcome::refused(Refusal::Invalid),
    };
    Ok(Folded {
        outcome: Outcome {
            events: payload.command.events.iter().map(outcome).collect(),
            repeated: false,
        },
        touched: Vec::new(),
    })
}

/// The greatest stamp that the shard has folded; 0 before the first.
pub fn log_time(rows: &dyn Rows, shard: u32) -> Result<UnixMillis, RowsError> {
    let head = Scope { shard, account: 0 }.head();
    let record: Option<ShardRecord> = rows::get(rows, &head)?;
    Ok(UnixMillis(record.map_or(0, |record| record.log_time_ms)))
}
