//! All nodes, as an operator has them in hand.

use super::clocks::Clocks;
use super::disk::{Behind, Disk, Failure};
use super::node::{Launch, Node, State};
use super::operator::finish;
use super::sites::Sites;
use super::wires::Wires;
use crate::chance::Chance;
use crate::check::Gate;
use crate::stop::Stop;
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

pub struct Options {
    pub binary: PathBuf,
    pub sites: Sites,
    pub mail_shards: u64,
    /// `strict` or `degrade`.
    pub on_site_loss: String,
    pub environment: Vec<(String, String)>,
    /// One way, between nodes of two sites; zero: nothing is in between.
    pub delay: Duration,
    /// `on_site_loss` changes as the trial goes on.
    pub has_policies: bool,
    /// Wall clocks can be set.
    pub has_clocks: bool,
    /// Disks can lose power and fail.
    pub has_disks: bool,
    /// Flushes do nothing: a trial with power cuts must find that.
    pub has_lying_disks: bool,
    /// For configuration, data and logs.
    pub folder: PathBuf,
}

impl Options {
    pub fn gate(&self) -> Gate {
        let mut sites: Vec<_> = self
            .sites
            .nodes()
            .into_iter()
            .map(|(_, site)| site)
            .collect();
        sites.dedup();
        match (sites.len(), self.on_site_loss.as_str()) {
            (2, "strict") if !self.has_policies => Gate::Strict,
            (2, _) => Gate::Degrade,
            _ => Gate::None,
        }
    }
}

pub struct Cluster {
    // Nodes end before their disks and wires do.
    pub nodes: BTreeMap<u64, Node>,
    pub(super) disks: BTreeMap<u64, Disk>,
    /// Their writes fail: they may end by themselves.
    excused: BTreeSet<u64>,
    pub wires: Wires,
    clocks: Option<Clocks>,
    pub(super) options: Options,
    pub(super) stop: Arc<Stop>,
    pub(super) next_id: u64,
}

impl Cluster {
    /// Laid out and started; not yet up.
    pub fn start(options: Options, stop: Arc<Stop>) -> Result<Cluster> {
        let mut cluster = Cluster {
            nodes: BTreeMap::new(),
            disks: BTreeMap::new(),
            excused: BTreeSet::new(),
            wires: Wires::lay()?,
            clocks: options
                .has_clocks
                .then(|| Clocks::new(&options.folder))
                .flatten(),
            next_id: options.sites.nodes().len() as u64 + 1,
            options,
            stop,
        };
        cluster.lay_out()?;
        for (id, site) in cluster.options.sites.nodes() {
            cluster.wires.add(id)?;
            cluster.make(id, &site)?;
        }
        Ok(cluster)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.options.folder.join("data")
    }

    /// What lies behind a node's disk.
    pub(super) fn behind(&self, id: u64) -> PathBuf {
        self.options.folder.join("disks").join(format!("node-{id}"))
    }

    fn lay_out(&self) -> Result<()> {
        let endpoints = &self.wires.endpoints;
        let mut args = vec!["cluster".to_owned(), "init".to_owned()];
        args.extend([
            "--mail-shards".to_owned(),
            self.options.mail_shards.to_string(),
        ]);
        for (id, site) in self.options.sites.nodes() {
            args.extend([
                "--node".to_owned(),
                format!("{id}={site}@{}", endpoints.peer(id)),
            ]);
        }
        let mut command = Command::new(&self.options.binary);
        command.args(args).arg("--dir").arg(self.data());
        finish(command, "")?;
        Ok(())
    }

    /// To and from all nodes of other sites, if there is a delay.
    fn lengthen(&self, id: u64, site: &str) -> Result<()> {
        if self.options.delay.is_zero() {
            return Ok(());
        }
        for other in self.nodes.values().filter(|other| other.site != site) {
            self.wires.lengthen(id, other.id, self.options.delay)?;
            self.wires.lengthen(other.id, id, self.options.delay)?;
        }
        Ok(())
    }

    /// Starts a node whose folder exists.
    pub(super) fn make(&mut self, id: u64, site: &str) -> Result<()> {
        self.lengthen(id, site)?;
        self.set_clock(id, 0)?;
        let folder = self.data().join(format!("node-{id}"));
        self.configure(id, &folder.join("gotthard.toml"))?;
        if self.options.has_disks {
            let behind = self.behind(id);
            fs::create_dir_all(self.options.folder.join("disks"))?;
            let behind = Behind {
                folder: &behind,
                name: self.wires.name(),
                seed: id,
                lies: self.options.has_lying_disks,
            };
            let disk = Disk::mount(&folder, behind)?;
            self.disks.insert(id, disk);
        }
        let log = self.options.folder.join(format!("node-{id}.log"));
        self.nodes.insert(id, Node::new(id, site, folder, log));
        self.start_node(id)?;
        self.wires.endpoints.add(id);
        Ok(())
    }

    /// Clients come from outside the namespace, without TLS.
    pub(super) fn configure(&self, id: u64, config: &Path) -> Result<()> {
        let endpoints = &self.wires.endpoints;
        let mut text = String::new();
        for line in fs::read_to_string(config)?.lines() {
            let line = match line.split(" =").next() {
                Some("imap") => format!("imap = \"{}\"", endpoints.imap(id)),
                Some("lmtp") => format!("lmtp = \"{}\"", endpoints.lmtp(id)),
                Some("http") => format!("http = \"{}\"", endpoints.http(id)),
                Some("[cluster]") => format!(
                    "[tls]\nrequired = false\n\n[cluster]\non_site_loss = \"{}\"",
                    self.options.on_site_loss
                ),
                _ => line.to_owned(),
            };
            text += &line;
            text.push('\n');
        }
        fs::write(config, text).with_context(|| format!("cannot write {}", config.display()))
    }

    pub fn set_clock(&self, id: u64, seconds: i64) -> Result<()> {
        self.clocks
            .as_ref()
            .map_or(Ok(()), |clocks| clocks.set(id, seconds))
    }

    pub fn start_node(&mut self, id: u64) -> Result<()> {
        let mut environment = self.options.environment.clone();
        environment.extend(self.clocks.iter().flat_map(|clocks| clocks.environment(id)));
        let launch = Launch {
            binary: &self.options.binary,
            namespace: self.wires.namespace(id),
            environment,
        };
        self.nodes
            .get_mut(&id)
            .context("no such node")?
            .start(&launch)
    }

    pub fn node(&mut self, id: u64) -> Result<&mut Node> {
        self.nodes
            .get_mut(&id)
            .with_context(|| format!("there is no node {id}"))
    }

    pub fn ids(&self) -> Vec<u64> {
        self.nodes.keys().copied().collect()
    }

    pub fn site(&self, id: u64) -> &str {
        self.nodes.get(&id).map_or("", |node| node.site.as_str())
    }

    /// Wires, processes and clocks are well again; dead nodes are started.
    pub fn heal(&mut self) -> Result<()> {
        self.wires.heal()?;
        let excused = std::mem::take(&mut self.excused);
        for id in self.ids() {
            self.set_clock(id, 0)?;
            if let Some(disk) = self.disks.get(&id) {
                disk.fail(None);
            }
            let node = self.node(id)?;
            // One whose disk failed stops; it may still be about to.
            if excused.contains(&id) {
                node.kill()?;
            }
            match node.state() {
                State::Paused => node.resume()?,
                State::Down => self.start_node(id)?,
                State::Up => {}
            }
        }
        Ok(())
    }

    /// Nodes that ended without our doing.
    pub fn ended(&mut self) -> Vec<String> {
        let ours = self
            .nodes
            .values_mut()
            .filter(|node| !self.excused.contains(&node.id));
        ours.filter_map(Node::ended).collect()
    }

    /// Killed, and what was not flushed is lost. How many pages fell back.
    pub fn lose_power(&mut self, id: u64, chance: &mut Chance) -> Result<u64> {
        self.node(id)?.kill()?;
        let disk = self.disks.get_mut(&id).context("no such disk")?;
        disk.lose_power(chance)
    }

    pub fn fail_disk(&mut self, id: u64, failure: Failure) -> Result<()> {
        // Writes that fail end a node, by design; so does a disk that says it has room and has none, once views have to be
        // written. (One that fills where it can be seen does not: `docs/runbooks/disk-full.md`.)
        self.excused.insert(id);
        self.disks
            .get(&id)
            .context("no such disk")?
            .fail(Some(failure));
        Ok(())
    }
}
