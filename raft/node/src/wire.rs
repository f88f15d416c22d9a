//! What nodes say to each other, in our own encoding, so that two versions of openraft can talk (design §3).
//! Unknown fields are skipped. The vote on disk and the membership in an entry use the same messages.

use crate::limits::MAX_MEMBERS;
use crate::mode::ModeNow;
use crate::types::{
    Payload, Place, RaftEntry, RaftLogId, RaftMembership, RaftPayload, RaftStoredMembership,
    RaftVote, TypeConfig, from_raft, to_raft,
};
use bytes::Bytes;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest, VoteRequest, VoteResponse,
};
use openraft::vote::RaftLeaderId;
use prost::Message;
use raft_api::{LogId, LogIndex, Mode, OnSiteLoss, SiteName};
use raft_log::EntryKind;
use std::collections::{BTreeMap, BTreeSet};

/// Kinds of requests between nodes. Never reused.
pub(crate) mod kind {
    pub const APPEND: u8 = 1;
    pub const VOTE: u8 = 2;
    pub const PRE_VOTE: u8 = 3;
    pub const TRANSFER: u8 = 4;
    pub const PROPOSE: u8 = 5;
    pub const READ_MARK: u8 = 6;
    pub const MARK: u8 = 7;
    /// A question of the node above us (`raft_api::Inbound`); belongs to no shard.
    pub const ASK: u8 = 8;
    /// A snapshot is offered; its receiver then asks for `PART`s and `PAYLOADS`.
    pub const OFFER: u8 = 9;
    pub const PART: u8 = 10;
    pub const PAYLOADS: u8 = 11;
    /// A change of the membership, for the leader.
    pub const CHANGE: u8 = 12;
    /// Leadership will come, and is to stay for a while.
    pub const HOLD: u8 = 13;
    /// A node of another site asks the leader for a sync lease.
    pub const LEASE: u8 = 14;
    /// Entries that have rotted at the asker, by log id.
    pub const REFETCH: u8 = 15;
}

/// A peer's message, or a record of ours, that is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed: {0}")]
pub(crate) struct Malformed(pub &'static str);

impl From<prost::DecodeError> for Malformed {
    fn from(_: prost::DecodeError) -> Malformed {
        Malformed("not protobuf")
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct WireLogId {
    #[prost(uint64, tag = "1")]
    pub term: u64,
    #[prost(uint64, tag = "2")]
    pub index: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct WireVote {
    #[prost(uint64, tag = "1")]
    pub term: u64,
    #[prost(uint64, tag = "2")]
    pub node: u64,
    #[prost(bool, tag = "3")]
    pub committed: bool,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct WireEntry {
    #[prost(message, required, tag = "1")]
    pub log_id: WireLogId,
    /// As in the journal: 0 blank, 1 normal, 2 membership, 3 mode.
    #[prost(uint32, tag = "2")]
    pub kind: u32,
    #[prost(bytes = "bytes", tag = "3")]
    pub payload: Bytes,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct WireNode {
    #[prost(uint64, tag = "1")]
    pub id: u64,
    #[prost(string, tag = "2")]
    pub site: String,
    #[prost(string, tag = "3")]
    pub peer_addr: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct WireVoters {
    #[prost(uint64, repeated, tag = "1")]
    pub nodes: Vec<u64>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct WireMembership {
    #[prost(message, repeated, tag = "1")]
    pub configs: Vec<WireVoters>,
    #[prost(message, repeated, tag = "2")]
    pub nodes: Vec<WireNode>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct WireAppend {
    #[prost(message, required, tag = "1")]
    pub vote: WireVote,
    #[prost(message, optional, tag = "2")]
    pub previous: Option<WireLogId>,
    #[prost(message, repeated, tag = "3")]
    pub entries: Vec<WireEntry>,
    #[prost(message, optional, tag = "4")]
    pub committed: Option<WireLogId>,
    /// The leader's mark: what the receiver may show, as far as it has it.
    #[prost(uint64, optional, tag = "5")]
    pub mark: Option<u64>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct WireAppendAnswer {
    /// 1 success, 2 partial success up to `matching`, 3 conflict, 4 higher `vote`, 5 not taken: its disk is full.
    #[prost(uint32, tag = "1")]
    pub result: u32,
    #[prost(message, optional, tag = "2")]
    pub matching: Option<WireLogId>,
    #[prost(message, optional, tag = "3")]
    pub vote: Option<WireVote>,
    /// The follower's disk takes no entries now.
    #[prost(bool, tag = "4")]
    pub full: bool,
    /// The follower's wall clock, in Unix milliseconds; 0: not told.
    #[prost(uint64, tag = "5")]
    pub clock_ms: u64,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct WireVoteRequest {
    #[prost(message, required, tag = "1")]
    pub vote: WireVote,
    #[prost(message, optional, tag = "2")]
    pub last: Option<WireLogId>,
    #[prost(bool, tag = "3")]
    pub transfer: bool,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct WireVoteAnswer {
    #[prost(message, required, tag = "1")]
    pub vote: WireVote,
    #[prost(bool, tag = "2")]
    pub granted: bool,
    #[prost(message, optional, tag = "3")]
    pub last: Option<WireLogId>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct WireTransfer {
    #[prost(message, required, tag = "1")]
    pub from: WireVote,
    #[prost(uint64, tag = "2")]
    pub to: u64,
    #[prost(message, optional, tag = "3")]
    pub last: Option<WireLogId>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct WireTransferAnswer {
    /// 1 accepted, 2 the vote changed, 3 the log is not flushed.
    #[prost(uint32, tag = "1")]
    pub result: u32,
    #[prost(message, optional, tag = "2")]
    pub actual_vote: Option<WireVote>,
    #[prost(message, optional, tag = "3")]
    pub actual_last: Option<WireLogId>,
}

/// The answer to `PROPOSE`.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct WireProposed {
    /// 1 done, 2 not the leader, 3 site gate closed, 4 no quorum, 5 refused by `refusal`, 6 unknown.
    #[prost(uint32, tag = "1")]
    pub result: u32,
    #[prost(message, optional, tag = "2")]
    pub log_id: Option<WireLogId>,
    #[prost(bytes = "bytes", tag = "3")]
    pub outcome: Bytes,
    #[prost(uint64, optional, tag = "4")]
    pub leader: Option<u64>,
    /// 1 too busy, 2 disk full, 3 clock skew, 4 malformed.
    #[prost(uint32, tag = "5")]
    pub refusal: u32,
    /// With 1: which have it on stable storage.
    #[prost(string, repeated, tag = "6")]
    pub sites: Vec<String>,
}

/// The answer to `READ_MARK`, and the body of `MARK`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct WireMark {
    /// 0 the mark, 1 no quorum, 2 not yet.
    #[prost(uint32, tag = "1")]
    pub result: u32,
    #[prost(uint64, optional, tag = "2")]
    pub mark: Option<u64>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct WireOffer {
    #[prost(message, required, tag = "1")]
    pub vote: WireVote,
    /// Names the snapshot in the sender's process.
    #[prost(uint64, tag = "2")]
    pub number: u64,
    #[prost(message, required, tag = "3")]
    pub position: WireLogId,
    /// A `WireStoredMembership`.
    #[prost(bytes = "bytes", tag = "4")]
    pub head: Bytes,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct WireOffered {
    /// 1 under way, 2 installed (`vote`), 3 failed (`reason`).
    #[prost(uint32, tag = "1")]
    pub result: u32,
    #[prost(message, optional, tag = "2")]
    pub vote: Option<WireVote>,
    #[prost(string, tag = "3")]
    pub reason: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct WirePartWanted {
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// `next` of the part before; empty for the first.
    #[prost(bytes = "bytes", tag = "2")]
    pub cursor: Bytes,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct WirePart {
    #[prost(bytes = "bytes", tag = "1")]
    pub bytes: Bytes,
    /// Entries whose payloads this part names.
    #[prost(uint64, repeated, tag = "2")]
    pub needs: Vec<u64>,
    /// Absent in the last part.
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub next: Option<Bytes>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct WirePayloadsWanted {
    #[prost(uint64, repeated, tag = "1")]
    pub wanted: Vec<u64>,
}

/// Of the wanted ones the first, as many as fit.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct WirePayloads {
    #[prost(message, repeated, tag = "1")]
    pub entries: Vec<WireEntry>,
}

/// A membership with the log id that it was agreed under. Also the first part of a checkpoint in the journal.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct WireStoredMembership {
    #[prost(message, optional, tag = "1")]
    pub log_id: Option<WireLogId>,
    /// A `WireMembership`.
    #[prost(bytes = "bytes", tag = "2")]
    pub membership: Bytes,
    /// The newest committed mode, and the index of its entry; absent: in sync from the beginning.
    #[prost(message, optional, tag = "3")]
    pub mode: Option<WireMode>,
    #[prost(uint64, tag = "4")]
    pub mode_at: u64,
}

/// The payload of an entry of kind 3.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct WireMode {
    /// 1 in sync, 2 degraded, 3 catching up.
    #[prost(uint32, tag = "1")]
    pub mode: u32,
    /// The leader's clock. Correctness does not need it.
    #[prost(uint64, tag = "2")]
    pub decided_at_ms: u64,
    /// 0 not chosen yet, 1 strict, 2 degrade.
    #[prost(uint32, tag = "3")]
    pub policy: u32,
    /// Index of the entry that chose the policy; absent: this one.
    #[prost(uint64, optional, tag = "4")]
    pub policy_at: Option<u64>,
}

/// The answer to `LEASE`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct WireLease {
    /// From the asking on, by the asker's clock; 0: none is granted.
    #[prost(uint64, tag = "1")]
    pub length_ms: u64,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct WireChange {
    /// 1 add a learner, 2 promote, 3 remove, 4 transfer leadership, 5 choose the policy.
    #[prost(uint32, tag = "1")]
    pub action: u32,
    /// Site and address only with action 1.
    #[prost(message, required, tag = "2")]
    pub node: WireNode,
    #[prost(bool, tag = "3")]
    pub leave_site: bool,
    /// With action 5; as in a mode.
    #[prost(uint32, tag = "4")]
    pub policy: u32,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct WireChanged {
    /// 1 done, 2 no leader, 3 not a member, 4 not a voter, 5 another address, 6 last of `site`, 7 last voter,
    /// 8 another change is under way, 9 unknown, 10 not in sync, 11 the second site is away.
    #[prost(uint32, tag = "1")]
    pub result: u32,
    #[prost(string, tag = "2")]
    pub site: String,
}

/// `WireEntry::kind` of a command.
pub(crate) const NORMAL: u32 = EntryKind::Normal as u32;

pub(crate) fn bytes(message: &impl Message) -> Bytes {
    message.encode_to_vec().into()
}

impl From<LogId> for WireLogId {
    fn from(log_id: LogId) -> WireLogId {
        WireLogId {
            term: log_id.term.0,
            index: log_id.index.0,
        }
    }
}

impl From<WireLogId> for LogId {
    fn from(wire: WireLogId) -> LogId {
        LogId::new(wire.term, wire.index)
    }
}

pub(crate) fn log_id_out(log_id: &Option<RaftLogId>) -> Option<WireLogId> {
    log_id.as_ref().map(|log_id| from_raft(log_id).into())
}

pub(crate) fn log_id_in(wire: Option<WireLogId>) -> Option<RaftLogId> {
    wire.map(|wire| to_raft(wire.into()))
}

impl From<&RaftVote> for WireVote {
    fn from(vote: &RaftVote) -> WireVote {
        WireVote {
            term: vote.leader_id.term(),
            node: *vote.leader_id.node_id(),
            committed: vote.committed,
        }
    }
}

impl From<WireVote> for RaftVote {
    fn from(wire: WireVote) -> RaftVote {
        match wire.committed {
            true => RaftVote::new_committed(wire.term, wire.node),
            false => RaftVote::new(wire.term, wire.node),
        }
    }
}

pub(crate) fn vote_in(wire: Option<WireVote>) -> Result<RaftVote, Malformed> {
    wire.map(RaftVote::from)
        .ok_or(Malformed("the vote is missing"))
}

/// An entry's kind and payload as they are kept in the journal and sent to peers.
pub(crate) fn payload_out(payload: &RaftPayload) -> (EntryKind, Bytes) {
    match payload {
        RaftPayload::Blank => (EntryKind::Blank, Bytes::new()),
        RaftPayload::Normal(Payload::Command(payload)) => (EntryKind::Normal, payload.clone()),
        RaftPayload::Normal(Payload::Mode(payload)) => (EntryKind::Mode, payload.clone()),
        RaftPayload::Membership(membership) => (EntryKind::Membership, membership_out(membership)),
    }
}

pub(crate) fn payload_in(kind: EntryKind, payload: Bytes) -> Result<RaftPayload, Malformed> {
    Ok(match kind {
        EntryKind::Blank => RaftPayload::Blank,
        EntryKind::Normal => RaftPayload::Normal(Payload::Command(payload)),
        EntryKind::Mode => RaftPayload::Normal(Payload::Mode(payload)),
        EntryKind::Membership => RaftPayload::Membership(membership_in(payload)?),
    })
}

fn membership_out(membership: &RaftMembership) -> Bytes {
    let configs = membership.get_joint_config().iter();
    let nodes = membership.nodes();
    bytes(&WireMembership {
        configs: configs
            .map(|voters| WireVoters {
                nodes: voters.iter().copied().collect(),
            })
            .collect(),
        nodes: nodes
            .map(|(id, node)| WireNode {
                id: *id,
                site: node.site.to_string(),
                peer_addr: node.peer_addr.clone(),
            })
            .collect(),
    })
}

pub(crate) fn membership_in(payload: Bytes) -> Result<RaftMembership, Malformed> {
    let wire = WireMembership::decode(payload)?;
    if wire.configs.len() > MAX_MEMBERS || wire.nodes.len() > MAX_MEMBERS {
        return Err(Malformed("a membership with too many nodes"));
    }
    let configs: Vec<BTreeSet<u64>> = wire
        .configs
        .into_iter()
        .map(|voters| voters.nodes.into_iter().collect())
        .collect();
    let nodes: BTreeMap<u64, Place> = wire
        .nodes
        .into_iter()
        .map(|node| {
            let place = Place {
                site: SiteName::new(&node.site),
                peer_addr: node.peer_addr,
            };
            (node.id, place)
        })
        .collect();
    RaftMembership::new(configs, nodes).map_err(|_| Malformed("a membership that cannot be"))
}

pub(crate) fn append_out(
    request: &AppendEntriesRequest<TypeConfig>,
    mark: Option<u64>,
) -> WireAppend {
    let entries = request.entries.iter().map(|entry| {
        let (kind, payload) = payload_out(&entry.payload);
        WireEntry {
            log_id: from_raft(&entry.log_id).into(),
            kind: kind as u32,
            payload,
        }
    });
    WireAppend {
        vote: (&request.vote).into(),
        previous: log_id_out(&request.prev_log_id),
        entries: entries.collect(),
        committed: log_id_out(&request.leader_commit),
        mark,
    }
}

pub(crate) fn kind_in(kind: u32) -> Result<EntryKind, Malformed> {
    match kind {
        0 => Ok(EntryKind::Blank),
        1 => Ok(EntryKind::Normal),
        2 => Ok(EntryKind::Membership),
        3 => Ok(EntryKind::Mode),
        _ => Err(Malformed("an entry of an unknown kind")),
    }
}

/// The head of a snapshot: what of the log before it still counts besides the views.
pub(crate) fn head_out(stored: &RaftStoredMembership, mode: ModeNow) -> Bytes {
    bytes(&WireStoredMembership {
        log_id: log_id_out(stored.log_id()),
        membership: membership_out(stored.membership()),
        mode: mode.at.map(|_| mode.into()),
        mode_at: mode.at.map_or(0, |at| at.0),
    })
}

pub(crate) fn head_mode_in(head: Bytes) -> Result<ModeNow, Malformed> {
    let wire = WireStoredMembership::decode(head)?;
    match wire.mode {
        Some(mode) => mode.at(LogIndex(wire.mode_at)),
        None => Ok(ModeNow::default()),
    }
}

impl From<ModeNow> for WireMode {
    fn from(now: ModeNow) -> WireMode {
        WireMode {
            mode: match now.mode {
                Mode::SingleSite | Mode::InSync => 1,
                Mode::Degraded => 2,
                Mode::CatchingUp => 3,
            },
            decided_at_ms: now.decided_at_ms,
            policy: policy_out(now.policy),
            policy_at: now.policy_at.map(|at| at.0),
        }
    }
}

pub(crate) fn policy_out(policy: Option<OnSiteLoss>) -> u32 {
    match policy {
        None => 0,
        Some(OnSiteLoss::Strict) => 1,
        Some(OnSiteLoss::Degrade) => 2,
    }
}

pub(crate) fn policy_in(policy: u32) -> Result<Option<OnSiteLoss>, Malformed> {
    Ok(match policy {
        0 => None,
        1 => Some(OnSiteLoss::Strict),
        2 => Some(OnSiteLoss::Degrade),
        _ => return Err(Malformed("an unknown policy")),
    })
}

impl WireMode {
    pub(crate) fn at(self, at: LogIndex) -> Result<ModeNow, Malformed> {
        let policy = policy_in(self.policy)?;
        Ok(ModeNow {
            policy,
            policy_at: policy.map(|_| self.policy_at.map_or(at, LogIndex)),
            mode: match self.mode {
                1 => Mode::InSync,
                2 => Mode::Degraded,
                3 => Mode::CatchingUp,
                _ => return Err(Malformed("an unknown mode")),
            },
            at: Some(at),
            decided_at_ms: self.decided_at_ms,
        })
    }
}

pub(crate) fn stored_membership_in(head: Bytes) -> Result<RaftStoredMembership, Malformed> {
    let wire = WireStoredMembership::decode(head)?;
    let membership = membership_in(wire.membership)?;
    Ok(RaftStoredMembership::new(
        log_id_in(wire.log_id),
        membership,
    ))
}

pub(crate) fn append_in(wire: WireAppend) -> Result<AppendEntriesRequest<TypeConfig>, Malformed> {
    let mut expected = wire.previous.map(|previous| previous.index.wrapping_add(1));
    let mut entries = Vec::with_capacity(wire.entries.len());
    for entry in wire.entries {
        let index = entry.log_id.index;
        if expected.is_some_and(|expected| expected != index) {
            return Err(Malformed("entries that do not follow each other"));
        }
        expected = Some(index.wrapping_add(1));
        let kind = kind_in(entry.kind)?;
        entries.push(RaftEntry {
            log_id: to_raft(entry.log_id.into()),
            payload: payload_in(kind, entry.payload)?,
        });
    }
    Ok(AppendEntriesRequest {
        vote: wire.vote.into(),
        prev_log_id: log_id_in(wire.previous),
        entries,
        leader_commit: log_id_in(wire.committed),
    })
}

pub(crate) fn append_answer_out(answer: &AppendEntriesResponse<TypeConfig>) -> WireAppendAnswer {
    let (result, matching, vote) = match answer {
        AppendEntriesResponse::Success => (1, None, None),
        AppendEntriesResponse::PartialSuccess(upto) => (2, log_id_out(upto), None),
        AppendEntriesResponse::Conflict => (3, None, None),
        AppendEntriesResponse::HigherVote(vote) => (4, None, Some(vote.into())),
    };
    WireAppendAnswer {
        result,
        matching,
        vote,
        full: false,
        clock_ms: 0,
    }
}

pub(crate) fn append_answer_in(
    wire: WireAppendAnswer,
) -> Result<AppendEntriesResponse<TypeConfig>, Malformed> {
    Ok(match wire.result {
        1 => AppendEntriesResponse::Success,
        2 => AppendEntriesResponse::PartialSuccess(log_id_in(wire.matching)),
        3 => AppendEntriesResponse::Conflict,
        4 => AppendEntriesResponse::HigherVote(vote_in(wire.vote)?),
        _ => return Err(Malformed("an unknown answer to an append")),
    })
}

pub(crate) fn vote_request_out(request: &VoteRequest<TypeConfig>) -> WireVoteRequest {
    WireVoteRequest {
        vote: (&request.vote).into(),
        last: log_id_out(&request.last_log_id),
        transfer: request.leadership_transfer,
    }
}

pub(crate) fn vote_request_in(body: Bytes) -> Result<VoteRequest<TypeConfig>, Malformed> {
    let wire = WireVoteRequest::decode(body)?;
    let mut request = VoteRequest::new(wire.vote.into(), log_id_in(wire.last));
    request.leadership_transfer = wire.transfer;
    Ok(request)
}

pub(crate) fn vote_answer_out(answer: &VoteResponse<TypeConfig>) -> WireVoteAnswer {
    WireVoteAnswer {
        vote: (&answer.vote).into(),
        granted: answer.vote_granted,
        last: log_id_out(&answer.last_log_id),
    }
}

pub(crate) fn vote_answer_in(body: Bytes) -> Result<VoteResponse<TypeConfig>, Malformed> {
    let wire = WireVoteAnswer::decode(body)?;
    let vote = RaftVote::from(wire.vote);
    Ok(VoteResponse::new(vote, log_id_in(wire.last), wire.granted))
}

pub(crate) fn transfer_out(request: &TransferLeaderRequest<TypeConfig>) -> WireTransfer {
    WireTransfer {
        from: request.from_leader().into(),
        to: *request.to_node_id(),
        last: request.last_log_id().map(|log_id| from_raft(log_id).into()),
    }
}

pub(crate) fn transfer_in(body: Bytes) -> Result<TransferLeaderRequest<TypeConfig>, Malformed> {
    let wire = WireTransfer::decode(body)?;
    let from = wire.from.into();
    Ok(TransferLeaderRequest::new(
        from,
        wire.to,
        log_id_in(wire.last),
    ))
}
