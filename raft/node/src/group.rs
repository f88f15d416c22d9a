//! `Group`: proposals and reads, here if we lead, else at the leader.

use crate::admission::{Admission, Admitted};
use crate::limits::{FIRST_ENTRY_WAIT, FORWARD_MARGIN, MAX_PAYLOAD_BYTES, READ_TIMEOUT};
use crate::node::Timing;
use crate::shared::Shared;
use crate::status;
use crate::types::{Payload, Raft, TypeConfig, from_raft};
use crate::wire::{self, Malformed, WireMark, WireProposed, kind};
use crate::{gate, mark};
use async_trait::async_trait;
use bytes::Bytes;
use openraft::ReadPolicy;
use openraft::alias::OneshotReceiverOf;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::ClientWriteError;
use openraft::impls::ProgressResponder;
use openraft::raft::ClientWriteResult;
use prost::Message;
use raft_api::{
    Group, GroupStatus, LogIndex, NodeId, ProposeError, Proposed, ReadError, ReadMark, Refused,
    ShardId, SiteName,
};
use raft_log::Expected;
use raft_transport::{Class, Peers, TransportError};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::timeout;

pub(crate) struct RaftGroup {
    pub shared: Arc<Shared>,
    pub raft: Raft,
    pub peers: Arc<Peers>,
    pub admission: Admission,
    pub timing: Timing,
}

#[async_trait]
impl Group for RaftGroup {
    fn shard(&self) -> ShardId {
        self.shared.shard
    }

    async fn propose(&self, command: Bytes) -> Result<Proposed, ProposeError> {
        match self.leader() {
            Some(leader) if leader == self.shared.own => self.propose_here(command).await,
            Some(leader) => self.forward(leader, command).await,
            None => Err(ProposeError::NoQuorum),
        }
    }

    async fn read_mark(&self) -> Result<ReadMark, ReadError> {
        match self.leader() {
            Some(leader) if leader == self.shared.own => self.read_mark_here().await,
            Some(leader) => {
                let limit = READ_TIMEOUT + FIRST_ENTRY_WAIT + FORWARD_MARGIN;
                let answer = self.ask(leader, kind::READ_MARK, Bytes::new(), limit);
                let answer = answer.await.map_err(|_| ReadError::NoQuorum)?;
                let mark = WireMark::decode(answer).map_err(|_| ReadError::NoQuorum)?;
                read_mark_in(mark)
            }
            None => Err(ReadError::NoQuorum),
        }
    }

    fn folded(&self) -> watch::Receiver<Option<LogIndex>> {
        self.shared.folded.subscribe()
    }

    fn status(&self) -> GroupStatus {
        let metrics = self.raft.metrics();
        status::of(&self.shared, &metrics.borrow_watched())
    }
}

impl RaftGroup {
    pub fn leader(&self) -> Option<NodeId> {
        let metrics = self.raft.metrics();
        let leader = metrics.borrow_watched().current_leader;
        leader.map(NodeId)
    }

    pub async fn ask(
        &self,
        node: NodeId,
        kind: u8,
        body: Bytes,
        limit: std::time::Duration,
    ) -> Result<Bytes, TransportError> {
        let shard = self.shared.shard;
        self.peers
            .request(node, Class::Other, shard, kind, body, limit)
            .await
    }

    async fn forward(&self, leader: NodeId, command: Bytes) -> Result<Proposed, ProposeError> {
        let limit = self.timing.gate_wait + self.timing.propose_timeout + FORWARD_MARGIN;
        match self.ask(leader, kind::PROPOSE, command, limit).await {
            Ok(answer) => proposed_in(answer).unwrap_or(Err(ProposeError::Unknown)),
            Err(TransportError::TooLarge { .. }) => Err(ProposeError::Refused(Refused::Malformed)),
            Err(TransportError::Busy(_)) => Err(ProposeError::Refused(Refused::TooBusy)),
            Err(error) if error.is_unsent() => Err(ProposeError::NoQuorum),
            Err(_) => Err(ProposeError::Unknown),
        }
    }

    /// On the leader. Up to `admit` every error is a true refusal; from `client_write` on only openraft's own
    /// "not appended" is.
    pub async fn propose_here(&self, command: Bytes) -> Result<Proposed, ProposeError> {
        let own = self.shared.own;
        let is_open = gate::wait_open(&self.shared, &self.raft, self.timing.gate_wait).await;
        let leader = self.leader();
        if leader != Some(own) {
            return Err(ProposeError::NotLeader { leader });
        }
        if !is_open {
            return Err(ProposeError::SiteGateClosed);
        }
        if self.clock_is_off() {
            return Err(Refused::ClockSkew.into());
        }
        let payload = self.shared.machine.admit(command)?;
        if payload.len() > MAX_PAYLOAD_BYTES.min(self.shared.journal.max_payload_bytes()) {
            return Err(Refused::Malformed.into());
        }
        let admitted = self.admission.admit(payload.len());
        let admitted = admitted.ok_or(Refused::TooBusy)?;
        // Room for all that is under way, since openraft would end the group at an append that fails.
        match self.shared.journal.has_room(self.admission.bytes()) {
            Ok(true) => {}
            Ok(false) => return Err(Refused::DiskFull.into()),
            Err(_) => return Err(ProposeError::NoQuorum),
        }
        let expected = self.shared.journal.expect_append();
        let (responder, answer) = ProgressResponder::complete_only();
        let mut under_way = UnderWay(Some((answer, (admitted, expected))));
        let written = async {
            let payload = Payload::Command(payload);
            let sent = self.raft.client_write_ff(payload, Some(responder)).await;
            sent.ok()?;
            under_way.answer().await
        };
        match timeout(self.timing.propose_timeout, written).await {
            Ok(Some(Ok(written))) => Ok(Proposed {
                sites: self.sites_that_hold(LogIndex(written.log_id.index)),
                log_id: from_raft(&written.log_id),
                outcome: written.data.0,
            }),
            // openraft: "rejected before its entry was appended". What was appended and lost is another error.
            Ok(Some(Err(ClientWriteError::ForwardToLeader(to)))) => Err(ProposeError::NotLeader {
                leader: to.leader_id.map(NodeId),
            }),
            Ok(Some(Err(_)) | None) | Err(_) => Err(ProposeError::Unknown),
        }
    }

    /// A leader whose clock a majority contradicts would stamp times that no later leader could go back from.
    fn clock_is_off(&self) -> bool {
        let clocks = &self.shared.clocks;
        clocks.differ() && clocks.is_off(self.raft.voter_ids().map(NodeId))
    }

    /// On the leader, of an entry that is acknowledged.
    fn sites_that_hold(&self, index: LogIndex) -> Vec<SiteName> {
        let flushed = self.shared.journal.flushed(self.shared.shard);
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let members = mark::durables(&metrics, self.shared.own, flushed.map(|at| at.index));
        let holding = members.into_iter().map(|(_, member)| member);
        let holding = holding.filter(|member| member.upto >= Some(index));
        let mut sites: Vec<SiteName> = holding.map(|member| member.site).collect();
        sites.sort_unstable();
        sites.dedup();
        sites
    }

    /// On the leader (Raft §6.4): confirm leadership, make sure that our own term has begun, take the mark.
    pub async fn read_mark_here(&self) -> Result<ReadMark, ReadError> {
        #[cfg(any(test, feature = "testing"))]
        if self.shared.twin == Some(crate::node::Twin::StaleReads) {
            let index = *self.shared.mark.borrow();
            return Ok(ReadMark { index });
        }
        let linearizer = self.raft.get_read_linearizer(ReadPolicy::ReadIndex);
        // openraft would now wait for what was handed to `apply`; ours waits for the fold, by the mark.
        let _confirmed = timeout(READ_TIMEOUT, linearizer)
            .await
            .map_err(|_| ReadError::NoQuorum)?
            .map_err(|_| ReadError::NoQuorum)?;
        let term = self.raft.metrics().borrow_watched().current_term;
        let mut folded = self.shared.folded.subscribe();
        // What an earlier leader acknowledged lies below our first entry, but perhaps above our mark.
        let is_ours = |_: &Option<LogIndex>| {
            let position = *self.shared.position.lock();
            position.is_some_and(|position| position.term.0 == term)
        };
        timeout(FIRST_ENTRY_WAIT, folded.wait_for(is_ours))
            .await
            .map_err(|_| ReadError::NotYet)?
            .map_err(|_| ReadError::NoQuorum)?;
        let index = *self.shared.mark.borrow();
        Ok(ReadMark { index })
    }
}

type Written = ClientWriteResult<TypeConfig>;

/// What is proposed counts as such until it is folded or lost, also if the caller gives up.
struct UnderWay(Option<(OneshotReceiverOf<TypeConfig, Written>, (Admitted, Expected))>);

impl UnderWay {
    /// `None`: consensus has stopped, or lost the entry.
    async fn answer(&mut self) -> Option<Written> {
        let (answer, _) = self.0.as_mut()?;
        let written = answer.await.ok();
        self.0 = None;
        written
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some((answer, counted)) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move {
                let _ = answer.await;
                drop(counted);
            });
        }
    }
}

pub(crate) fn read_mark_out(result: Result<ReadMark, ReadError>) -> WireMark {
    let (result, mark) = match result {
        Ok(mark) => (0, mark.index.map(|index| index.0)),
        Err(ReadError::NoQuorum) => (1, None),
        Err(ReadError::NotYet) => (2, None),
    };
    WireMark { result, mark }
}

fn read_mark_in(wire: WireMark) -> Result<ReadMark, ReadError> {
    match wire.result {
        0 => Ok(ReadMark {
            index: wire.mark.map(LogIndex),
        }),
        2 => Err(ReadError::NotYet),
        _ => Err(ReadError::NoQuorum),
    }
}

pub(crate) fn proposed_out(result: Result<Proposed, ProposeError>) -> WireProposed {
    let mut wire = WireProposed::default();
    wire.result = match result {
        Ok(proposed) => {
            wire.log_id = Some(proposed.log_id.into());
            wire.outcome = proposed.outcome;
            wire.sites = proposed.sites.iter().map(ToString::to_string).collect();
            1
        }
        Err(ProposeError::NotLeader { leader }) => {
            wire.leader = leader.map(|leader| leader.0);
            2
        }
        Err(ProposeError::SiteGateClosed) => 3,
        Err(ProposeError::NoQuorum) => 4,
        Err(ProposeError::Refused(refused)) => {
            wire.refusal = match refused {
                Refused::TooBusy => 1,
                Refused::DiskFull => 2,
                Refused::ClockSkew => 3,
                Refused::Malformed => 4,
            };
            5
        }
        Err(ProposeError::Unknown) => 6,
    };
    wire
}

pub(crate) fn proposed_in(answer: Bytes) -> Result<Result<Proposed, ProposeError>, Malformed> {
    let wire = WireProposed::decode(answer)?;
    Ok(match wire.result {
        1 => Ok(Proposed {
            log_id: wire.log_id.ok_or(Malformed("no log id"))?.into(),
            outcome: wire.outcome,
            sites: wire.sites.iter().map(|site| SiteName::new(site)).collect(),
        }),
        2 => Err(ProposeError::NotLeader {
            leader: wire.leader.map(NodeId),
        }),
        3 => Err(ProposeError::SiteGateClosed),
        4 => Err(ProposeError::NoQuorum),
        5 => Err(ProposeError::Refused(match wire.refusal {
            1 => Refused::TooBusy,
            2 => Refused::DiskFull,
            3 => Refused::ClockSkew,
            _ => Refused::Malformed,
        })),
        _ => Err(ProposeError::Unknown),
    })
}

/// Encoded for the way back.
pub(crate) fn proposed_bytes(result: Result<Proposed, ProposeError>) -> Bytes {
    wire::bytes(&proposed_out(result))
}
