//! Sending a snapshot: we offer it, and the receiver fetches its parts and the payloads that its rows name.
//!
//! The offer is repeated until the receiver has installed the snapshot: it answers at once or after a short wait, so
//! that either side may die at any moment without leaving the other waiting.

use crate::limits::{
    MAX_APPEND_BYTES, SNAPSHOT_OFFER_TIMEOUT, SNAPSHOT_PART_BYTES, SNAPSHOT_PAYLOADS_MAX,
    SNAPSHOTS_SENT_MAX,
};
use crate::machine::SnapshotData;
use crate::off_thread;
use crate::shared::Shared;
use crate::types::{RaftVote, TypeConfig};
use crate::wire::{
    self, WireEntry, WireOffer, WireOffered, WirePart, WirePartWanted, WirePayloads,
    WirePayloadsWanted, kind,
};
use bytes::Bytes;
use openraft::alias::SnapshotOf;
use openraft::errors::{NetworkError, ReplicationClosed, StreamingError, Unreachable};
use openraft::raft::SnapshotResponse;
use prost::Message;
use raft_api::{LogIndex, NodeId, SnapshotSource};
use raft_transport::{Class, Peers, TransportError};
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers the snapshots of this process. A receiver that asks an earlier process is told that there is none.
static NUMBER: AtomicU64 = AtomicU64::new(1);

/// Pinned while this lives.
struct Sending<'a> {
    shared: &'a Shared,
    number: u64,
}

impl<'a> Sending<'a> {
    /// `None`: too many are under way.
    fn new(shared: &'a Shared, source: Arc<dyn SnapshotSource>) -> Option<Sending<'a>> {
        let mut sending = shared.sending.lock();
        if sending.len() >= SNAPSHOTS_SENT_MAX {
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        sending.insert(number, source);
        Some(Sending { shared, number })
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.shared.sending.lock().remove(&self.number);
    }
}

fn network(text: impl Display) -> StreamingError<TypeConfig> {
    StreamingError::Network(NetworkError::from_string(text))
}

/// Ends when the receiver has it, refuses it, or cannot be reached; openraft then tries again.
pub(crate) async fn send(
    shared: &Shared,
    peers: &Peers,
    to: NodeId,
    vote: RaftVote,
    snapshot: SnapshotOf<TypeConfig, SnapshotData>,
    cancel: impl Future<Output = ReplicationClosed>,
) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
    let SnapshotData::Pinned(source) = snapshot.snapshot else {
        return Err(network("only a pinned snapshot can be sent"));
    };
    let sending = Sending::new(shared, source.clone());
    let Some(sending) = sending else {
        return Err(network("too many snapshots are being sent already"));
    };
    let position = source.log_id();
    tracing::info!(shard = %shared.shard, %to, %position, "a snapshot is offered");
    let offer = WireOffer {
        vote: (&vote).into(),
        number: sending.number,
        position: position.into(),
        head: wire::head_out(&snapshot.meta.last_membership, *shared.mode.borrow()),
    };
    let offer = wire::bytes(&offer);
    tokio::pin!(cancel);
    loop {
        let (shard, limit) = (shared.shard, SNAPSHOT_OFFER_TIMEOUT);
        let asked = peers.request(to, Class::Bulk, shard, kind::OFFER, offer.clone(), limit);
        let answer = tokio::select! {
            biased;
            closed = &mut cancel => return Err(StreamingError::Closed(closed)),
            answer = asked => answer,
        };
        let answer = answer.map_err(|error| match error {
            TransportError::Unreachable { .. } => {
                StreamingError::Unreachable(Unreachable::new(&error))
            }
            other => network(other),
        })?;
        let answer = WireOffered::decode(answer).map_err(network)?;
        match (answer.result, answer.vote) {
            (1, _) => {}
            (2, Some(vote)) => {
                tracing::info!(shard = %shared.shard, %to, %position, "the snapshot is installed there");
                return Ok(SnapshotResponse::new(vote.into()));
            }
            _ => return Err(network(answer.reason)),
        }
    }
}

/// Answers `PART`.
pub(crate) async fn part(shared: &Shared, body: Bytes) -> Result<Bytes, String> {
    let wanted = WirePartWanted::decode(body).map_err(|error| error.to_string())?;
    let source = shared.sending.lock().get(&wanted.number).cloned();
    let source = source.ok_or("this snapshot is no longer offered")?;
    let read = move || source.part(&wanted.cursor, SNAPSHOT_PART_BYTES);
    let part = off_thread::run(read)
        .await?
        .map_err(|error| error.to_string())?;
    Ok(wire::bytes(&WirePart {
        bytes: part.bytes,
        needs: part.needs.iter().map(|needed| needed.0).collect(),
        next: part.next,
    }))
}

/// Answers `PAYLOADS`: as many as fit, from the first one on.
pub(crate) async fn payloads(shared: &Shared, body: Bytes) -> Result<Bytes, String> {
    let wanted = WirePayloadsWanted::decode(body).map_err(|error| error.to_string())?;
    if wanted.wanted.len() > SNAPSHOT_PAYLOADS_MAX {
        return Err("too many payloads are asked for at once".into());
    }
    let (journal, shard) = (shared.journal.clone(), shared.shard);
    let read = move || {
        let mut entries = Vec::new();
        let mut bytes = 0;
        for wanted in wanted.wanted {
            let kept = journal.kept(shard, LogIndex(wanted));
            let kept = kept.map_err(|error| error.to_string())?;
            bytes += kept.payload.len();
            if bytes > MAX_APPEND_BYTES && !entries.is_empty() {
                break;
            }
            entries.push(WireEntry {
                log_id: kept.log_id.into(),
                kind: kept.kind as u32,
                payload: kept.payload,
            });
        }
        Ok::<_, String>(wire::bytes(&WirePayloads { entries }))
    };
    off_thread::run(read).await?
}
