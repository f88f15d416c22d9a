//! Peers' messages come in here, and go to the group they name.

use crate::change;
use crate::group::{RaftGroup, proposed_bytes, read_mark_out};
use crate::network::transfer_answer_out;
use crate::shared::raise;
use crate::wire::{self, WireAppend, WireAppendAnswer, WireLease, WireMark, kind};
use crate::{mode, refetch, snapshot_in, snapshot_out};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::RwLock;
use prost::Message;
use raft_api::{Inbound, LogIndex, NodeId, ShardId};
use raft_transport::Handler;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

/// Empty until the groups have started, and again once they have stopped.
#[derive(Default)]
pub(crate) struct Inbox {
    pub groups: RwLock<BTreeMap<ShardId, Arc<RaftGroup>>>,
    /// Who answers questions that are not about consensus.
    pub asked: RwLock<Option<Arc<dyn Inbound>>>,
}

fn text(error: impl Display) -> String {
    error.to_string()
}

#[async_trait]
impl Handler for Inbox {
    async fn handle(
        &self,
        from: NodeId,
        shard: ShardId,
        kind: u8,
        body: Bytes,
    ) -> Result<Bytes, String> {
        if kind == kind::ASK {
            let asked = self.asked.read().clone();
            let asked = asked.ok_or("nobody answers questions here yet")?;
            return Ok(asked.ask(from, body).await);
        }
        let group = self.groups.read().get(&shard).cloned();
        let group = group.ok_or_else(|| format!("shard {shard} does not run here"))?;
        let raft = &group.raft;
        if matches!(kind, kind::VOTE | kind::PRE_VOTE | kind::TRANSFER)
            && group.shared.journal.has_hole(shard)
        {
            return Err(format!(
                "entries of shard {shard} are missing here: it does not vote"
            ));
        }
        match kind {
            kind::APPEND => append(&group, body).await,
            kind::VOTE => {
                let request = wire::vote_request_in(body).map_err(text)?;
                let answer = raft.vote(request).await.map_err(text)?;
                Ok(wire::bytes(&wire::vote_answer_out(&answer)))
            }
            kind::PRE_VOTE => {
                let request = wire::vote_request_in(body).map_err(text)?;
                let answer = raft.pre_vote(request).await.map_err(text)?;
                Ok(wire::bytes(&wire::vote_answer_out(&answer)))
            }
            kind::TRANSFER => {
                let request = wire::transfer_in(body).map_err(text)?;
                let answer = raft.handle_transfer_leader(request).await.map_err(text)?;
                Ok(wire::bytes(&transfer_answer_out(&answer)))
            }
            kind::PROPOSE => Ok(proposed_bytes(group.propose_here(body).await)),
            kind::READ_MARK => {
                let mark = read_mark_out(group.read_mark_here().await);
                Ok(wire::bytes(&mark))
            }
            kind::MARK => {
                let mark = WireMark::decode(body).map_err(text)?.mark;
                raise(&group.shared.told, mark.map(LogIndex));
                Ok(Bytes::new())
            }
            kind::OFFER => snapshot_in::offered(&group, from, body).await,
            kind::PART => snapshot_out::part(&group.shared, body).await,
            kind::PAYLOADS => snapshot_out::payloads(&group.shared, body).await,
            kind::CHANGE => {
                let change = change::change_in(body).map_err(text)?;
                let changed = group.change_here(change).await;
                Ok(wire::bytes(&change::changed_out(&changed)))
            }
            kind::HOLD => {
                group.hold();
                Ok(Bytes::new())
            }
            kind::LEASE => {
                let granted = mode::grant(&group.shared, raft, from);
                let length_ms = granted.map_or(0, |length| length.as_millis() as u64);
                Ok(wire::bytes(&WireLease { length_ms }))
            }
            kind::REFETCH => refetch::answer(&group.shared, body).await,
            _ => Err(format!(
                "this version does not know requests of kind {kind}"
            )),
        }
    }
}

/// An answer that the follower gives without asking consensus.
pub(crate) const NO_ROOM: u32 = 5;

/// To consensus an append that fails is the end of the shard on this node: so what has no room is not given to it,
/// and the leader is told. Votes and heartbeats go on meanwhile.
async fn append(group: &RaftGroup, body: Bytes) -> Result<Bytes, String> {
    let append = WireAppend::decode(body).map_err(text)?;
    raise(&group.shared.told, append.mark.map(LogIndex));
    let journal = &group.shared.journal;
    let commands = append.entries.iter().filter(|e| e.kind == wire::NORMAL);
    let payloads = commands.map(|entry| entry.payload.len());
    let is_more = append.entries.iter().any(|e| e.kind == wire::NORMAL);
    let _counted = group.admission.append(payloads);
    if is_more && !journal.has_room(group.admission.bytes()).map_err(text)? {
        return Ok(wire::bytes(&WireAppendAnswer {
            result: NO_ROOM,
            full: true,
            ..WireAppendAnswer::default()
        }));
    }
    let request = wire::append_in(append).map_err(text)?;
    let answer = group.raft.append_entries(request).await.map_err(text)?;
    Ok(wire::bytes(&WireAppendAnswer {
        full: journal.is_full(),
        clock_ms: group.shared.wall_ms(),
        ..wire::append_answer_out(&answer)
    }))
}
