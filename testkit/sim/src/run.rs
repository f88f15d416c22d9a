//! One seed: a cluster, its clients, its faults, then healing, and the end that everything is held against.

use crate::chance::{is_lucky, millis, stream};
use crate::clients::{Client, Known, deliver, look, names, position_in};
use crate::clock;
use crate::faults::{Fault, Planned, plan};
use crate::net::Net;
use crate::node::{Common, Death, SimNode};
use crate::twins::{Twin, break_on_purpose};
use crate::world::{ACCOUNTS, Copy, MAILBOXES, Violation, World};
use engine_replica::Shard;
use engine_service::{Administration, Mail, NewCredential, Service};
use parking_lot::Mutex;
use raft_api::{LogIndex, NodeId, NodeInfo, OnSiteLoss, ShardId, SiteName};
use raft_log::Journal;
use raft_log::faulty_disk::Chance;
use raft_node::{Change, LogKeeping, Node};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::RngSeed;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

const CLIENTS: usize = 5;
const FAULTS_UNTIL: Duration = Duration::from_secs(26);
/// After healing: elections, catching up, snapshots, and the retries of what was under way.
const SETTLE_MAX: Duration = Duration::from_secs(60);
const START_MAX: Duration = Duration::from_secs(30);
/// What `{SHA}` of `password` is; nobody logs in.
const HASH: &str = "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=";

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
    pub messages: usize,
    pub faults: usize,
    pub kinds: usize,
    pub simulated: Duration,
}

/// A running node, as clients and checkers reach it.
#[derive(Clone)]
pub struct Access {
    pub service: Arc<Service>,
    pub shards: BTreeMap<ShardId, Arc<Shard>>,
    pub alive: watch::Receiver<bool>,
    node: Arc<Node>,
    journal: Journal,
}

pub struct Run {
    pub world: Mutex<World>,
    pub access: Mutex<Vec<Option<Access>>>,
    sites: Vec<usize>,
    /// What nodes that are down have on stable storage.
    flushed: Mutex<Vec<BTreeMap<ShardId, LogIndex>>>,
    policy: watch::Sender<OnSiteLoss>,
    was_degrade: AtomicBool,
    validities: Mutex<BTreeMap<(usize, usize), u32>>,
    is_over: AtomicBool,
}

impl Run {
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    pub fn access(&self, node: usize) -> Option<Access> {
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
            let flushed = match self.access(number) {
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
            if flushed.is_some_and(|flushed| flushed >= index) {
                sites.insert(*site);
            }
        }
        if sites.len() >= 2 {
            return;
        }
        if !self.was_degrade.load(Ordering::SeqCst) {
            self.breach(
                "two-sites",
                format!("{receipt} is on stable storage in one site only"),
            );
        }
        for (number, _) in believers.iter().filter(|(_, site)| !sites.contains(site)) {
            let text = format!(
                "node {} holds a sync lease, and does not hold {receipt}",
                number + 1
            );
            self.breach("lease", text);
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

struct Cluster {
    plan: Plan,
    run: Arc<Run>,
    net: Arc<Net>,
    common: Common,
    nodes: Vec<SimNode>,
    stopped: mpsc::UnboundedReceiver<(usize, u64, String)>,
    /// When a node that is down starts again.
    restarts: BTreeMap<usize, Instant>,
    /// Nodes whose disk was broken on purpose since their last start.
    excused: BTreeSet<usize>,
    chance: Chance,
    faults: usize,
    kinds: BTreeSet<String>,
}

impl Cluster {
    fn new(plan: Plan) -> Cluster {
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
        let (policy, policy_seen) = watch::channel(policy);
        let (sender, stopped) = mpsc::unbounded_channel();
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
            policy: policy_seen,
            log,
            twin: plan.twin,
            stopped: sender,
        };
        let nodes: Vec<SimNode> = members
            .into_iter()
            .enumerate()
            .map(|(number, info)| SimNode::new(number, info, plan.seed))
            .collect();
        let was_degrade = *policy.borrow() == OnSiteLoss::Degrade;
        let mut world = World::default();
        world.trace.prints = plan.prints;
        let run = Run {
            world: Mutex::new(world),
            access: Mutex::new(vec![None; nodes.len()]),
            sites,
            flushed: Mutex::new(vec![BTreeMap::new(); nodes.len()]),
            policy,
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
            excused: BTreeSet::new(),
            chance,
            faults: 0,
            kinds: BTreeSet::new(),
        }
    }

    async fn go(&mut self) {
        for number in 0..self.nodes.len() {
            self.start(number).await;
        }
        let Ok(known) = timeout(START_MAX, self.found()).await else {
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
        self.run.is_over.store(true, Ordering::SeqCst);
        self.settle(&known, clients).await;
    }

    /// Restarts nodes, and notices those that stop, until then.
    async fn until(&mut self, at: Duration) {
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
        match (started, &node.running) {
            (Ok(()), Some(running)) => {
                self.run.access.lock()[number] = Some(Access {
                    service: running.service.clone(),
                    shards: running.shards.clone(),
                    alive: running.alive(),
                    node: running.node.clone(),
                    journal: running.journal.clone(),
                });
            }
            (Err(reason), _) if lost_power => {
                self.run.note(&format!("node {}: {reason}", number + 1));
                self.bring_down(number, Death::PowerCut);
            }
            (Err(reason), _) if self.excused.contains(&number) => {
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

    fn bring_down(&mut self, number: usize, how: Death) {
        if let Some(access) = self.run.access(number) {
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
        if !lost_power && !self.excused.contains(&number) {
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

    async fn inject(&mut self, fault: Fault) {
        self.run.note(&format!("fault: {fault:?}"));
        if fault != Fault::Heal {
            self.faults += 1;
            let kind = format!("{fault:?}");
            self.kinds
                .insert(kind.split('(').next().unwrap_or_default().to_owned());
        }
        let id = |number: usize| NodeId(number as u64 + 1);
        let all = 0..self.nodes.len();
        match fault {
            Fault::Kill(node) => self.bring_down(node, Death::Kill),
            Fault::PowerCut(node) => {
                let disk = &self.nodes[node].disk;
                disk.cut_power_at(disk.operations() + 1 + self.chance.below(8));
            }
            Fault::PowerCutOfAll => {
                for node in all {
                    self.bring_down(node, Death::PowerCut);
                }
            }
            Fault::LoseViews(node) => {
                self.bring_down(node, Death::Kill);
                self.nodes[node].lose_views();
            }
            Fault::Isolate(node) => {
                for other in all.filter(|other| *other != node) {
                    self.net.cut(id(node), id(other));
                    self.net.cut(id(other), id(node));
                }
            }
            Fault::CutOneWay(from, to) => self.net.cut(id(from), id(to)),
            Fault::CutSites => {
                for from in all.clone() {
                    for to in all.clone() {
                        if self.run.sites[from] != self.run.sites[to] {
                            self.net.cut(id(from), id(to));
                        }
                    }
                }
            }
            Fault::SlowNet(by) => self.net.slow_down(by),
            Fault::SlowDisk(node) => *self.nodes[node].flush_ms.lock() = (100, 600),
            Fault::FailDisk(node) => {
                self.excused.insert(node);
                let disk = &self.nodes[node].disk;
                disk.fail_operation(disk.operations() + 1 + self.chance.below(8));
            }
            Fault::FullDisk(node) => {
                self.excused.insert(node);
                self.nodes[node].disk.set_free_bytes(0);
            }
            Fault::ClockOff(node, ms) => self.nodes[node].clock.set_off(ms),
            Fault::Transfer(shard, to) => {
                if let Some(access) = self.run.access(to) {
                    let change = Change::Transfer(id(to));
                    // It may be refused, or lost: it is a disturbance.
                    tokio::spawn(async move {
                        let _ = access.node.change(ShardId(shard), change).await;
                    });
                }
            }
            Fault::SwitchPolicy => {
                let now = *self.run.policy.borrow();
                let other = match now {
                    OnSiteLoss::Strict => OnSiteLoss::Degrade,
                    OnSiteLoss::Degrade => OnSiteLoss::Strict,
                };
                let is_fixed = matches!(
                    self.plan.twin,
                    Some(Twin::SkipSiteGate | Twin::DegradeWithoutLease)
                );
                if !is_fixed {
                    self.run.was_degrade.store(true, Ordering::SeqCst);
                    self.run.policy.send_replace(other);
                }
            }
            Fault::Heal => self.heal(),
        }
    }

    fn heal(&mut self) {
        self.net.heal();
        for number in 0..self.nodes.len() {
            *self.nodes[number].flush_ms.lock() = (1, 3);
            self.nodes[number].clock.set_off(0);
            self.nodes[number].disk.set_free_bytes(u64::MAX);
        }
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

    /// The accounts and mailboxes that clients use.
    async fn found(&self) -> Known {
        let service = loop {
            match self.run.access(0) {
                Some(access) => break access.service,
                None => sleep(Duration::from_millis(50)).await,
            }
        };
        let mut known = Known {
            principals: Vec::new(),
            mailboxes: Vec::new(),
        };
        for (account, address) in ACCOUNTS.iter().enumerate() {
            let hash = || NewCredential::Hash(HASH.to_owned());
            // Until there are leaders.
            while service.principal(address).await.is_err() {
                let _ = service.add_account(address, hash(), None).await;
                sleep(Duration::from_millis(100)).await;
            }
            let Ok(who) = service.principal(address).await else {
                continue;
            };
            let mut ids = Vec::new();
            for (mailbox, name) in names().iter().enumerate() {
                let opened = loop {
                    let _ = service
                        .create_mailbox(&crate::clients::peer(0), &who, name, None)
                        .await;
                    if let Ok(opened) = service.open_mailbox(&who, name).await {
                        break opened;
                    }
                    sleep(Duration::from_millis(100)).await;
                };
                let validity = opened.status.uid_validity.0;
                self.run
                    .validities
                    .lock()
                    .insert((account, mailbox), validity);
                ids.push(opened.status.id);
            }
            known.principals.push(who);
            known.mailboxes.push(ids);
        }
        known
    }

    async fn settle(&mut self, known: &Known, clients: Vec<tokio::task::JoinHandle<()>>) {
        let give_up = clock::elapsed() + SETTLE_MAX;
        // What is under way ends with an answer.
        while clients.iter().any(|client| !client.is_finished()) {
            if clock::elapsed() >= give_up {
                return self
                    .run
                    .breach("stuck", "a request has no answer".to_owned());
            }
            self.until(clock::elapsed() + Duration::from_millis(200))
                .await;
        }
        for number in 0..self.nodes.len() {
            for account in 0..ACCOUNTS.len() {
                let token = self.run.world.lock().new_token(CLIENTS, account);
                loop {
                    if let Some(access) = self.run.access(number) {
                        match deliver(&access.service, CLIENTS, account, token).await {
                            Ok((uid, receipt)) => {
                                self.run
                                    .note(&format!("node {} takes {token}: {receipt}", number + 1));
                                self.run.world.lock().settle(token, arrived(), Some(uid));
                                break;
                            }
                            Err(refusal) => {
                                self.run.note(&format!("node {}: {refusal}", number + 1))
                            }
                        }
                    }
                    if clock::elapsed() >= give_up {
                        let text = format!("node {} takes no mail after healing", number + 1);
                        return self.run.breach("stuck", text);
                    }
                    self.until(clock::elapsed() + Duration::from_millis(200))
                        .await;
                    break;
                }
            }
        }
        while !self.agree() {
            if clock::elapsed() >= give_up {
                return self.run.breach(
                    "stuck",
                    format!("the nodes do not get level: {}", self.positions()),
                );
            }
            self.until(clock::elapsed() + Duration::from_millis(200))
                .await;
        }
        self.check_digests();
        self.check_messages(known).await;
    }

    /// All nodes run, and have folded each shard equally far.
    fn agree(&self) -> bool {
        let access = self.run.access.lock();
        let all: Vec<&Access> = access.iter().flatten().collect();
        all.len() == self.nodes.len()
            && self.common.shards.iter().all(|shard| {
                let positions: BTreeSet<_> = all
                    .iter()
                    .map(|access| access.shards.get(shard).map(|s| s.digest().position))
                    .collect();
                positions.len() == 1
            })
    }

    fn positions(&self) -> String {
        let access = self.run.access.lock();
        let of_node = |access: &Option<Access>| match access {
            Some(access) => {
                let shards = access.shards.values();
                let at = shards.map(|s| s.digest().position.map_or(0, |at| at.index.0));
                format!("{:?}", at.collect::<Vec<_>>())
            }
            None => "down".to_owned(),
        };
        access.iter().map(of_node).collect::<Vec<_>>().join(" ")
    }

    fn check_digests(&self) {
        let access = self.run.access.lock().clone();
        for shard in &self.common.shards {
            let mut values = BTreeSet::new();
            for (number, access) in access.iter().enumerate() {
                let Some(shard) = access.as_ref().and_then(|access| access.shards.get(shard))
                else {
                    continue;
                };
                let (kept, view) = (shard.digest(), shard.view());
                values.insert(kept.value);
                let id = shard.id();
                match view.recompute_digest() {
                    Ok(found) if found == kept => {}
                    found => self.run.breach(
                        "digest",
                        format!(
                            "node {}, shard {id}: kept {kept:?}, found {found:?}",
                            number + 1
                        ),
                    ),
                }
                match engine_domain::invariants::check(&view, id.0) {
                    Ok(breaches) if breaches.is_empty() => {}
                    other => self.run.breach(
                        "digest",
                        format!("node {}, shard {id}: {other:?}", number + 1),
                    ),
                }
            }
            if values.len() > 1 {
                self.run
                    .breach("digest", format!("shard {shard}: the replicas differ"));
            }
        }
    }

    async fn check_messages(&self, known: &Known) {
        for number in 0..self.nodes.len() {
            let Some(access) = self.run.access(number) else {
                continue;
            };
            let mut found: BTreeMap<u64, Vec<Copy>> = BTreeMap::new();
            for (account, who) in known.principals.iter().enumerate() {
                for (mailbox, name) in names().iter().enumerate() {
                    let opened = access.service.open_mailbox(who, name).await;
                    let seen = match &opened {
                        Ok(opened) => {
                            look(
                                &self.run,
                                &access.service,
                                account,
                                who,
                                opened.status.id,
                                opened,
                            )
                            .await
                        }
                        Err(_) => None,
                    };
                    let Some(seen) = seen else {
                        let text = format!(
                            "node {}: {} of {} cannot be read",
                            number + 1,
                            MAILBOXES[mailbox],
                            ACCOUNTS[account]
                        );
                        self.run.breach("stuck", text);
                        return;
                    };
                    for (token, value) in seen {
                        found
                            .entry(token)
                            .or_default()
                            .push(Copy { mailbox, value });
                    }
                }
            }
            for copies in found.values_mut() {
                copies.sort_unstable();
            }
            self.run.world.lock().check_end(number + 1, &found);
        }
    }

    fn report(&self) -> Report {
        let world = self.run.world.lock();
        Report {
            seed: self.plan.seed,
            violations: world.violations.clone(),
            hash: world.trace.hash(),
            operations: world.operations,
            messages: world.tokens.len(),
            faults: self.faults,
            kinds: self.kinds.len(),
            simulated: clock::elapsed(),
        }
    }
}

fn arrived() -> Vec<Copy> {
    vec![Copy {
        mailbox: 0,
        value: 0,
    }]
}
