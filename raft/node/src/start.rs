//! What a group begins with: the views held against the journal, and the membership at their position.
//!
//! START-1: views that are ahead of the journal are an error, never a start: it has lost what they were built from.
//! START-2: views that are behind the journal's checkpoint are installed from it, and all that was purged from Raft's
//! log is folded, before consensus starts: it could not give these entries again.

use crate::clocks::Clocks;
use crate::error::NodeError;
use crate::flushed;
use crate::fold::{self, FoldQueue};
use crate::mode::{self, ModeNow};
use crate::node::NodeConfig;
use crate::shared::Shared;
use crate::types::{RaftStoredMembership, to_raft};
use crate::wire;
use parking_lot::Mutex;
use raft_api::{
    EntriesError, LogId, LogIndex, NodeId, OnSiteLoss, ShardId, SiteName, StateMachine,
};
use raft_log::{EntryKind, FlushDone, Journal};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;
use tokio::sync::watch;

/// What of a node's configuration a group begins with.
#[derive(Clone)]
pub(crate) struct Opening {
    id: NodeId,
    site: SiteName,
    pub journal: Journal,
    wall_clock: fn() -> SystemTime,
    on_site_loss: OnSiteLoss,
    #[cfg(any(test, feature = "testing"))]
    twin: Option<crate::node::Twin>,
}

impl Opening {
    pub fn of(config: &NodeConfig) -> Opening {
        Opening {
            id: config.id,
            site: config.site.clone(),
            journal: config.journal.clone(),
            wall_clock: config.wall_clock,
            on_site_loss: config.on_site_loss,
            #[cfg(any(test, feature = "testing"))]
            twin: config.twin(),
        }
    }
}

#[cfg(test)]
pub(crate) async fn open(
    config: &NodeConfig,
    shard: ShardId,
    machine: Arc<dyn StateMachine>,
    fold_queue: Arc<FoldQueue>,
) -> Result<Shared, NodeError> {
    open_with(&Opening::of(config), shard, machine, fold_queue).await
}

pub(crate) async fn open_with(
    config: &Opening,
    shard: ShardId,
    machine: Arc<dyn StateMachine>,
    fold_queue: Arc<FoldQueue>,
) -> Result<Shared, NodeError> {
    let journal = config.journal.clone();
    let unreadable = |error: EntriesError| NodeError::Journal {
        shard,
        detail: error.to_string(),
    };
    let installed = install_checkpoint(&journal, shard, &*machine).await;
    installed.map_err(unreadable)?;
    let position = machine.applied();
    if let Some(applied) = position {
        check_position(&journal, shard, applied)?;
    }
    let folded = position.map(|position| position.index);
    let log = journal.log_state(shard);
    let mode = mode_at(&journal, shard, log.mark.max(folded)).map_err(unreadable)?;
    let shared = Shared {
        shard,
        own: config.id,
        machine,
        told: watch::Sender::new(log.mark.max(folded)),
        handed: watch::Sender::new(position),
        mark: watch::Sender::new(folded),
        folded: watch::Sender::new(folded),
        position: Mutex::new(position),
        folding: Arc::default(),
        is_fold_due: AtomicBool::new(false),
        waits_for_mend: AtomicBool::new(false),
        fold_queue,
        responders: Mutex::default(),
        memberships: Mutex::default(),
        members: watch::Sender::default(),
        wall_clock: config.wall_clock,
        founding_policy: config.on_site_loss,
        mode: watch::Sender::new(mode),
        changing_mode: tokio::sync::Mutex::default(),
        leases: Mutex::default(),
        in_sync_until: Mutex::default(),
        held_until: Mutex::default(),
        carried: Mutex::default(),
        full: Mutex::default(),
        clocks: Clocks::default(),
        sending: Mutex::default(),
        receiving: Mutex::default(),
        failed: watch::Sender::new(None),
        #[cfg(any(test, feature = "testing"))]
        twin: config.twin,
        journal,
    };
    fold_purged(&shared, log.purged)?;
    let position = *shared.position.lock();
    if let Some(LogId { index, .. }) = position {
        let membership = membership_at(&shared.journal, shard, index).map_err(unreadable)?;
        shared.memberships.lock().extend(membership);
    }
    shared.tell_members();
    check_site(&shared, config)?;
    Ok(shared)
}

/// START-3: a node counts for the site that the others agreed on, or not at all.
fn check_site(shared: &Shared, config: &Opening) -> Result<(), NodeError> {
    let shard = shared.shard;
    let Some(last) = shared.journal.log_state(shard).last else {
        return Ok(());
    };
    let newest = membership_at(&shared.journal, shard, last.index);
    let newest = newest.map_err(|error| NodeError::Journal {
        shard,
        detail: error.to_string(),
    })?;
    let own = newest
        .as_ref()
        .and_then(|stored| stored.membership().get_node(&config.id.0));
    match own {
        Some(own) if own.site != config.site => Err(NodeError::AnotherSite {
            configured: config.site.clone(),
            agreed: own.site.clone(),
        }),
        _ => Ok(()),
    }
}

/// The state machine is rebuilt from the journal's checkpoint if it is behind it; Raft's log then begins behind it.
async fn install_checkpoint(
    journal: &Journal,
    shard: ShardId,
    machine: &dyn StateMachine,
) -> Result<(), EntriesError> {
    let Some(checkpoint) = journal.checkpoint(shard) else {
        return Ok(());
    };
    let at = checkpoint.log_id;
    let applied = machine.applied();
    if applied.is_none_or(|applied| applied.index < at.index) {
        tracing::info!(%shard, position = %at, "the views are installed from the journal's checkpoint");
        // Raft's log first: views at the checkpoint over a log that still ends in what was never committed would not start.
        let begins_behind = journal.log_state(shard).purged;
        let begins_behind = begins_behind.is_some_and(|purged| purged.index >= at.index);
        if !begins_behind && journal.log_id_at(shard, at.index) != Some(at) {
            // A tail that never was committed; what was folded here stays.
            wait_for(shard, |done| journal.truncate_after(shard, applied, done)).await?;
            wait_for(shard, |done| journal.purge(shard, at, done)).await?;
        }
        let mut parts = checkpoint_parts(journal, shard, checkpoint.parts);
        machine.install(at, &mut parts)?;
    }
    Ok(())
}

/// All but the first, which is ours.
pub(crate) fn checkpoint_parts(
    journal: &Journal,
    shard: ShardId,
    parts: usize,
) -> impl Iterator<Item = Result<bytes::Bytes, EntriesError>> + '_ {
    (1..parts).map(move |part| journal.checkpoint_part(shard, part))
}

async fn wait_for(
    shard: ShardId,
    call: impl FnOnce(FlushDone) -> Result<(), raft_log::AppendError>,
) -> Result<(), EntriesError> {
    let waited = flushed::wait(call).await;
    waited.map_err(|detail| EntriesError::Io { shard, detail })
}

fn check_position(journal: &Journal, shard: ShardId, applied: LogId) -> Result<(), NodeError> {
    let checkpoint = journal.checkpoint(shard);
    let known = [
        journal.log_id_at(shard, applied.index),
        journal.log_state(shard).purged,
        checkpoint.map(|checkpoint| checkpoint.log_id),
    ];
    match known.contains(&Some(applied)) {
        true => Ok(()),
        false => Err(NodeError::ViewsAhead {
            shard,
            applied: applied.index,
        }),
    }
}

/// The newest membership at or below `upto`: an entry's, or that of the checkpoint that came in its place.
pub(crate) fn membership_at(
    journal: &Journal,
    shard: ShardId,
    upto: LogIndex,
) -> Result<Option<RaftStoredMembership>, EntriesError> {
    let damaged = |index: LogIndex| EntriesError::Damaged {
        shard,
        index,
        detail: "its membership cannot be read",
    };
    let entry = journal.newest_of(EntryKind::Membership, shard, upto)?;
    let checkpoint = journal.checkpoint(shard);
    let checkpoint = checkpoint.filter(|checkpoint| checkpoint.log_id.index <= upto);
    let newer = |checkpoint: LogIndex| entry.as_ref().is_none_or(|e| e.log_id.index <= checkpoint);
    if let Some(checkpoint) = checkpoint.filter(|checkpoint| newer(checkpoint.log_id.index)) {
        let head = journal.checkpoint_part(shard, 0)?;
        let membership = wire::stored_membership_in(head);
        return Ok(Some(
            membership.map_err(|_| damaged(checkpoint.log_id.index))?,
        ));
    }
    let Some(entry) = entry else {
        return Ok(None);
    };
    let membership = wire::membership_in(entry.payload);
    let membership = membership.map_err(|_| damaged(entry.log_id.index))?;
    let log_id = Some(to_raft(entry.log_id));
    Ok(Some(RaftStoredMembership::new(log_id, membership)))
}

/// The newest mode at or below `upto`, or that of the checkpoint. Later ones come as consensus hands them over.
pub(crate) fn mode_at(
    journal: &Journal,
    shard: ShardId,
    upto: Option<LogIndex>,
) -> Result<ModeNow, EntriesError> {
    let damaged = |index: LogIndex| EntriesError::Damaged {
        shard,
        index,
        detail: "its mode cannot be read",
    };
    let mut newest = ModeNow::default();
    if let Some(checkpoint) = journal.checkpoint(shard) {
        let head = journal.checkpoint_part(shard, 0)?;
        newest = wire::head_mode_in(head).map_err(|_| damaged(checkpoint.log_id.index))?;
    }
    if let Some(upto) = upto
        && let Some(entry) = journal.newest_of(EntryKind::Mode, shard, upto)?
        && newest.at < Some(entry.log_id.index)
    {
        let index = entry.log_id.index;
        newest = mode::decode(entry.payload, index).map_err(|_| damaged(index))?;
    }
    Ok(newest)
}

/// Views that were deleted, or lost what they had not flushed, while Raft's log went on without these entries.
fn fold_purged(shared: &Shared, purged: Option<LogId>) -> Result<(), NodeError> {
    let purged = purged.map(|purged| purged.index);
    while *shared.folded.borrow() < purged {
        let (last, _) = fold::fold_batch(shared, purged).map_err(|detail| NodeError::Journal {
            shard: shared.shard,
            detail,
        })?;
        *shared.position.lock() = Some(last);
        shared.handed.send_replace(Some(last));
        shared.mark.send_replace(Some(last.index));
        shared.folded.send_replace(Some(last.index));
        crate::shared::raise(&shared.told, Some(last.index));
    }
    Ok(())
}
