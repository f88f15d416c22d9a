//! openraft's network over `Peers`: our own messages, a connection for each class.

use crate::inbox::NO_ROOM;
use crate::limits::{MARK_WAIT, MAX_APPENDS_IN_FLIGHT};
use crate::machine::SnapshotData;
use crate::shared::Shared;
use crate::snapshot_out;
use crate::types::{Place, RaftVote, TypeConfig, from_raft};
use crate::wire::{self, Malformed, WireAppendAnswer, WireTransferAnswer, kind};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use openraft::alias::SnapshotOf;
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult,
    TransferLeaderError, TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, alias::LogIdOf};
use prost::Message;
use raft_api::{LogIndex, NodeId, NodeInfo};
use raft_transport::{Class, Peers, TransportError};
use std::sync::Arc;
use tokio::time::timeout;

pub(crate) struct Network {
    pub shared: Arc<Shared>,
    pub peers: Arc<Peers>,
}

pub(crate) struct Client {
    shared: Arc<Shared>,
    peers: Arc<Peers>,
    target: NodeId,
    class: Class,
}

impl Network {
    fn client(&self, target: u64, class: Class) -> Client {
        Client {
            shared: self.shared.clone(),
            peers: self.peers.clone(),
            target: NodeId(target),
            class,
        }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: u64, node: &Place) -> Client {
        // A member that was added while we run is not in our configuration.
        self.peers.know(NodeInfo {
            id: NodeId(target),
            site: node.site.clone(),
            peer_addr: node.peer_addr.clone(),
        });
        self.client(target, Class::Append)
    }

    async fn new_heartbeat_client(&mut self, target: u64, _node: &Place) -> Client {
        self.client(target, Class::Heartbeat)
    }
}

impl Client {
    /// An append without entries only tells what is committed. The mark follows within a moment: one message for both.
    async fn wait_for_mark(&self, request: &AppendEntriesRequest<TypeConfig>) {
        let Some(committed) = request.leader_commit.filter(|_| request.entries.is_empty()) else {
            return;
        };
        let committed = LogIndex(committed.index);
        let mut mark = self.shared.mark.subscribe();
        if *mark.borrow() >= Some(committed) {
            return;
        }
        // Ends before the mark is read for this append: whoever raises it later sees that nobody carries it.
        let _carries = Carries::upto(&self.shared, self.target, committed);
        let reached = mark.wait_for(|mark| *mark >= Some(committed));
        let _ = timeout(MARK_WAIT, reached).await;
    }

    async fn append(
        &self,
        request: AppendEntriesRequest<TypeConfig>,
        option: &RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        let mark = self.shared.mark.borrow().map(|mark| mark.0);
        let body = wire::bytes(&wire::append_out(&request, mark));
        let answer = self.ask(self.class, kind::APPEND, body, option).await?;
        let answer = WireAppendAnswer::decode(answer).map_err(|error| malformed(error.into()))?;
        self.shared.set_full(self.target, answer.full);
        self.shared
            .clocks
            .note(self.target, answer.clock_ms, self.shared.wall_ms());
        match answer.result {
            // openraft then backs off.
            NO_ROOM => Err(RPCError::Unreachable(Unreachable::new(&DiskFull))),
            _ => wire::append_answer_in(answer).map_err(malformed),
        }
    }

    async fn ask(
        &self,
        class: Class,
        kind: u8,
        body: Bytes,
        option: &RPCOption,
    ) -> Result<Bytes, RPCError<TypeConfig>> {
        self.peers
            .request(
                self.target,
                class,
                self.shared.shard,
                kind,
                body,
                option.soft_ttl(),
            )
            .await
            .map_err(|error| match error {
                // openraft then backs off.
                TransportError::Unreachable { .. } => {
                    RPCError::Unreachable(Unreachable::new(&error))
                }
                _ => RPCError::Network(NetworkError::new(&error)),
            })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("its disk is full")]
struct DiskFull;

fn malformed(error: Malformed) -> RPCError<TypeConfig> {
    RPCError::Network(NetworkError::new(&error))
}

/// An entry of `Shared::carried`.
struct Carries<'a> {
    shared: &'a Shared,
    target: NodeId,
}

impl Carries<'_> {
    fn upto(shared: &Shared, target: NodeId, committed: LogIndex) -> Carries<'_> {
        shared.carried.lock().insert(target, committed);
        Carries { shared, target }
    }
}

impl Drop for Carries<'_> {
    fn drop(&mut self) {
        self.shared.carried.lock().remove(&self.target);
    }
}

type AppendAnswers<'s> =
    BoxStream<'s, Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>>;

impl RaftNetworkV2<TypeConfig> for Client {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.append(request, &option).await
    }

    /// Several at a time. Both ends keep their order (`raft_transport::serve`); where they come in another order after
    /// all, the follower finds a gap and says so.
    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Result<AppendAnswers<'s>, RPCError<TypeConfig>>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        let client = &*self;
        let answers = input.map(move |request| {
            let option = option.clone();
            async move {
                client.wait_for_mark(&request).await;
                let prev = request.prev_log_id;
                let last = request.entries.last().map(|entry| entry.log_id).or(prev);
                let answer = client.append(request, &option).await?;
                Ok(answer.into_stream_result(prev, last))
            }
        });
        let answers: AppendAnswers<'s> = Box::pin(answers.buffered(MAX_APPENDS_IN_FLIGHT));
        Box::pin(std::future::ready(Ok(answers)))
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let body = wire::bytes(&wire::vote_request_out(&request));
        let answer = self.ask(Class::Heartbeat, kind::VOTE, body, &option);
        wire::vote_answer_in(answer.await?).map_err(malformed)
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let body = wire::bytes(&wire::vote_request_out(&request));
        let answer = self.ask(Class::Heartbeat, kind::PRE_VOTE, body, &option);
        wire::vote_answer_in(answer.await?).map_err(malformed)
    }

    async fn full_snapshot(
        &mut self,
        vote: RaftVote,
        snapshot: SnapshotOf<TypeConfig, SnapshotData>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let (shared, peers) = (&self.shared, &self.peers);
        snapshot_out::send(shared, peers, self.target, vote, snapshot, cancel).await
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        let body = wire::bytes(&wire::transfer_out(&request));
        let answer = self
            .ask(Class::Other, kind::TRANSFER, body, &option)
            .await?;
        transfer_answer_in(answer, &request).map_err(malformed)
    }
}

pub(crate) fn transfer_answer_out(
    answer: &TransferLeaderResponse<TypeConfig>,
) -> WireTransferAnswer {
    let (result, actual_vote, actual_last) = match answer {
        Ok(()) => (1, None, None),
        Err(TransferLeaderError::VoteChanged { actual, .. }) => (2, Some(actual.into()), None),
        Err(TransferLeaderError::LogNotFlushed { actual, .. }) => {
            let actual: &Option<LogIdOf<TypeConfig>> = actual;
            let last = actual.as_ref().map(|log_id| from_raft(log_id).into());
            (3, None, last)
        }
    };
    WireTransferAnswer {
        result,
        actual_vote,
        actual_last,
    }
}

fn transfer_answer_in(
    answer: Bytes,
    request: &TransferLeaderRequest<TypeConfig>,
) -> Result<TransferLeaderResponse<TypeConfig>, Malformed> {
    let wire = WireTransferAnswer::decode(answer)?;
    Ok(match wire.result {
        1 => Ok(()),
        2 => Err(TransferLeaderError::VoteChanged {
            expected: *request.from_leader(),
            actual: wire::vote_in(wire.actual_vote)?,
        }),
        3 => Err(TransferLeaderError::LogNotFlushed {
            expected: request.last_log_id().cloned(),
            actual: wire::log_id_in(wire.actual_last),
        }),
        _ => return Err(Malformed("an unknown answer to a transfer")),
    })
}
