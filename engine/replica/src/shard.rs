//! One shard on one node: the fold's loop around `engine_domain::apply`.
//!
//! Numbered, checked by `tests/`:
//! SHD-1: rows, digest and applied position change in one batch. A crash shows the state after some batch, never
//! between two. SHD-2: `flushed` never says more than the store holds on stable storage. SHD-3: an entry that this
//! version cannot read stops the shard: it is not skipped, and nothing after it is folded.

use crate::Clock;
use crate::digest::{Digest, row_hash};
use crate::follower::Follower;
use crate::installing::{self, Begun};
use crate::keys::position_key;
use crate::limits::{FLUSH_WAIT_MS_MAX, SESSION_BYTES_MAX, UNFLUSHED_BYTES_MAX};
use crate::open::{OpenError, read_position};
use crate::overlay::{Overlay, RowChange};
use crate::pinned::Pinned;
use crate::position::PositionRow;
use crate::run::{Run, Stopped};
use crate::view::View;
use crate::watchers::Watchers;
use bytes::Bytes;
use engine_domain::read;
use engine_events::Payload;
use engine_events::limits::{EVENTS_PER_COMMAND_MAX, PAYLOAD_BYTES_MAX};
use engine_store::{Batch, StoreError, ViewSnapshot, ViewStore};
use engine_types::{AccountId, ModSeq, UnixMillis};
use parking_lot::{Mutex, RwLock};
use raft_api::{
    Committed, EntriesError, LogId, LogIndex, Refused, ShardId, SnapshotSource, StateMachine,
};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;

/// One per shard and node.
pub struct Shard {
    id: ShardId,
    store: Arc<dyn ViewStore>,
    clock: Arc<dyn Clock>,
    /// Taken by the fold, for whole batches.
    state: Mutex<State>,
    /// Never held while `state` is waited for.
    watchers: Mutex<Watchers>,
    stopped: watch::Sender<Option<Stopped>>,
    /// While a snapshot is being installed: the rows before it, which readers go on to see.
    held: RwLock<Option<Arc<dyn ViewSnapshot>>>,
    follower: OnceLock<Arc<dyn Follower>>,
}

/// Nothing is applied while a snapshot is being installed, and after that failed.
#[derive(Default)]
struct State {
    applied: Option<LogId>,
    digest: u128,
    /// At or below `applied`; rises only.
    flushed: Option<LogIndex>,
    unflushed_bytes: u64,
    flushed_at: UnixMillis,
}

impl Shard {
    pub fn open(
        shard: ShardId,
        store: Arc<dyn ViewStore>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Shard>, OpenError> {
        if installing::is_marked(store.as_ref(), shard)? {
            tracing::warn!(%shard, "an installation was cut short: the shard's rows are removed");
            installing::wipe(store.as_ref(), shard)?;
        }
        let (applied, digest) = read_position(shard, store.as_ref())?.unzip();
        let flushed_at = clock.now();
        // The store may be shared and open for long: what is in it now need not be on stable storage yet.
        store.flush()?;
        Ok(Arc::new(Shard {
            id: shard,
            store,
            clock,
            state: Mutex::new(State {
                applied,
                digest: digest.unwrap_or_default(),
                flushed: applied.map(|log_id| log_id.index),
                unflushed_bytes: 0,
                flushed_at,
            }),
            watchers: Mutex::new(Watchers::new()),
            stopped: watch::Sender::new(None),
            held: RwLock::new(None),
            follower: OnceLock::new(),
        }))
    }

    /// From the next batch on. The first call counts.
    pub fn follow(&self, follower: Arc<dyn Follower>) {
        // Between two batches, so that the position of this moment is the one before the first that is told.
        let _state = self.state.lock();
        let _ = self.follower.set(follower);
    }

    pub fn id(&self) -> ShardId {
        self.id
    }

    /// The rows at the applied position of this moment.
    pub fn view(&self) -> View {
        let held = self.held.read();
        let rows = held.clone().unwrap_or_else(|| self.store.snapshot().into());
        View::new(self.id, rows)
    }

    /// Wakes when the fold touches the account; holds the account's newest MODSEQ, 0 for an unknown account.
    pub fn watch_account(&self, account: AccountId) -> watch::Receiver<ModSeq> {
        let mut watchers = self.watchers.lock();
        // Read under the lock: what is written later wakes the receiver, since the fold writes before it wakes.
        let now = self.mod_seq(account);
        watchers.watch(account, now)
    }

    /// Kept with each batch. `View::recompute_digest` is what it must equal.
    pub fn digest(&self) -> Digest {
        let state = self.state.lock();
        Digest {
            position: state.applied,
            value: state.digest.to_be_bytes(),
        }
    }

    /// `Some` once the shard has stopped folding; a health problem, and final for this process.
    pub fn stopped(&self) -> watch::Receiver<Option<Stopped>> {
        self.stopped.subscribe()
    }

    /// Puts all that is folded on stable storage: at shutdown, and before Raft's log is to shrink.
    pub fn flush(&self) -> Result<(), StoreError> {
        let (applied, unflushed_bytes) = {
            let state = self.state.lock();
            (state.applied, state.unflushed_bytes)
        };
        // Without the lock, so that the fold goes on meanwhile.
        self.store.flush()?;
        let mut state = self.state.lock();
        state.flushed = state.flushed.max(applied.map(|log_id| log_id.index));
        state.unflushed_bytes = state.unflushed_bytes.saturating_sub(unflushed_bytes);
        state.flushed_at = self.clock.now();
        Ok(())
    }

    /// By size or time; the fold calls it after each batch, a ticker may call it when nothing comes in.
    pub fn flush_if_due(&self) -> Result<(), StoreError> {
        let due = {
            let state = self.state.lock();
            let waited_ms = self.clock.now().0.saturating_sub(state.flushed_at.0);
            state.unflushed_bytes >= UNFLUSHED_BYTES_MAX
                || (state.unflushed_bytes > 0 && waited_ms >= FLUSH_WAIT_MS_MAX)
        };
        if due { self.flush() } else { Ok(()) }
    }

    fn mod_seq(&self, account: AccountId) -> ModSeq {
        match read::account(&self.view(), self.id.0, account) {
            Ok(Some(row)) => row.mod_seq,
            Ok(None) | Err(_) => ModSeq(0),
        }
    }

    fn stop(&self, why: Stopped) {
        tracing::error!(shard = self.id.0, %why, "the shard stops folding");
        self.stopped.send_if_modified(|stopped| {
            let first = stopped.is_none();
            if first {
                *stopped = Some(why);
            }
            first
        });
    }

    /// The one batch of a run: its rows, the digest and the position.
    fn write(
        &self,
        state: &mut State,
        applied: LogId,
        overlay: Overlay<'_>,
    ) -> Result<(), StoreError> {
        let changes = overlay.into_changes()?;
        let mut digest = state.digest;
        let mut bytes = 0u64;
        let mut moved = Vec::new();
        let follower = self.follower.get();
        let mut batch: Batch = Vec::with_capacity(changes.len() + 1);
        for RowChange { key, before, after } in changes {
            if let Some(before) = &before {
                digest = digest.wrapping_sub(row_hash(&key, before));
            }
            if let Some(after) = &after {
                digest = digest.wrapping_add(row_hash(&key, after));
            }
            // A row that cannot be read is the fold's to find.
            if follower.is_some()
                && let Ok(Some(one)) =
                    read::message_moved(&key, before.as_deref(), after.as_deref())
            {
                moved.push(one);
            }
            bytes += (key.len() + after.as_ref().map_or(0, Bytes::len)) as u64;
            batch.push((key, after.map(Vec::from)));
        }
        let row = PositionRow::new(applied, digest).encode_row();
        bytes += row.len() as u64;
        batch.push((position_key(self.id), Some(row)));
        self.store.write(batch)?;
        state.digest = digest;
        state.applied = Some(applied);
        state.unflushed_bytes += bytes;
        if let Some(follower) = follower {
            follower.moved(self.id, applied, moved);
        }
        Ok(())
    }

    fn wake(&self, touched: &BTreeMap<AccountId, ModSeq>) {
        let watchers = self.watchers.lock();
        for (account, mod_seq) in touched {
            watchers.wake(*account, *mod_seq);
        }
    }

    fn io(&self, detail: impl ToString) -> EntriesError {
        EntriesError::Io {
            shard: self.id,
            detail: detail.to_string(),
        }
    }
}

impl StateMachine for Shard {
    fn applied(&self) -> Option<LogId> {
        self.state.lock().applied
    }

    /// Stamped and sure to decode: what is refused here never reaches a log.
    fn admit(&self, command: Bytes) -> Result<Bytes, Refused> {
        if command.len() + 8 > PAYLOAD_BYTES_MAX {
            return Err(Refused::Malformed);
        }
        let payload = Payload::stamp(self.clock.now(), &command);
        let decoded = Payload::decode(payload.clone()).map_err(|_| Refused::Malformed)?;
        let events = decoded.command.events.len();
        if events == 0
            || events > EVENTS_PER_COMMAND_MAX
            || decoded.command.session.len() > SESSION_BYTES_MAX
        {
            return Err(Refused::Malformed);
        }
        Ok(payload)
    }

    /// An empty outcome: the entry is consensus' own, or the shard has stopped and the outcome is unknown.
    fn apply(&self, entries: &[Committed]) -> Vec<Bytes> {
        let mut state = self.state.lock();
        let unknown = || vec![Bytes::new(); entries.len()];
        if self.stopped.borrow().is_some() {
            return unknown();
        }
        let mut run = Run::new(self.id, self.store.as_ref(), (state.applied, state.digest));
        let folded = run.fold(entries);
        let Run {
            overlay,
            applied,
            mut outcomes,
            touched,
            ..
        } = run;
        // A failure of the rows may have left an entry half in the overlay: then nothing of this run is written.
        let whole = !matches!(folded, Err(Stopped::Store { .. } | Stopped::Rotten { .. }));
        if whole
            && let Some(applied) = applied
            && !outcomes.is_empty()
            && let Err(error) = self.write(&mut state, applied, overlay)
        {
            self.stop(Stopped::Store {
                at: applied,
                detail: error.to_string(),
            });
            return unknown();
        }
        drop(state);
        if let Err(why) = folded {
            self.stop(why);
            if !whole {
                return unknown();
            }
            outcomes.resize(entries.len(), Bytes::new());
        }
        self.wake(&touched);
        if let Err(error) = self.flush_if_due()
            && let Some(at) = applied
        {
            self.stop(Stopped::Store {
                at,
                detail: error.to_string(),
            });
        }
        outcomes
    }

    fn flushed(&self) -> Option<LogIndex> {
        self.state.lock().flushed
    }

    fn flush(&self) -> Result<(), EntriesError> {
        Shard::flush(self).map_err(|error| self.io(error))
    }

    fn snapshot(&self) -> Result<Arc<dyn SnapshotSource>, EntriesError> {
        let pinned = Pinned::new(self.view()).map_err(|error| self.io(error))?;
        let nothing_folded = EntriesError::Missing {
            shard: self.id,
            index: LogIndex(0),
        };
        Ok(Arc::new(pinned.ok_or(nothing_folded)?))
    }

    /// Readers see the old rows until the new ones are whole. A failure before the first change leaves all as it was;
    /// a later one stops the shard, and the next `open` finds the mark.
    fn install(
        &self,
        log_id: LogId,
        parts: &mut dyn Iterator<Item = Result<Bytes, EntriesError>>,
    ) -> Result<(), EntriesError> {
        if let Some(why) = self.stopped.borrow().as_ref() {
            return Err(self.io(why));
        }
        let folded = self.state.lock().applied;
        if folded.is_some_and(|folded| folded.index > log_id.index) {
            return Err(self.io(format_args!("{log_id} is older than what is folded here")));
        }
        let begun = Begun::new(self.id, log_id, parts);
        let begun = begun.map_err(|error| self.io(error))?;
        *self.held.write() = Some(self.store.snapshot().into());
        {
            // What was flushed may leave Raft's log all the same: the journal's checkpoint lies above it.
            let mut state = self.state.lock();
            let flushed = state.flushed;
            *state = State {
                flushed,
                ..State::default()
            };
        }
        let digest = match begun.replace(self.store.as_ref(), parts) {
            Ok(digest) => digest,
            Err(error) => {
                let detail = error.to_string();
                self.stop(Stopped::NotInstalled { at: log_id, detail });
                return Err(self.io(error));
            }
        };
        *self.state.lock() = State {
            applied: Some(log_id),
            digest,
            flushed: Some(log_id.index),
            unflushed_bytes: 0,
            flushed_at: self.clock.now(),
        };
        *self.held.write() = None;
        if let Some(follower) = self.follower.get() {
            follower.replaced(self.id, log_id);
        }
        let watched = self.watchers.lock().accounts();
        let now = watched
            .into_iter()
            .map(|account| (account, self.mod_seq(account)))
            .collect();
        self.wake(&now);
        Ok(())
    }
}
