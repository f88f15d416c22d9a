//! What an operator needs to go on from one site when the other is lost (design §3, Recovery): what a survivor's journal
//! proves of a shard, and the entries by which it goes on alone. The journals have no node running on them.
//!
//! RECOVER-1: of several survivors of a site, the log that ends highest (last term, then last index) holds everything that
//! was acknowledged while two sites were asked for: an acknowledged entry is on one of them, and no leader of a later
//! term lacks it.
//! RECOVER-2: nothing that the log holds is dropped. What was not agreed on yet becomes so: its outcome was unknown.
//! With three sites or more any two will do for an acknowledgement: then no site can call itself complete, and no lease is
//! granted.
//! RECOVER-3: a survivor may call itself complete only if its log says that no leader was allowed to go on without it, and
//! that it votes: a node that is still being added has some beginning of the log, and no more.

use crate::error::NodeError;
use crate::flushed;
use crate::mode::ModeNow;
use crate::start;
use crate::types::{Place, RaftMembership};
use crate::wire::{self, WireMembership, WireMode, WireNode, WireVote, WireVoters};
use bytes::Bytes;
use prost::Message;
use raft_api::{LogId, LogIndex, Mode, NodeId, NodeInfo, OnSiteLoss, ShardId, Term};
use raft_log::{AppendError, EntryKind, FlushDone, Journal, NewEntry, StoredEntry};

/// Payload read at once from a journal that has more.
const COPY_BYTES: usize = 8 << 20;

/// Far more elections than a recovery has to look back on.
const TERM_RUNS_MAX: usize = 1_000;

/// What a journal says of one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub shard: ShardId,
    /// `None`: the shard was never founded here.
    pub last: Option<LogId>,
    pub mode: Mode,
    /// What leaders that this journal does not know of were allowed at most.
    pub others_could: OnSiteLoss,
    /// Of the newest membership.
    pub members: Vec<NodeInfo>,
    /// Whether the journal's node is one that votes, by its own log.
    pub votes: bool,
    /// The payload of the newest command that is known to be agreed on: what is missing came later. A tail that was not
    /// agreed on proves nothing.
    pub newest_command: Option<Bytes>,
}

impl Standing {
    /// In which the members are.
    pub fn sites(&self) -> usize {
        let sites = self.members.iter().map(|member| &member.site);
        sites.collect::<std::collections::BTreeSet<_>>().len()
    }

    /// RECOVER-3; with all nodes of the site gathered.
    pub fn is_complete(&self) -> bool {
        self.sites() <= 2
            && self.votes
            && self.others_could == OnSiteLoss::Strict
            && self.mode == Mode::InSync
    }
}

/// `own`: whose journal it is.
pub fn standing(journal: &Journal, shard: ShardId, own: NodeId) -> Result<Standing, NodeError> {
    let last = journal.log_state(shard).last;
    let Some(LogId { index: upto, .. }) = last else {
        return Ok(Standing {
            shard,
            last,
            mode: Mode::InSync,
            others_could: OnSiteLoss::Strict,
            members: Vec::new(),
            votes: false,
            newest_command: None,
        });
    };
    let read = || -> Result<Standing, raft_api::EntriesError> {
        let mode = start::mode_at(journal, shard, Some(upto))?.mode;
        let membership = start::membership_at(journal, shard, upto)?;
        let voters = membership
            .iter()
            .flat_map(|stored| stored.membership().voter_ids());
        let votes = voters.into_iter().any(|id| id == own.0);
        let members = membership.map_or_else(Vec::new, |stored| members(stored.membership()));
        let newest = match agreed(journal, shard) {
            Some(agreed) => journal.newest_of(EntryKind::Normal, shard, agreed.min(upto))?,
            None => None,
        };
        Ok(Standing {
            shard,
            last,
            mode,
            votes,
            others_could: others_could(journal, shard, upto)?,
            members,
            newest_command: newest.map(|entry| entry.payload),
        })
    };
    read().map_err(|error| unreadable(shard, error))
}

fn members(membership: &RaftMembership) -> Vec<NodeInfo> {
    let info = |(id, place): (&u64, &Place)| NodeInfo {
        id: NodeId(*id),
        site: place.site.clone(),
        peer_addr: place.peer_addr.clone(),
    };
    membership.nodes().map(info).collect()
}

/// What the journal knows to be agreed on.
fn agreed(journal: &Journal, shard: ShardId) -> Option<LogIndex> {
    let log = journal.log_state(shard);
    let checkpoint = journal.checkpoint(shard).map(|c| c.log_id.index);
    log.mark
        .max(checkpoint)
        .max(log.purged.map(|purged| purged.index))
}

/// A switch to *strict* counts here only once it is known to be agreed on: before that, others may have acted on the
/// policy before it. One to *degrade* counts at once.
fn others_could(
    journal: &Journal,
    shard: ShardId,
    last: LogIndex,
) -> Result<OnSiteLoss, raft_api::EntriesError> {
    let agreed = agreed(journal, shard);
    let mut upto = last;
    loop {
        let now = start::mode_at(journal, shard, Some(upto))?;
        match (now.policy, now.policy_at) {
            (Some(OnSiteLoss::Degrade), _) => return Ok(OnSiteLoss::Degrade),
            (Some(OnSiteLoss::Strict), Some(at)) if Some(at) > agreed && at.0 > 0 => {
                upto = LogIndex(at.0 - 1);
            }
            // Without a word of it in the log no leader may degrade.
            (Some(OnSiteLoss::Strict) | None, _) => return Ok(OnSiteLoss::Strict),
        }
    }
}

/// Takes over what `other` has and `journal` lacks, if `other` is the one that ends higher. Returns how many entries.
pub fn bring_up(journal: &Journal, other: &Journal, shard: ShardId) -> Result<u64, NodeError> {
    let end = |journal: &Journal| journal.log_state(shard).last;
    let (own, Some(theirs)) = (end(journal), end(other)) else {
        return Ok(0);
    };
    let key = |log_id: LogId| (log_id.term, log_id.index);
    if own.is_some_and(|own| key(own) >= key(theirs)) {
        return Ok(0);
    }
    let common = common(
        journal,
        other,
        shard,
        own.map(|own| own.index),
        theirs.index,
    )?;
    wait(shard, |done| journal.truncate_after(shard, common, done))?;
    let mut next = common.map_or(0, |common| common.index.0 + 1);
    let mut taken = 0;
    while next <= theirs.index.0 {
        let entries = other.read(shard, next..theirs.index.0 + 1, COPY_BYTES);
        let entries = entries.map_err(|error| unreadable(shard, error))?;
        if entries
            .first()
            .is_none_or(|first| first.log_id.index.0 != next)
        {
            return Err(gap(shard));
        }
        next += entries.len() as u64;
        taken += entries.len() as u64;
        let entries = entries.into_iter().map(new_entry).collect();
        wait(shard, |done| journal.append(shard, entries, done))?;
    }
    Ok(taken)
}

/// The last entry that both have. `None`: the shard was never founded here.
fn common(
    journal: &Journal,
    other: &Journal,
    shard: ShardId,
    own: Option<LogIndex>,
    theirs: LogIndex,
) -> Result<Option<LogId>, NodeError> {
    let Some(own) = own else { return Ok(None) };
    let mut index = own.min(theirs);
    loop {
        let ids = [journal, other].map(|journal| journal.log_id_at(shard, index));
        match ids {
            [Some(a), Some(b)] if a == b => return Ok(Some(a)),
            [Some(_), Some(_)] if index.0 > 0 => index = LogIndex(index.0 - 1),
            _ => return Err(gap(shard)),
        }
    }
}

fn gap(shard: ShardId) -> NodeError {
    NodeError::Journal {
        shard,
        detail: "the survivor that is ahead no longer holds the entries after the other's last one: name it first"
            .to_owned(),
    }
}

fn new_entry(stored: StoredEntry) -> NewEntry {
    NewEntry {
        log_id: stored.log_id,
        kind: stored.kind,
        payload: stored.payload,
    }
}

/// From now on `node` alone is the shard's membership, in a term above all that the journal has heard of; then come
/// `commands`. The mode is *degraded*: a second site that is added later catches up without holding anybody up.
pub fn go_on_alone(
    journal: &Journal,
    shard: ShardId,
    node: &NodeInfo,
    decided_at_ms: u64,
    commands: Vec<Bytes>,
) -> Result<LogId, NodeError> {
    let Some(last) = journal.log_state(shard).last else {
        return Err(NodeError::Journal {
            shard,
            detail: "it was never founded here".to_owned(),
        });
    };
    let malformed = |_| NodeError::Journal {
        shard,
        detail: "its vote cannot be read".to_owned(),
    };
    let voted = journal.vote(shard).map(WireVote::decode).transpose();
    let voted = voted.map_err(malformed)?.map_or(0, |vote| vote.term);
    let term = voted.max(last.term.0) + 1;
    let vote = wire::bytes(&WireVote {
        term,
        node: node.id.0,
        committed: false,
    });
    wait(shard, |done| journal.save_vote(shard, vote, done))?;
    let now = start::mode_at(journal, shard, Some(last.index));
    let now = now.map_err(|error| unreadable(shard, error))?;
    let mode = ModeNow {
        mode: Mode::Degraded,
        decided_at_ms,
        ..now
    };
    let own = [
        (EntryKind::Membership, membership_of(node)),
        (EntryKind::Mode, wire::bytes(&WireMode::from(mode))),
    ];
    let commands = commands
        .into_iter()
        .map(|payload| (EntryKind::Normal, payload));
    let entries: Vec<NewEntry> = (last.index.0 + 1..)
        .zip(own.into_iter().chain(commands))
        .map(|(index, (kind, payload))| NewEntry {
            log_id: LogId {
                term: Term(term),
                index: LogIndex(index),
            },
            kind,
            payload,
        })
        .collect();
    let end = entries.last().map_or(last, |entry| entry.log_id);
    wait(shard, |done| journal.append(shard, entries, done))?;
    Ok(end)
}

fn membership_of(node: &NodeInfo) -> Bytes {
    wire::bytes(&WireMembership {
        configs: vec![WireVoters {
            nodes: vec![node.id.0],
        }],
        nodes: vec![WireNode {
            id: node.id.0,
            site: node.site.to_string(),
            peer_addr: node.peer_addr.clone(),
        }],
    })
}

fn unreadable(shard: ShardId, error: raft_api::EntriesError) -> NodeError {
    NodeError::Journal {
        shard,
        detail: error.to_string(),
    }
}

fn wait(
    shard: ShardId,
    call: impl FnOnce(FlushDone) -> Result<(), AppendError>,
) -> Result<(), NodeError> {
    let waited = flushed::wait_blocking(call);
    waited.map_err(|detail| NodeError::Journal { shard, detail })
}

/// Where terms begin in the shard's log, as (first index, term), ascending: at most the newest `TERM_RUNS_MAX` of them.
/// Two logs are equal up to the last index at which they agree on the term (Raft §5.3).
pub fn term_runs(journal: &Journal, shard: ShardId) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    let mut next = journal.log_state(shard).last.map(|last| last.index.0);
    while let Some(index) = next {
        let Some(log_id) = journal.log_id_at(shard, LogIndex(index)) else {
            break;
        };
        let count = runs.len();
        match runs.last_mut() {
            Some(run) if run.1 == log_id.term.0 => run.0 = index,
            _ if count == TERM_RUNS_MAX => break,
            _ => runs.push((index, log_id.term.0)),
        }
        next = index.checked_sub(1);
    }
    runs.reverse();
    runs
}

/// The last index at which the journal's log is that of which `runs` were taken, up to its `last` index. `None`: they do
/// not meet within what both still know.
pub fn fork(journal: &Journal, shard: ShardId, runs: &[(u64, u64)], last: u64) -> Option<LogIndex> {
    let mut index = journal.log_state(shard).last?.index.0.min(last);
    loop {
        let run = runs.partition_point(|(first, _)| *first <= index);
        let (_, term) = *runs.get(run.checked_sub(1)?)?;
        let own = journal.log_id_at(shard, LogIndex(index))?;
        if own.term.0 == term {
            return Some(LogIndex(index));
        }
        index = index.checked_sub(1)?;
    }
}
