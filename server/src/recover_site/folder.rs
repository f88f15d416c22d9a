//! The new node's folder, while it is made: the journal and views of a survivor, linked where they never change.

use super::{Survivor, take};
use crate::authority::{Authority, CERTIFICATE_FILE};
use crate::config::{Config, MemberConfig};
use crate::identity::write_new;
use crate::in_sync::{self, InSync};
use crate::node_folder::{CONFIG_FILE, TOKEN_FILE, write_peer_files};
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use raft_api::NodeId;
use raft_log::{Disk, DiskLock, Identity, Journal, Options, RealDisk};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub struct Work {
    /// Where it will be.
    folder: PathBuf,
    /// Where it is made.
    unfinished: PathBuf,
    /// Nobody starts a survivor meanwhile.
    held: Vec<Box<dyn DiskLock>>,
    is_finished: bool,
}

/// Nothing is left behind of what was not finished.
impl Drop for Work {
    fn drop(&mut self) {
        if !self.is_finished {
            // What stays in spite of that is removed at the next attempt.
            let _ = fs::remove_dir_all(&self.unfinished);
        }
    }
}

fn identity(survivor: &Survivor) -> Result<Identity> {
    let config = &survivor.config;
    let cluster = u128::from_str_radix(&config.cluster.id, 16).context("cluster.id")?;
    Ok(Identity {
        cluster: cluster.to_be_bytes(),
        incarnation: config.cluster.incarnation,
        node: NodeId(config.node.id),
    })
}

fn options(survivor: &Survivor) -> Options {
    Options {
        reserve_bytes: survivor.config.limits.journal_reserve_bytes,
        ..Options::default()
    }
}

fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

fn progress(from: &Path) -> ProgressBar {
    let bytes = fs::read_dir(from).into_iter().flatten();
    let bytes = bytes.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()));
    let bar = ProgressBar::new(bytes.sum());
    if let Ok(style) =
        ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes}  {eta} left  {msg}")
    {
        bar.set_style(style);
    }
    bar
}

impl Work {
    /// Beside the first survivor's folder, so that files can be linked.
    pub fn begin(first: &Survivor, id: u64) -> Result<Work> {
        let beside = first.path.parent().and_then(Path::parent);
        let beside = beside.context("the survivor's configuration lies in no folder")?;
        let folder = crate::node_folder::node_dir(beside, id);
        if folder.exists() {
            bail!(
                "{} is there already: nothing is overwritten",
                folder.display()
            );
        }
        let unfinished = beside.join(format!(".node-{id}.unfinished"));
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)?;
        }
        fs::create_dir(&unfinished)
            .with_context(|| format!("cannot make {}", unfinished.display()))?;
        Ok(Work {
            folder,
            unfinished,
            held: Vec::new(),
            is_finished: false,
        })
    }

    /// A copy of the first survivor's journal with what the others have more, still under the old identity.
    pub fn gather(&mut self, survivors: &[Survivor]) -> Result<(Journal, InSync)> {
        let shards = survivors[0].config.cluster.mail_shards;
        let journal = self.open_copy(&survivors[0], &self.unfinished.join("journal"))?;
        let mut in_sync = in_sync::read(&survivors[0].config.node.data);
        for survivor in &survivors[1..] {
            let copy = self.unfinished.join("other");
            let other = self.open_copy(survivor, &copy)?;
            let taken = take(&journal, &other, shards)?;
            other.close();
            fs::remove_dir_all(&copy)?;
            if taken > 0 {
                crate::print::say!(
                    "{taken} entries are taken from node {}",
                    survivor.config.node.id
                );
            }
            for (shard, until) in in_sync::read(&survivor.config.node.data) {
                let known = in_sync.entry(shard).or_default();
                *known = (*known).max(until);
            }
        }
        Ok((journal, in_sync))
    }

    fn open_copy(&mut self, survivor: &Survivor, to: &Path) -> Result<Journal> {
        let from = survivor.config.node.data.join("journal");
        let node = survivor.config.node.id;
        let held = raft_log::hold(&*disk(), &from)
            .with_context(|| format!("is node {node} still running? Stop it first"))?;
        self.held.push(held);
        fs::create_dir(to)?;
        let bar = progress(&from);
        raft_log::copy(&*disk(), &from, to, |bytes| bar.inc(bytes))
            .with_context(|| format!("the journal of node {node} cannot be copied"))?;
        bar.finish_and_clear();
        let opened = Journal::open(disk(), to, identity(survivor)?, options(survivor));
        let (journal, recovery) =
            opened.with_context(|| format!("the journal of node {node} cannot be read"))?;
        if let Some(hole) = recovery.holes.first() {
            bail!(
                "the journal of node {node} is damaged, and what it lacks cannot be told: {hole}"
            );
        }
        Ok(journal)
    }

    /// The journal under the new identity; the one that `gather` gave is closed.
    pub fn succeed(&self, first: &Survivor, id: u64, incarnation: u32) -> Result<Journal> {
        let old = identity(first)?;
        let new = Identity {
            incarnation,
            node: NodeId(id),
            ..old
        };
        let dir = self.unfinished.join("journal");
        raft_log::succeed(&disk(), &dir, old, new, &options(first))?;
        Ok(Journal::open(disk(), &dir, new, options(first))?.0)
    }

    pub fn finish(
        mut self,
        first: &Survivor,
        node: &MemberConfig,
        incarnation: u32,
        dir: &Path,
        record: &Value,
    ) -> Result<PathBuf> {
        let folder = &self.unfinished.clone();
        link_views(&first.config.node.data.join("views"), &folder.join("views"))?;
        let config = config_text(first, node, incarnation)?;
        Config::parse(&config).context("the new configuration would not be valid")?;
        write_new(&folder.join(CONFIG_FILE), config.trim_end())?;
        write_new(&folder.join("cluster-id"), &first.config.cluster.id)?;
        let token = fs::read_to_string(first.config.node.data.join(TOKEN_FILE));
        if let Ok(token) = token {
            write_new(&folder.join(TOKEN_FILE), token.trim())?;
        }
        if first.config.cluster.authority.is_some() {
            let authority = Authority::open(dir)?;
            write_new(
                &folder.join(CERTIFICATE_FILE),
                authority.certificate.trim_end(),
            )?;
            write_peer_files(folder, node.id, &authority)?;
        }
        write_new(
            &folder.join("recovered.json"),
            &serde_json::to_string_pretty(record)?,
        )?;
        fs::File::open(folder)?.sync_all()?;
        fs::rename(folder, &self.folder)?;
        self.is_finished = true;
        if let Some(parent) = self.folder.parent() {
            fs::File::open(parent)?.sync_all()?;
        }
        Ok(self.folder.clone())
    }
}

/// RocksDB's table files never change; the rest is small. Views can be rebuilt, so that what goes wrong here costs time.
pub fn link_views(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    let Ok(files) = fs::read_dir(from) else {
        return Ok(());
    };
    for file in files {
        let file = file?;
        let name = file.file_name();
        let text = name.to_string_lossy();
        if text == "LOCK" || text.starts_with("LOG") || !file.file_type()?.is_file() {
            continue;
        }
        let never_changes = text.ends_with(".sst") || text.ends_with(".blob");
        let target = to.join(&name);
        if !(never_changes && fs::hard_link(file.path(), &target).is_ok()) {
            fs::copy(file.path(), &target)?;
        }
    }
    Ok(())
}

/// The survivor's, as the new node's: where clients come stays as it is.
fn config_text(first: &Survivor, node: &MemberConfig, incarnation: u32) -> Result<String> {
    let text = fs::read_to_string(&first.path)?;
    let mut config: toml::Table = toml::from_str(&text)?;
    let id = i64::try_from(node.id).context("--id is too large")?;
    let part = |name: &str, config: &mut toml::Table| -> Result<toml::Table> {
        match config.remove(name) {
            Some(toml::Value::Table(table)) => Ok(table),
            None => Ok(toml::Table::new()),
            Some(_) => bail!("[{name}] is not a table"),
        }
    };
    let mut own = part("node", &mut config)?;
    own.insert("id".to_owned(), id.into());
    own.insert("site".to_owned(), node.site.clone().into());
    own.insert("data".to_owned(), ".".into());
    let mut cluster = part("cluster", &mut config)?;
    cluster.remove("join");
    cluster.insert("id".to_owned(), first.config.cluster.id.clone().into());
    cluster.insert("incarnation".to_owned(), i64::from(incarnation).into());
    let member = toml::Table::from_iter([
        ("id".to_owned(), toml::Value::from(id)),
        ("site".to_owned(), node.site.clone().into()),
        ("peer".to_owned(), node.peer.clone().into()),
    ]);
    cluster.insert(
        "members".to_owned(),
        vec![toml::Value::Table(member)].into(),
    );
    if first.config.cluster.authority.is_some() {
        for (key, file) in [
            ("authority", CERTIFICATE_FILE),
            ("certificate", "peer.pem"),
            ("key", "peer-key.pem"),
        ] {
            cluster.insert(key.to_owned(), file.into());
        }
    }
    config.insert("node".to_owned(), own.into());
    config.insert("cluster".to_owned(), cluster.into());
    Ok(format!(
        "# Made by gotthard cluster recover-site from {}.\n{}",
        first.path.display(),
        toml::to_string(&config)?
    ))
}

/// A copy of a journal that nobody has open, whoever it belongs to.
pub fn copy_journal(from: &Path, to: &Path) -> Result<Journal> {
    let _held = raft_log::hold(&*disk(), from)
        .with_context(|| format!("is a node still running on {}?", from.display()))?;
    fs::create_dir(to)?;
    let bar = progress(from);
    raft_log::copy(&*disk(), from, to, |bytes| bar.inc(bytes))
        .with_context(|| format!("{} cannot be copied", from.display()))?;
    bar.finish_and_clear();
    let owner = raft_log::owner(&*disk(), to)?;
    let options = Options {
        reserve_bytes: 0,
        ..Options::default()
    };
    Ok(Journal::open(disk(), to, owner, options)?.0)
}
