//! The cluster of one seed: nodes start and die, faults come and go, clients work; then all is healed.

use crate::chance::{is_lucky, millis, stream};
use crate::clients::Client;
use crate::clock;
use crate::faults::{Planned, plan};
use crate::founding;
use crate::net::Net;
use crate::node::{Common, Death, SimNode};
use crate::replace::{is_member, serve_once_joined};
use crate::run::{Access, Plan, Report, Run};
use crate::twins::Twin;
use crate::world::World;
use parking_lot::Mutex;
use raft_api::{NodeId, NodeInfo, OnSiteLoss, ShardId, SiteName};
use raft_log::faulty_disk::Chance;
use raft_node::LogKeeping;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

pub(crate) const CLIENTS: usize = 6;
const FAULTS_UNTIL: Duration = Duration::from_secs(26);
/// Nodes that stop by themselves, and were not noticed yet.
const STOPS_MAX: usize = 64;
const OPERATIONS_MIN: u64 = 300;
const START_MAX: Duration = Duration::from_secs(30);

pub struct Cluster {
    pub(crate) plan: Plan,
    pub(crate) run: Arc<Run>,
    pub(crate) net: Arc<Net>,
    pub(crate) common: Common,
    pub(crate) nodes: Vec<SimNode>,
    pub(crate) stopped: mpsc::Receiver<(usize, u64, String)>,
    /// When a node that is down starts again.
    pub(crate) restarts: BTreeMap<usize, Instant>,
    /// Nodes whose disk was broken on purpose, and until when they may stop for it; `None`: until they have.
    pub(crate) excused: BTreeMap<usize, Option<Instant>>,
    pub(crate) chance: Chance,
    pub(crate) faults: usize,
    pub(crate) kinds: BTreeSet<String>,
}

impl Cluster {
    pub fn new(plan: Plan) -> Cluster {
        let mut chance = stream(plan.seed, 2);
        // 2+1, or a site each.
        let sites: Vec<usize> = match is_lucky(&mut chance, 75) {
            true => vec![0, 0, 1],
            false => vec![0, 1, 2],
        };
        let members: Vec<NodeInfo> = sites
            .iter()
            .enumerate()
            .map(|(number, site)| NodeInfo {
                id: NodeId(number as u64 + 1),
                site: SiteName::new(["a", "b", "c"][*site]),
                peer_addr: format!("node-{}", number + 1),
            })
            .collect();
        // Mostly three groups; every 20th seed all of them.
        let shards = if plan.seed % 20 == 19 { 17 } else { 3 };
        let policy = match is_lucky(&mut chance, 60) {
            true => OnSiteLoss::Strict,
            false => OnSiteLoss::Degrade,
        };
        let policy = match plan.twin {
            Some(Twin::SkipSiteGate) => OnSiteLoss::Strict,
            Some(Twin::DegradeWithoutLease) => OnSiteLoss::Degrade,
            _ => policy,
        };
        let (sender, stopped) = mpsc::channel(STOPS_MAX);
        let log = match is_lucky(&mut chance, 50) {
            // Snapshots are then part of the run.
            true => LogKeeping {
                look_every: 20,
                keep: 30,
            },
            false => LogKeeping::default(),
        };
        let by_node = members.iter().zip(&sites).map(|(m, site)| (m.id, *site));
        let net = Net::new(stream(plan.seed, 3), by_node.collect());
        let common = Common {
            members: members.clone(),
            shards: (0..shards).map(ShardId).collect(),
            policy,
            log,
            twin: plan.twin,
            stopped: sender,
        };
        let nodes: Vec<SimNode> = members
            .into_iter()
            .enumerate()
            .map(|(number, info)| SimNode::new(number, info, plan.seed))
            .collect();
        let was_degrade = policy == OnSiteLoss::Degrade;
        let mut world = World::default();
        world.trace.prints = plan.prints;
        let run = Run {
            world: Mutex::new(world),
            access: Mutex::new(vec![None; nodes.len()]),
            sites,
            lost: Mutex::default(),
            flushed: Mutex::new(vec![BTreeMap::new(); nodes.len()]),
            policy: Mutex::new(policy),
            was_degrade: AtomicBool::new(was_degrade),
            validities: Mutex::default(),
            is_over: AtomicBool::new(false),
        };
        Cluster {
            plan,
            run: Arc::new(run),
            net,
            common,
            nodes,
            stopped,
            restarts: BTreeMap::new(),
            excused: BTreeMap::new(),
            chance,
            faults: 0,
            kinds: BTreeSet::new(),
        }
    }

    pub async fn go(&mut self) {
        for number in 0..self.nodes.len() {
            self.start(number).await;
        }
        let Ok(known) = timeout(START_MAX, founding::found(&self.run)).await else {
            return self
                .run
                .breach("stuck", "the cluster does not come up".to_owned());
        };
        let known = Arc::new(known);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let client = Client {
                    run: self.run.clone(),
                    number,
                    chance: stream(self.plan.seed, 200 + number as u64),
                    known: known.clone(),
                    values: 0,
                };
                tokio::spawn(client.work())
            })
            .collect();
        let mut chance = stream(self.plan.seed, 4);
        let shards = self.common.shards.len() as u32;
        let planned = plan(&mut chance, self.nodes.len(), shards, FAULTS_UNTIL);
        for Planned { at, fault } in planned {
            self.until(clock::elapsed().max(at)).await;
            self.inject(fault).await;
        }
        self.until(FAULTS_UNTIL).await;
        self.heal_all();
        self.until(clock::elapsed() + Duration::from_secs(4)).await;
        // A seed whose faults left little room for work goes on a little longer.
        let at_most = clock::elapsed() + Duration::from_secs(10);
        while self.run.world.lock().operations < OPERATIONS_MIN && clock::elapsed() < at_most {
            self.until(clock::elapsed() + Duration::from_millis(500))
                .await;
        }
        self.run.is_over.store(true, Ordering::SeqCst);
        self.settle(&known, clients).await;
    }

    /// Restarts nodes, and notices those that stop, until then.
    pub(crate) async fn until(&mut self, at: Duration) {
        let until = Instant::now() + at.saturating_sub(clock::elapsed());
        loop {
            let next = self.restarts.iter().map(|(node, at)| (*at, *node)).min();
            let wake = next.map_or(until, |(at, _)| at.min(until));
            tokio::select! {
                biased;
                Some((node, start, reason)) = self.stopped.recv() => {
                    self.stopped_by_itself(node, start, &reason);
                }
                () = sleep_until(wake) => match next {
                    Some((at, node)) if at <= Instant::now() => {
                        self.restarts.remove(&node);
                        self.start(node).await;
                    }
                    _ => return,
                },
            }
        }
    }

    async fn start(&mut self, number: usize) {
        self.run.note(&format!("node {} starts", number + 1));
        let node = &mut self.nodes[number];
        let started = timeout(START_MAX, node.start(&self.common, &self.net)).await;
        let started = started.unwrap_or_else(|_| Err("it takes too long".to_owned()));
        let lost_power = node.disk.is_off();
        let is_excused = self.is_excused(number);
        match (started, &self.nodes[number].running) {
            (Ok(()), Some(running)) => {
                let mut access = Access {
                    id: self.nodes[number].info.id,
                    serves: true,
                    service: running.service.clone(),
                    shards: running.shards.clone(),
                    alive: running.alive(),
                    node: running.node.clone(),
                    journal: running.journal.clone(),
                };
                access.serves = !self.nodes[number].joins || is_member(&access);
                if !access.serves {
                    tokio::spawn(serve_once_joined(self.run.clone(), number, access.clone()));
                }
                self.run.access.lock()[number] = Some(access);
            }
            (Err(reason), _) if lost_power => {
                self.run.note(&format!("node {}: {reason}", number + 1));
                self.bring_down(number, Death::PowerCut);
            }
            (Err(reason), _) if is_excused || self.is_new_on_a_full_disk(number) => {
                self.run.note(&format!("node {}: {reason}", number + 1));
                self.bring_down(number, Death::Kill);
            }
            (Err(reason), _) => {
                self.run.breach(
                    "stopped",
                    format!("node {} does not start: {reason}", number + 1),
                );
            }
            (Ok(()), None) => {}
        }
    }

    /// There is nothing yet that it could go on with.
    fn is_new_on_a_full_disk(&self, number: usize) -> bool {
        let node = &self.nodes[number];
        node.joins && node.disk.is_full()
    }

    fn is_excused(&self, number: usize) -> bool {
        match self.excused.get(&number) {
            None => false,
            Some(None) => true,
            Some(Some(until)) => Instant::now() <= *until,
        }
    }

    pub(crate) fn bring_down(&mut self, number: usize, how: Death) {
        if let Some(access) = self.run.running(number) {
            let flushed = self.common.shards.iter();
            let flushed =
                flushed.filter_map(|shard| Some((*shard, access.journal.flushed(*shard)?.index)));
            self.run.flushed.lock()[number] = flushed.collect();
        }
        self.run.access.lock()[number] = None;
        self.nodes[number].die(how, &self.net);
        self.excused.remove(&number);
        let after = millis(&mut self.chance, 200, 3_000);
        self.restarts.insert(number, Instant::now() + after);
    }

    fn stopped_by_itself(&mut self, number: usize, start: u64, reason: &str) {
        if self.nodes[number].starts != start || self.nodes[number].running.is_none() {
            return;
        }
        let lost_power = self.nodes[number].disk.is_off();
        if !lost_power && !self.is_excused(number) {
            self.run
                .breach("stopped", format!("node {}: {reason}", number + 1));
        }
        self.run
            .note(&format!("node {} stops: {reason}", number + 1));
        let how = if lost_power {
            Death::PowerCut
        } else {
            Death::Kill
        };
        self.bring_down(number, how);
    }

    /// Also of faults that wait for a disk operation which has not come.
    fn heal_all(&mut self) {
        self.heal();
        for number in 0..self.nodes.len() {
            if self.nodes[number].disk.is_off() || self.nodes[number].running.is_some() {
                self.bring_down(number, Death::PowerCut);
            }
        }
        self.run.note("all nodes start again");
    }

    pub fn report(&self) -> Report {
        let world = self.run.world.lock();
        Report {
            seed: self.plan.seed,
            violations: world.violations.clone(),
            hash: world.trace.hash(),
            operations: world.operations,
            faults: self.faults,
            kinds: self.kinds.len(),
            simulated: clock::elapsed(),
        }
    }
}
