//! One seed, and what its clients and checkers share.

use crate::chance::stream;
use crate::clock;
use crate::cluster::Cluster;
use crate::mail::position_in;
use crate::twins::{Twin, break_on_purpose};
use crate::world::{Violation, World};
use engine_replica::Shard;
use engine_service::Service;
use parking_lot::Mutex;
use raft_api::{LogIndex, NodeId, OnSiteLoss, ShardId};
use raft_log::Journal;
use raft_node::Node;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::RngSeed;
use tokio::sync::watch;

#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub seed: u64,
    pub twin: Option<Twin>,
    pub prints: bool,
}

#[derive(Debug)]
pub struct Report {
    pub seed: u64,
    pub violations: Vec<Violation>,
    /// Of all that happened.
    pub hash: u128,
    pub operations: u64,
    pub faults: usize,
    pub kinds: usize,
    pub simulated: Duration,
}

/// The last entry of each shard on stable storage.
pub type Flushed = BTreeMap<ShardId, LogIndex>;

/// An acknowledgement reaches its client within this.
const ON_ITS_WAY_MAX: Duration = Duration::from_secs(2);

/// A running node, as clients and checkers reach it.
#[derive(Clone)]
pub struct Access {
    pub id: NodeId,
    /// False while it joins: clients are not let in.
    pub serves: bool,
    pub service: Arc<Service>,
    pub shards: BTreeMap<ShardId, Arc<Shard>>,
    pub alive: watch::Receiver<bool>,
    pub node: Arc<Node>,
    pub journal: Journal,
}

pub struct Run {
    pub world: Mutex<World>,
    pub access: Mutex<Vec<Option<Access>>>,
    pub sites: Vec<usize>,
    /// What nodes that are down have on stable storage.
    pub flushed: Mutex<Vec<Flushed>>,
    /// What disks had that are lost for good, by place, and since when.
    pub lost: Mutex<BTreeMap<usize, (Duration, Flushed)>>,
    /// What was asked for last.
    pub policy: Mutex<OnSiteLoss>,
    pub was_degrade: AtomicBool,
    pub validities: Mutex<BTreeMap<(usize, usize), u32>>,
    pub is_over: AtomicBool,
}

impl Run {
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// For clients.
    pub fn access(&self, node: usize) -> Option<Access> {
        self.running(node).filter(|access| access.serves)
    }

    pub fn running(&self, node: usize) -> Option<Access> {
        self.access.lock().get(node).cloned().flatten()
    }

    pub fn note(&self, line: &str) {
        let at = clock::elapsed().as_millis();
        self.world.lock().trace.note(at, line);
    }

    pub fn breach(&self, checker: &'static str, text: String) {
        self.note(&format!("VIOLATION {checker}: {text}"));
        self.world.lock().breach(checker, text);
    }

    pub fn validity(&self, account: usize, mailbox: usize) -> Option<u32> {
        self.validities.lock().get(&(account, mailbox)).copied()
    }

    /// P1: what is acknowledged is on stable storage in two sites; or, under *degrade*, in a site that no other one
    /// believes to be in sync with.
    pub fn check_acknowledged(&self, receipt: &str) {
        let Some((shard, index)) = position_in(receipt) else {
            return self.breach("two-sites", format!("{receipt} is no receipt"));
        };
        let mut sites = BTreeSet::new();
        let mut believers = Vec::new();
        for (number, site) in self.sites.iter().enumerate() {
            let flushed = match self.running(number) {
                Some(access) => {
                    let status = access.node.group(shard).map(|group| group.status());
                    let until = status.and_then(|status| status.in_sync_until);
                    if until.is_some_and(|until| until > clock::wall()) {
                        believers.push((number, *site));
                    }
                    access.journal.flushed(shard).map(|at| at.index)
                }
                None => self.flushed.lock()[number].get(&shard).copied(),
            };
            // It was there when it was acknowledged, and the answer was on its way when the disk was lost.
            let lost = self.lost.lock();
            let lost = lost
                .get(&number)
                .filter(|lost| clock::elapsed() < lost.0 + ON_ITS_WAY_MAX);
            let lost = lost.and_then(|(_, lost)| lost.get(&shard).copied());
            if flushed.max(lost).is_some_and(|flushed| flushed >= index) {
                sites.insert(*site);
            }
        }
        if sites.len() < 2 && !self.was_degrade.load(Ordering::SeqCst) {
            self.breach(
                "two-sites",
                format!("{receipt} is on stable storage in one site only"),
            );
        }
        self.check_verdicts(shard, index, &sites);
        for (number, _) in believers.iter().filter(|(_, site)| !sites.contains(site)) {
            let text = format!(
                "node {} holds a sync lease, and does not hold {receipt}",
                number + 1
            );
            self.breach("lease", text);
        }
    }
}

impl Run {
    /// What a survivor would tell an operator must be true at any moment: a node of a site that does not hold what was
    /// acknowledged must not call itself complete.
    fn check_verdicts(&self, shard: ShardId, index: LogIndex, sites: &BTreeSet<usize>) {
        for (number, site) in self.sites.iter().enumerate() {
            let Some(access) = self.running(number).filter(|_| !sites.contains(site)) else {
                continue;
            };
            let said = raft_node::recover::standing(&access.journal, shard, access.id);
            if said.is_ok_and(|said| said.is_complete()) {
                let text = format!(
                    "node {} would say that nothing acknowledged is missing, and does not hold {shard}:{index}",
                    number + 1
                );
                self.breach("verdict", text);
            }
        }
    }
}

/// Within a runtime of its own, in one thread.
pub fn run(plan: Plan) -> Report {
    raft_node::choose_chance(Some(stream(plan.seed, 1).draw()));
    break_on_purpose(plan.twin);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .rng_seed(RngSeed::from_bytes(&plan.seed.to_le_bytes()))
        .build();
    let report = match runtime {
        Ok(runtime) => runtime.block_on(async {
            clock::begin(plan.seed);
            let mut cluster = Cluster::new(plan);
            cluster.go().await;
            cluster.report()
        }),
        Err(error) => panic!("no runtime: {error}"),
    };
    raft_node::choose_chance(None);
    break_on_purpose(None);
    report
}
