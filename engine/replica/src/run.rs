//! Entries to rows: one run of them, before anything is written.

use crate::overlay::Overlay;
use bytes::Bytes;
use engine_domain::{At, RowsError};
use engine_events::{DecodeError, EventOutcome, Outcome, Payload, Refusal};
use engine_store::ViewStore;
use engine_types::{AccountId, ModSeq};
use raft_api::{Committed, LogId, ShardId};
use std::collections::BTreeMap;
use thiserror::Error;

/// Why the shard folds nothing more in this process. Reads go on, at the last applied position.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Stopped {
    /// Install a version that knows it.
    #[error("entry {at} holds an event of a kind that this version does not know")]
    UnknownKind { at: LogId },
    #[error("the views failed at entry {at}: {detail}")]
    Store { at: LogId, detail: String },
    #[error("entry {at} does not follow {applied}")]
    Gap { at: LogId, applied: LogId },
    /// The next start removes what is left of the rows, and the snapshot is installed again.
    #[error("the snapshot at {at} could not be installed: {detail}")]
    NotInstalled { at: LogId, detail: String },
}

/// What a run of entries makes of the rows.
pub struct Run<'a> {
    shard: ShardId,
    pub overlay: Overlay<'a>,
    /// The last entry that is folded whole.
    pub applied: Option<LogId>,
    pub outcomes: Vec<Bytes>,
    pub touched: BTreeMap<AccountId, ModSeq>,
}

impl<'a> Run<'a> {
    pub fn new(shard: ShardId, store: &'a dyn ViewStore, applied: Option<LogId>) -> Run<'a> {
        Run {
            shard,
            overlay: Overlay::new(store),
            applied,
            outcomes: Vec::new(),
            touched: BTreeMap::new(),
        }
    }

    /// Folds until the first entry that it must not pass.
    pub fn fold(&mut self, entries: &[Committed]) -> Result<(), Stopped> {
        for entry in entries {
            let at = entry.log_id;
            if let Some(applied) = self.applied
                && at.index != applied.index.next()
            {
                return Err(Stopped::Gap { at, applied });
            }
            let outcome = self.fold_entry(entry)?;
            self.outcomes.push(outcome);
            self.applied = Some(at);
        }
        Ok(())
    }

    fn fold_entry(&mut self, entry: &Committed) -> Result<Bytes, Stopped> {
        let at = entry.log_id;
        if entry.payload.is_empty() {
            return Ok(Bytes::new());
        }
        let payload = match Payload::decode(entry.payload.clone()) {
            Ok(payload) => payload,
            Err(DecodeError::UnknownKind { .. }) => return Err(Stopped::UnknownKind { at }),
            // No leader admits such an entry. It is equal on all replicas, so its refusal is too.
            Err(DecodeError::Short | DecodeError::Protobuf(_) | DecodeError::CommandId) => {
                let refused = Outcome {
                    events: vec![EventOutcome::refused(Refusal::Invalid)],
                    repeated: false,
                };
                return Ok(refused.encode_outcome());
            }
        };
        let place = At {
            shard: self.shard.0,
            term: at.term.0,
            index: at.index.0,
        };
        let folded = engine_domain::apply(&mut self.overlay, place, &payload)
            .map_err(|RowsError(detail)| Stopped::Store { at, detail })?;
        for (account, mod_seq) in folded.touched {
            let newest = self.touched.entry(account).or_insert(mod_seq);
            *newest = mod_seq.max(*newest);
        }
        Ok(folded.outcome.encode_outcome())
    }
}
