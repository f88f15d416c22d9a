//! What each fault does to the cluster, and how it heals.

use crate::clock;
use crate::cluster::Cluster;
use crate::faults::Fault;
use crate::node::Death;
use crate::replace::replace;
use crate::twins::Twin;
use raft_api::{NodeId, NodeInfo, OnSiteLoss, ShardId};
use raft_node::Change;
use std::sync::atomic::Ordering;

impl Cluster {
    pub(crate) async fn inject(&mut self, fault: Fault) {
        self.run.note(&format!("fault: {fault:?}"));
        if fault != Fault::Heal {
            self.faults += 1;
            let kind = format!("{fault:?}");
            self.kinds
                .insert(kind.split('(').next().unwrap_or_default().to_owned());
        }
        let ids: Vec<NodeId> = self.nodes.iter().map(|node| node.info.id).collect();
        let id = |number: usize| ids[number];
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
                self.excused.insert(node, None);
                let disk = &self.nodes[node].disk;
                disk.fail_operation(disk.operations() + 1 + self.chance.below(8));
            }
            Fault::FullDisk(node) => {
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
                let now = *self.run.policy.lock();
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
                    *self.run.policy.lock() = other;
                    self.switch_policy(other);
                }
            }
            Fault::Replace(node) => self.replace(node),
            Fault::Heal => self.heal(),
        }
    }

    /// It may be refused, or lost, in some shards and not in others: all of that is part of the run.
    fn switch_policy(&self, policy: OnSiteLoss) {
        let alive = (0..self.nodes.len()).find_map(|node| self.run.access(node));
        let Some(access) = alive else { return };
        for shard in self.common.shards.clone() {
            let node = access.node.clone();
            tokio::spawn(async move {
                let _ = node.change(shard, Change::Policy(policy)).await;
            });
        }
    }

    fn replace(&mut self, number: usize) {
        self.bring_down(number, Death::PowerCut);
        let old = self.nodes[number].info.clone();
        let new = NodeInfo {
            id: NodeId(old.id.0 + 10),
            peer_addr: format!("node-{}", old.id.0 + 10),
            site: old.site,
        };
        self.net.place(new.id, self.run.sites[number]);
        self.nodes[number].replace(new.clone());
        let had = std::mem::take(&mut self.run.flushed.lock()[number]);
        let lost = (clock::elapsed(), had);
        self.run.lost.lock().insert(number, lost);
        let shards = self.common.shards.clone();
        tokio::spawn(replace(self.run.clone(), shards, number, old.id, new));
    }

    pub(crate) fn heal(&mut self) {
        self.net.heal();
        for number in 0..self.nodes.len() {
            *self.nodes[number].flush_ms.lock() = (1, 3);
            self.nodes[number].clock.set_off(0);
            self.nodes[number].disk.set_free_bytes(u64::MAX);
        }
    }
}
