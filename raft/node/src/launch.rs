//! Starts one group: its consensus, its tasks, its place in the inbox.

use crate::admission::Admission;
use crate::error::NodeError;
use crate::fold::FoldQueue;
use crate::group::RaftGroup;
use crate::inbox::Inbox;
use crate::limits::{MAX_APPEND_ENTRIES, SNAPSHOT_OFFER_TIMEOUT};
use crate::log_store::LogStore;
use crate::machine::Machine;
use crate::network::Network;
use crate::node::{LogKeeping, NodeConfig, Timing};
use crate::shared::Shared;
use crate::start::{self, Opening};
use crate::types::{Place, Raft};
use crate::{mark, members, mode, prefer, repair};
use openraft::SnapshotPolicy;
use parking_lot::Mutex;
use raft_api::{NodeId, NodeInfo, ShardId, StateMachine};
use raft_transport::Peers;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// What all groups of a node have in common. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Launcher {
    pub opening: Opening,
    pub inbox: Arc<Inbox>,
    pub peers: Arc<Peers>,
    pub tasks: Arc<Mutex<JoinSet<()>>>,
    pub fold_queue: Arc<FoldQueue>,
    pub admission: Admission,
    pub settings: Settings,
    /// Who founds a group here that is empty; `None`: others do.
    pub founders: Option<BTreeMap<u64, Place>>,
}

#[derive(Clone)]
pub(crate) struct Settings {
    timing: Timing,
    log: LogKeeping,
    #[cfg(any(test, feature = "testing"))]
    twin: Option<crate::node::Twin>,
}

impl Settings {
    pub fn of(config: &NodeConfig) -> Settings {
        Settings {
            timing: config.timing,
            log: config.log,
            #[cfg(any(test, feature = "testing"))]
            twin: config.twin(),
        }
    }

    /// Never: a leader that lost its unflushed tail must not go on in the same term (design §3, seen).
    fn restores_leaders(&self) -> bool {
        #[cfg(any(test, feature = "testing"))]
        if self.twin == Some(crate::node::Twin::LeaderRestore) {
            return true;
        }
        false
    }
}

impl Launcher {
    pub async fn open(
        &self,
        shard: ShardId,
        machine: Arc<dyn StateMachine>,
    ) -> Result<Shared, NodeError> {
        start::open_with(&self.opening, shard, machine, self.fold_queue.clone()).await
    }

    /// Runs the group, and founds it if that is ours to do.
    pub async fn launch(&self, shared: Arc<Shared>) -> Result<(), NodeError> {
        let shard = shared.shard;
        let raft = self.run(shared).await?;
        found(&raft, shard, &self.founders).await
    }

    async fn run(&self, shared: Arc<Shared>) -> Result<Raft, NodeError> {
        let shard = shared.shard;
        let failed = |detail: String| NodeError::Raft { shard, detail };
        let raft_config = raft_config(&self.settings).map_err(|error| failed(error.to_string()))?;
        let network = Network {
            shared: shared.clone(),
            peers: self.peers.clone(),
        };
        let log = LogStore {
            journal: shared.journal.clone(),
            shard,
        };
        let own = shared.own;
        let machine = Machine(shared.clone());
        let starting = Raft::new(own.0, Arc::new(raft_config), network, log, machine);
        // It reads what is not folded yet, and that may show what has rotted.
        let mending = repair::keep_mending(&shared.journal, &self.peers, shard);
        let raft = tokio::select! {
            biased;
            raft = starting => raft.map_err(|error| failed(error.to_string()))?,
            () = mending => return Err(failed("the journal is closed".to_owned())),
        };
        {
            let mut tasks = self.tasks.lock();
            tasks.spawn(mark::run(shared.clone(), raft.clone()));
            tasks.spawn(prefer::run(shared.clone(), raft.clone()));
            let peers = || self.peers.clone();
            tasks.spawn(members::run(shared.clone(), raft.clone(), peers()));
            tasks.spawn(mode::run(shared.clone(), raft.clone()));
            tasks.spawn(mode::ask(shared.clone(), raft.clone(), peers()));
            tasks.spawn(repair::run(shared.clone(), raft.clone(), peers()));
        }
        let group = RaftGroup {
            shared,
            raft: raft.clone(),
            peers: self.peers.clone(),
            admission: self.admission.clone(),
            timing: self.settings.timing,
        };
        self.inbox.groups.write().insert(shard, Arc::new(group));
        Ok(raft)
    }
}

pub(crate) fn founders(members: &[NodeInfo], own: NodeId) -> Option<BTreeMap<u64, Place>> {
    let lowest = members.iter().map(|member| member.id).min();
    let members = members
        .iter()
        .map(|member| (member.id.0, Place::from(member)));
    (lowest == Some(own)).then(|| members.collect())
}

async fn found(
    raft: &Raft,
    shard: ShardId,
    founders: &Option<BTreeMap<u64, Place>>,
) -> Result<(), NodeError> {
    let failed = |detail: String| NodeError::Raft { shard, detail };
    let is_founded = raft.is_initialized().await;
    let is_founded = is_founded.map_err(|error| failed(error.to_string()))?;
    let Some(founders) = founders.as_ref().filter(|_| !is_founded) else {
        return Ok(());
    };
    let founded = raft.initialize(founders.clone()).await;
    match founded {
        // Another member's vote or entries came first: then there is nothing left to found.
        Ok(()) | Err(openraft::errors::RaftError::APIError(_)) => Ok(()),
        Err(error) => Err(failed(error.to_string())),
    }
}

fn raft_config(settings: &Settings) -> Result<openraft::Config, openraft::ConfigError> {
    let Settings { timing, log, .. } = settings;
    let ms = |duration: Duration| duration.as_millis() as u64;
    openraft::Config {
        cluster_name: "gotthard".into(),
        heartbeat_interval: ms(timing.heartbeat),
        election_timeout_min: ms(timing.election_min),
        election_timeout_max: ms(timing.election_max),
        max_payload_entries: MAX_APPEND_ENTRIES,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(log.look_every),
        max_in_snapshot_log_to_keep: log.keep,
        purge_batch_size: log.look_every.div_ceil(2),
        // A snapshot's own bounds are ours (`snapshot_out.rs`).
        install_snapshot_timeout: ms(SNAPSHOT_OFFER_TIMEOUT),
        enable_leader_restore: Some(settings.restores_leaders()),
        enable_pre_vote: Some(true),
        allow_log_reversion: Some(false),
        ..Default::default()
    }
    .validate()
}
