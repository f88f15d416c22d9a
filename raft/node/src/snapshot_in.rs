//! Fetching and installing a snapshot: first all of it is in our journal and flushed, then it replaces the views.
//!
//! SNAP-1: the views are replaced only by a checkpoint that is complete in the journal, with every payload that its
//! rows name: a crash at any moment leaves either the old state, or what a start finishes (`start.rs`).
//! SNAP-2: an entry of our own log stands for a payload only at or below our fold's position; above it, the log may
//! hold what was never committed.

use crate::flushed;
use crate::group::RaftGroup;
use crate::limits::{
    SNAPSHOT_FETCH_PAUSE, SNAPSHOT_FETCH_TIMEOUT, SNAPSHOT_FETCH_TRIES, SNAPSHOT_OFFER_WAIT,
    SNAPSHOT_PAYLOADS_MAX,
};
use crate::machine::SnapshotData;
use crate::off_thread;
use crate::shared::{Shared, raise};
use crate::start::checkpoint_parts;
use crate::types::{RaftVote, TypeConfig, from_raft, to_raft};
use crate::wire::{
    self, WireOffer, WireOffered, WirePart, WirePartWanted, WirePayloads, WirePayloadsWanted, kind,
};
use bytes::Bytes;
use openraft::alias::{SnapshotMetaOf, SnapshotOf};
use prost::Message;
use raft_api::{LogId, LogIndex, NodeId};
use raft_log::{CheckpointPart, NewEntry};
use raft_transport::Class;
use std::io;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A transfer that is under way. It ends when it is dropped.
pub(crate) struct Receiving {
    from: NodeId,
    number: u64,
    outcome: watch::Receiver<Option<Outcome>>,
    task: JoinHandle<()>,
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
enum Outcome {
    Installed(RaftVote),
    Failed(String),
}

/// Answers `OFFER`: begins the transfer, or joins it, and says how it stands.
pub(crate) async fn offered(
    group: &Arc<RaftGroup>,
    from: NodeId,
    body: Bytes,
) -> Result<Bytes, String> {
    let offer = WireOffer::decode(body).map_err(|error| error.to_string())?;
    let number = offer.number;
    let mut outcome = {
        let mut receiving = group.shared.receiving.lock();
        match &*receiving {
            Some(running) if running.from == from && running.number == number => {
                running.outcome.clone()
            }
            _ => {
                // A newer offer replaces an older one: its leader has given that up, or is no longer leader.
                let (tell, outcome) = watch::channel(None);
                let group = group.clone();
                let task = tokio::spawn(async move {
                    let outcome = match receive(&group, from, offer).await {
                        Ok(vote) => Outcome::Installed(vote),
                        Err(reason) => {
                            tracing::warn!(shard = %group.shared.shard, %from, reason, "a snapshot was not fetched");
                            Outcome::Failed(reason)
                        }
                    };
                    tell.send_replace(Some(outcome));
                });
                *receiving = Some(Receiving {
                    from,
                    number,
                    outcome: outcome.clone(),
                    task,
                });
                outcome
            }
        }
    };
    let ended = timeout(SNAPSHOT_OFFER_WAIT, outcome.wait_for(Option::is_some)).await;
    let outcome = match ended {
        Ok(Ok(outcome)) => outcome.clone(),
        Ok(Err(_)) => Some(Outcome::Failed("the transfer was given up".into())),
        Err(_) => None,
    };
    let mut answer = WireOffered::default();
    match outcome {
        None => answer.result = 1,
        Some(Outcome::Installed(vote)) => {
            answer.result = 2;
            answer.vote = Some((&vote).into());
        }
        Some(Outcome::Failed(reason)) => {
            answer.result = 3;
            answer.reason = reason;
            forget(&mut group.shared.receiving.lock(), from, number);
        }
    }
    Ok(wire::bytes(&answer))
}

/// So that the next offer begins anew. A newer transfer may have taken its place meanwhile: that one goes on.
fn forget(receiving: &mut Option<Receiving>, from: NodeId, number: u64) {
    receiving.take_if(|running| running.from == from && running.number == number);
}

async fn receive(group: &RaftGroup, from: NodeId, offer: WireOffer) -> Result<RaftVote, String> {
    let membership = wire::stored_membership_in(offer.head.clone());
    let membership = membership.map_err(|error| error.to_string())?;
    let position: LogId = offer.position.into();
    let transfer = Transfer {
        group,
        from,
        number: offer.number,
        position,
        folded: *group.shared.folded.borrow(),
    };
    tracing::info!(shard = %group.shared.shard, %from, %position, "a snapshot is fetched");
    transfer.to_journal(offer.head).await?;
    let snapshot = SnapshotOf::<TypeConfig, SnapshotData> {
        meta: SnapshotMetaOf::<TypeConfig> {
            last_log_id: Some(to_raft(position)),
            last_membership: membership,
        },
        snapshot: SnapshotData::InJournal,
    };
    let installed = group
        .raft
        .install_full_snapshot(offer.vote.into(), snapshot);
    let answer = installed.await.map_err(|error| error.to_string())?;
    tracing::info!(shard = %group.shared.shard, %position, "the snapshot is installed");
    Ok(answer.vote)
}

struct Transfer<'a> {
    group: &'a RaftGroup,
    from: NodeId,
    number: u64,
    position: LogId,
    /// Our fold's position when the transfer began.
    folded: Option<LogIndex>,
}

impl Transfer<'_> {
    async fn to_journal(&self, head: Bytes) -> Result<(), String> {
        self.save(head, true, false).await?;
        let mut cursor = Bytes::new();
        loop {
            let wanted = WirePartWanted {
                number: self.number,
                cursor,
            };
            let part = self.fetch(kind::PART, wire::bytes(&wanted)).await?;
            let part = WirePart::decode(part).map_err(|error| error.to_string())?;
            self.fetch_payloads(part.needs).await?;
            self.save(part.bytes, false, part.next.is_none()).await?;
            match part.next {
                Some(next) => cursor = next,
                None => return Ok(()),
            }
        }
    }

    async fn save(&self, payload: Bytes, is_first: bool, is_last: bool) -> Result<(), String> {
        let shared = &self.group.shared;
        let part = CheckpointPart { is_first, is_last };
        flushed::wait(|done| {
            let (journal, shard) = (&shared.journal, shared.shard);
            journal.save_checkpoint_part(shard, self.position, part, payload, done)
        })
        .await
    }

    /// Those that we do not hold yet.
    async fn fetch_payloads(&self, needs: Vec<u64>) -> Result<(), String> {
        let shared = &self.group.shared;
        let is_missing = |needed: &u64| {
            let needed = LogIndex(*needed);
            let is_own = Some(needed) <= self.folded
                && shared.journal.log_id_at(shared.shard, needed).is_some();
            !is_own && !shared.journal.is_adopted(shared.shard, needed)
        };
        let mut missing: Vec<u64> = needs.into_iter().filter(is_missing).collect();
        while !missing.is_empty() {
            let wanted: Vec<u64> = missing
                .iter()
                .copied()
                .take(SNAPSHOT_PAYLOADS_MAX)
                .collect();
            let body = wire::bytes(&WirePayloadsWanted { wanted });
            let answer = self.fetch(kind::PAYLOADS, body).await?;
            let answer = WirePayloads::decode(answer).map_err(|error| error.to_string())?;
            let count = answer.entries.len();
            let mut entries = Vec::with_capacity(count);
            for (wanted, entry) in missing.iter().zip(answer.entries) {
                if entry.log_id.index != *wanted
                    || Some(entry.log_id.index) > Some(self.position.index.0)
                {
                    return Err(format!(
                        "entry {wanted} was asked for, and another one came"
                    ));
                }
                entries.push(NewEntry {
                    log_id: entry.log_id.into(),
                    kind: wire::kind_in(entry.kind).map_err(|error| error.to_string())?,
                    payload: entry.payload,
                });
            }
            if entries.is_empty() {
                return Err("no payload came".into());
            }
            missing.drain(..entries.len());
            flushed::wait(|done| shared.journal.adopt(shared.shard, entries, done)).await?;
        }
        Ok(())
    }

    async fn fetch(&self, kind: u8, body: Bytes) -> Result<Bytes, String> {
        let shard = self.group.shared.shard;
        let mut tries = 0;
        loop {
            tries += 1;
            let (body, limit) = (body.clone(), SNAPSHOT_FETCH_TIMEOUT);
            let asked = self
                .group
                .peers
                .request(self.from, Class::Bulk, shard, kind, body, limit);
            match asked.await {
                Ok(answer) => return Ok(answer),
                Err(error) if tries >= SNAPSHOT_FETCH_TRIES => return Err(error.to_string()),
                Err(error) => {
                    tracing::debug!(%shard, %error, "a part of a snapshot is asked for again");
                    // Not at once: the sender may be starting again, or be slow with its disk.
                    tokio::time::sleep(SNAPSHOT_FETCH_PAUSE).await;
                }
            }
        }
    }
}

/// Replaces the views by the journal's checkpoint, while nothing is folded.
pub(crate) async fn install(
    shared: &Arc<Shared>,
    meta: &SnapshotMetaOf<TypeConfig>,
) -> Result<(), io::Error> {
    let position = meta.last_log_id.as_ref().map(from_raft);
    let position = position.ok_or_else(|| io::Error::other("a snapshot without a position"))?;
    let _one_at_a_time = shared.hold_fold().await;
    if *shared.position.lock() >= Some(position) {
        return Ok(());
    }
    let task = shared.clone();
    let installed = off_thread::run(move || {
        let checkpoint = task.journal.checkpoint(task.shard);
        let checkpoint = checkpoint.filter(|checkpoint| checkpoint.log_id == position);
        let missing = || io::Error::other("the journal does not hold this snapshot");
        let parts = checkpoint.ok_or_else(missing)?.parts;
        let mut parts = checkpoint_parts(&task.journal, task.shard, parts);
        task.machine
            .install(position, &mut parts)
            .map_err(io::Error::other)
    });
    installed.await.map_err(io::Error::other)??;
    *shared.position.lock() = Some(position);
    *shared.memberships.lock() = [meta.last_membership.clone()].into();
    shared.tell_members();
    // Whoever waits for an entry that the snapshot has passed over learns that its outcome is unknown.
    let is_passed = |at: u64| at <= position.index.0;
    {
        let mut responders = shared.responders.lock();
        while responders.front().is_some_and(|(at, _)| is_passed(*at)) {
            responders.pop_front();
        }
    }
    let head = shared.journal.checkpoint_part(shared.shard, 0);
    let mode = wire::head_mode_in(head.map_err(io::Error::other)?).map_err(io::Error::other)?;
    shared.mode.send_if_modified(|now| {
        let is_newer = now.at < mode.at;
        if is_newer {
            *now = mode;
        }
        is_newer
    });
    raise(&shared.handed, Some(position));
    raise(&shared.told, Some(position.index));
    shared.folded.send_replace(Some(position.index));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_transfer_that_was_replaced_does_not_end_its_successor() {
        let running = |number| Receiving {
            from: NodeId(1),
            number,
            outcome: watch::channel(None).1,
            task: tokio::spawn(std::future::pending()),
        };
        let mut receiving = Some(running(2));
        for (from, number, stays) in [(1, 1, true), (2, 2, true), (1, 2, false)] {
            forget(&mut receiving, NodeId(from), number);
            assert_eq!(
                receiving.is_some(),
                stays,
                "{number} of node {from} is forgotten"
            );
        }
    }
}
