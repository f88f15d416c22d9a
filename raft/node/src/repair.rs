//! Mending a shard's log from the other nodes: before its consensus starts, and while it runs.
//!
//! REP-1: consensus does not start over a log that misses something, and nobody is answered for it.
//! REP-2: while something is missing of a log that runs, the node neither votes nor stands for election.
//! REP-3: what came is flushed in the journal before the shard counts as whole (MEND-2).
//!
//! The others are asked all at once, again and again, at growing intervals: a node that is away keeps nobody waiting.

use crate::error::NodeError;
use crate::flushed;
use crate::launch::Launcher;
use crate::limits::{REPAIR_PAUSE_MAX, REPAIR_PAUSE_MIN};
use crate::off_thread;
use crate::refetch::{self, Refetched};
use crate::shared::Shared;
use crate::types::Raft;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use raft_api::{LogId, NodeId, ShardId, StateMachine};
use raft_log::{FlushDone, Journal, MendError, MissingEntry, NewEntry};
use raft_transport::Peers;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;
use tokio::time::sleep;

struct Repair {
    journal: Journal,
    peers: Arc<Peers>,
    shard: ShardId,
}

/// How a shard stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Whole,
    Missing,
    /// More is lost than other nodes could give back.
    Lost,
}

impl Repair {
    fn standing(&self) -> Standing {
        if !self.journal.has_hole(self.shard) {
            return Standing::Whole;
        }
        match self.journal.missing(self.shard).is_empty() {
            true => Standing::Lost,
            false => Standing::Missing,
        }
    }

    /// Returns once nothing is missing, or all that could be done is done.
    async fn mend(&self) -> Standing {
        let mut pause = REPAIR_PAUSE_MIN;
        loop {
            if self.standing() != Standing::Missing {
                return self.standing();
            }
            let before = self.journal.missing(self.shard).len();
            // All at once: one that is away would keep us waiting.
            let ask = |node| async move { (node, self.mend_from(node).await) };
            let mut asked: FuturesUnordered<_> = self.peers.others().into_iter().map(ask).collect();
            while let Some((node, answered)) = asked.next().await {
                if let Err(reason) = answered {
                    tracing::debug!(shard = %self.shard, %node, reason, "it does not help to mend");
                }
                if self.standing() != Standing::Missing {
                    return self.standing();
                }
            }
            let is_progress = self.journal.missing(self.shard).len() < before;
            pause = match is_progress {
                true => REPAIR_PAUSE_MIN,
                false => (pause * 2).min(REPAIR_PAUSE_MAX),
            };
            sleep(pause).await;
        }
    }

    /// Takes what `node` has of it.
    async fn mend_from(&self, node: NodeId) -> Result<(), String> {
        let mut from = 0;
        loop {
            let missing = self.journal.missing(self.shard);
            let Some(rest) = missing.get(from..).filter(|rest| !rest.is_empty()) else {
                return Ok(());
            };
            let wanted: Vec<LogId> = rest.iter().map(|missing| missing.log_id).collect();
            let answers = refetch::ask(&self.peers, self.shard, node, &wanted).await?;
            if answers.is_empty() {
                return Err("it answers nothing".into());
            }
            let mut came = Vec::new();
            let mut other = None;
            for (missing, answer) in rest.iter().zip(answers) {
                match answer {
                    Refetched::Entry(entry) => came.push(self.keep(node, missing, entry)),
                    Refetched::Other(committed) => other = other.or(Some((missing, committed))),
                    Refetched::Unknown => from += 1,
                }
            }
            for kept in join_all(came).await {
                if let Err(reason) = kept {
                    tracing::warn!(shard = %self.shard, %node, reason, "what came from a peer does not mend");
                    from += 1;
                }
            }
            if let Some((missing, committed)) = other {
                return self.cut(node, missing, committed).await;
            }
        }
    }

    async fn keep(
        &self,
        node: NodeId,
        missing: &MissingEntry,
        entry: NewEntry,
    ) -> Result<(), String> {
        let (journal, shard) = (self.journal.clone(), self.shard);
        let mend = |done| off_thread::run(move || journal.mend(shard, vec![entry], done));
        mended(mend).await?;
        let (log_id, damage) = (missing.log_id, &missing.damage);
        let (file, offset) = (&damage.file, damage.offset);
        tracing::info!(%shard, %log_id, file, offset, %node, "a rotten entry is mended from a peer");
        Ok(())
    }

    /// Ours was never committed. Where consensus runs, it does that itself.
    async fn cut(
        &self,
        node: NodeId,
        missing: &MissingEntry,
        committed: LogId,
    ) -> Result<(), String> {
        let (journal, shard) = (self.journal.clone(), self.shard);
        let cut = |done| async move { Ok(journal.cut_missing(shard, committed, done)) };
        mended(cut).await?;
        let log_id = missing.log_id;
        tracing::info!(%shard, %log_id, %committed, %node, "a rotten entry was never committed: the log ends before it");
        Ok(())
    }
}

async fn mended<F>(call: impl FnOnce(FlushDone) -> F) -> Result<(), String>
where
    F: Future<Output = Result<Result<(), MendError>, String>>,
{
    let (done, arrived) = flushed::ticket();
    match call(done).await? {
        Ok(()) => {}
        // Another node was faster.
        Err(MendError::NotMissing(_)) => return Ok(()),
        Err(error) => return Err(error.to_string()),
    }
    flushed::read(arrived.await)
}

/// A shard that cannot start yet. Mends its log, then starts it and tells how that went; if nobody listens any more, the
/// log is told.
pub(crate) async fn start_when_whole(
    launcher: Launcher,
    shard: ShardId,
    machine: Arc<dyn StateMachine>,
    tell: oneshot::Sender<Result<(), NodeError>>,
) {
    let started = mend_and_start(&launcher, shard, machine).await;
    if let Err(Err(error)) = tell.send(started) {
        tracing::error!(%shard, %error, "the shard is mended, and does not start");
    }
}

async fn mend_and_start(
    launcher: &Launcher,
    shard: ShardId,
    machine: Arc<dyn StateMachine>,
) -> Result<(), NodeError> {
    let repair = Repair {
        journal: launcher.opening.journal.clone(),
        peers: launcher.peers.clone(),
        shard,
    };
    loop {
        if repair.mend().await == Standing::Lost {
            tracing::error!(%shard, "the shard's log has a hole that cannot be mended");
            return Ok(());
        }
        match launcher.open(shard, machine.clone()).await {
            Ok(shared) => {
                tracing::info!(%shard, "the shard's log is whole again");
                return launcher.launch(Arc::new(shared)).await;
            }
            // It was read further now, and more of it is rotten.
            Err(_) if repair.standing() == Standing::Missing => {}
            Err(error) => return Err(error),
        }
    }
}

/// While a group starts: mends what it finds to be rotten. Ends with the journal.
pub(crate) async fn keep_mending(journal: &Journal, peers: &Arc<Peers>, shard: ShardId) {
    let repair = Repair {
        journal: journal.clone(),
        peers: peers.clone(),
        shard,
    };
    let mut damages = journal.watch_damages();
    loop {
        damages.borrow_and_update();
        if repair.standing() == Standing::Missing {
            repair.mend().await;
        }
        if damages.changed().await.is_err() {
            return;
        }
    }
}

/// While a group runs: mends what is found to be rotten.
pub(crate) async fn run(shared: Arc<Shared>, raft: Raft, peers: Arc<Peers>) {
    let repair = Repair {
        journal: shared.journal.clone(),
        peers,
        shard: shared.shard,
    };
    let mut damages = repair.journal.watch_damages();
    loop {
        damages.borrow_and_update();
        if repair.standing() != Standing::Whole {
            raft.runtime_config().elect(false);
            if repair.mend().await == Standing::Whole {
                raft.runtime_config().elect(true);
            }
            // Cleared after the journal is whole: whoever sets it looks there again afterwards.
            shared.waits_for_mend.store(false, Ordering::SeqCst);
            shared.fold_if_due();
        }
        if damages.changed().await.is_err() {
            return;
        }
    }
}
