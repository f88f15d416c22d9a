//! Entries to rows: one run of them, before anything is written.

use crate::overlay::Overlay;
use crate::view::View;
use bytes::Bytes;
use engine_domain::{At, Breach};
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
    /// Entry `at` met rows that this replica has and others have not: move its views away, they are rebuilt.
    #[error("the views are not those of their digest, seen at entry {at}: {detail}")]
    Rotten { at: LogId, detail: String },
    #[error("entry {at} does not follow {applied}")]
    Gap { at: LogId, applied: LogId },
    /// The next start removes what is left of the rows, and the snapshot is installed again.
    #[error("the snapshot at {at} could not be installed: {detail}")]
    NotInstalled { at: LogId, detail: String },
}

/// What a run of entries makes of the rows.
pub struct Run<'a> {
    shard: ShardId,
    store: &'a dyn ViewStore,
    /// Of the rows in `store`, as kept.
    digest: u128,
    pub overlay: Overlay<'a>,
    /// The last entry that is folded whole.
    pub applied: Option<LogId>,
    pub outcomes: Vec<Bytes>,
    pub touched: BTreeMap<AccountId, ModSeq>,
}

impl<'a> Run<'a> {
    pub fn new(
        shard: ShardId,
        store: &'a dyn ViewStore,
        (applied, digest): (Option<LogId>, u128),
    ) -> Run<'a> {
        Run {
            shard,
            store,
            digest,
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
        let folded = engine_domain::apply(&mut self.overlay, place, &payload).map_err(|error| {
            Stopped::Store {
                at,
                detail: error.to_string(),
            }
        })?;
        if !folded.breaches.is_empty() {
            self.check_rows(at, &folded.breaches)?;
        }
        for (account, mod_seq) in folded.touched {
            let newest = self.touched.entry(account).or_insert(mod_seq);
            *newest = mod_seq.max(*newest);
        }
        Ok(folded.outcome.encode_outcome())
    }

    /// All replicas bring a mailbox into quarantine, or none: a breach that only this one's rows have must stop it. Rows
    /// that add up to the kept digest are what the fold wrote, here as on the others. Reads all of the shard, at most
    /// once for each mailbox that is closed.
    fn check_rows(&self, at: LogId, breaches: &[Breach]) -> Result<(), Stopped> {
        let found = View::at_rest(self.shard, self.store).recompute_digest();
        let found = found.map_err(|error| Stopped::Store {
            at,
            detail: error.to_string(),
        })?;
        for breach in breaches {
            let (account, mailbox) = (breach.account.0, breach.mailbox.map(|mailbox| mailbox.0));
            let (shard, detail) = (self.shard.0, &breach.detail);
            if found.value != self.digest.to_be_bytes() {
                let detail = format!("account {account}, mailbox {mailbox:?}: {detail}");
                return Err(Stopped::Rotten { at, detail });
            }
            tracing::error!(shard, %at, account, mailbox, detail, "a mailbox is in quarantine");
        }
        Ok(())
    }
}
