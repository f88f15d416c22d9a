//! A group of one: a proposal is admitted, logged and folded before the call returns.

use async_trait::async_trait;
use bytes::Bytes;
use engine_replica::Shard;
use parking_lot::Mutex;
use raft_api::{
    Committed, EntriesError, Group, GroupStatus, LogId, LogIndex, MemberStatus, Mode, NodeId,
    NodeInfo, ProposeError, Proposed, ReadError, ReadMark, Role, ShardId, SiteName, StateMachine,
    Term,
};
use std::sync::Arc;
use tokio::sync::watch;

const TERM: u64 = 1;
const NODE: NodeId = NodeId(1);

/// What goes wrong from now on, until another is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trouble {
    #[default]
    None,
    /// Proposals are refused with this, and nothing is written. Not `Unknown`: see `AnswerLost`.
    Refuse(ProposeError),
    /// Proposals are logged and folded, and the caller is told `Unknown`: the answer was lost.
    AnswerLost,
    /// Nobody confirms leadership: changes are refused with `NoQuorum`, reads fail with it.
    NoQuorum,
}

pub(crate) struct SoloGroup {
    shard: Arc<Shard>,
    /// The log: `entries[i]` has index `i`. Entry 0 is consensus' own, as in a real group.
    log: Mutex<Vec<Bytes>>,
    folded: watch::Sender<Option<LogIndex>>,
    trouble: Mutex<Trouble>,
}

impl SoloGroup {
    pub fn new(shard: Arc<Shard>) -> Arc<SoloGroup> {
        let group = SoloGroup {
            shard,
            log: Mutex::new(Vec::new()),
            folded: watch::Sender::new(None),
            trouble: Mutex::new(Trouble::None),
        };
        group.append(&mut group.log.lock(), Bytes::new());
        Arc::new(group)
    }

    pub fn set_trouble(&self, trouble: Trouble) {
        *self.trouble.lock() = trouble;
    }

    pub fn payload(&self, index: LogIndex) -> Result<Bytes, EntriesError> {
        let at = usize::try_from(index.0).ok();
        let log = self.log.lock();
        at.and_then(|at| log.get(at))
            .cloned()
            .ok_or(EntriesError::Missing {
                shard: self.shard.id(),
                index,
            })
    }

    /// Under the log's lock, so that entries are folded in their order.
    fn append(&self, log: &mut Vec<Bytes>, payload: Bytes) -> Proposed {
        let log_id = LogId::new(TERM, log.len() as u64);
        log.push(payload.clone());
        let outcomes = self.shard.apply(&[Committed { log_id, payload }]);
        self.folded.send_replace(Some(log_id.index));
        Proposed {
            sites: vec![SiteName::new("a")],
            log_id,
            outcome: outcomes.into_iter().next().unwrap_or_default(),
        }
    }
}

#[async_trait]
impl Group for SoloGroup {
    fn shard(&self) -> ShardId {
        self.shard.id()
    }

    async fn propose(&self, command: Bytes) -> Result<Proposed, ProposeError> {
        let trouble = self.trouble.lock().clone();
        match &trouble {
            Trouble::Refuse(error) => return Err(error.clone()),
            Trouble::NoQuorum => return Err(ProposeError::NoQuorum),
            Trouble::None | Trouble::AnswerLost => {}
        }
        let payload = self.shard.admit(command)?;
        let proposed = self.append(&mut self.log.lock(), payload);
        if self.shard.stopped().borrow().is_some() || trouble == Trouble::AnswerLost {
            return Err(ProposeError::Unknown);
        }
        Ok(proposed)
    }

    async fn read_mark(&self) -> Result<ReadMark, ReadError> {
        if *self.trouble.lock() == Trouble::NoQuorum {
            return Err(ReadError::NoQuorum);
        }
        Ok(ReadMark {
            index: *self.folded.borrow(),
        })
    }

    fn folded(&self) -> watch::Receiver<Option<LogIndex>> {
        self.folded.subscribe()
    }

    fn status(&self) -> GroupStatus {
        let folded = *self.folded.borrow();
        GroupStatus {
            shard: self.shard.id(),
            leader: (*self.trouble.lock() != Trouble::NoQuorum).then_some(NODE),
            term: Term(TERM),
            mode: Mode::SingleSite,
            committed: folded,
            visible: folded,
            on_site_loss: None,
            mode_since_ms: None,
            in_sync_until: None,
            gate_closed: false,
            members: vec![MemberStatus {
                node: NodeInfo {
                    id: NODE,
                    site: SiteName::new("a"),
                    peer_addr: "127.0.0.1:1700".to_owned(),
                },
                role: Role::Leader,
                durable: folded,
                applied: folded,
                clock_ahead_ms: None,
                last_contact_ms: Some(0),
            }],
        }
    }
}
