//! What is done to the cluster: a table of nemeses, and a schedule of them from the seed.

mod faults;
mod schedule;

pub use schedule::{Planned, plan};

use crate::chance::Chance;
use crate::cluster::Cluster;
use crate::watch;
use anyhow::Result;

/// What a nemesis works on.
pub struct Scene<'a> {
    pub cluster: &'a mut Cluster,
    pub watch: &'a watch::Watch,
    pub chance: &'a mut Chance,
}

pub struct Nemesis {
    pub name: &'static str,
    pub about: &'static str,
    /// It needs a cluster that is well otherwise, and is over when it returns.
    pub is_alone: bool,
    /// What it does takes no time: its nodes stay dead only for a moment.
    pub is_short: bool,
    /// The nodes' disks are ours.
    pub needs_disk: bool,
    /// What the machine lacks.
    pub missing: fn() -> Option<String>,
    /// Says what it did. Healing is one for all: `Cluster::heal`.
    pub begin: fn(&mut Scene<'_>) -> Result<String>,
}

pub fn by_name(name: &str) -> Option<&'static Nemesis> {
    faults::TABLE.iter().find(|nemesis| nemesis.name == name)
}

pub fn table() -> &'static [Nemesis] {
    &faults::TABLE
}

impl Scene<'_> {
    /// Often the leader of most shards.
    fn victim(&mut self) -> u64 {
        let nodes = self.cluster.ids();
        let leader = self.watch.leader().filter(|leader| nodes.contains(leader));
        match leader {
            Some(leader) if self.chance.is_lucky(50) => leader,
            _ => self.chance.pick(&nodes).copied().unwrap_or(1),
        }
    }

    /// All nodes in an order by chance.
    fn shuffled(&mut self) -> Vec<u64> {
        let mut nodes = self.cluster.ids();
        self.chance.shuffle(&mut nodes);
        nodes
    }

    /// Both ways, between each of one group and each of the other.
    fn part(&mut self, group: &[u64], others: &[u64]) -> Result<()> {
        for one in group {
            for other in others {
                self.cluster.wires.cut(*one, *other)?;
                self.cluster.wires.cut(*other, *one)?;
            }
        }
        Ok(())
    }
}
