//! Disks that lose power: a file system of our own under each node's folder.
//!
//! Everything is passed on to a folder beside it; what a file was when it was last flushed is remembered. When the power
//! goes, any subset of the 4 KiB pages that were written since falls back, and the length may too. Names are not lost.

mod behind;
mod fs;
mod pages;

use crate::chance::Chance;
use crate::limits::DISK_THREADS;
use anyhow::{Context, Result};
use behind::PowerFs;
use fuser::{BackgroundSession, Config, MountOption};
pub use pages::Failure;
use pages::Store;
use std::fs as files;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub struct Disk {
    /// Where the node sees it.
    at: PathBuf,
    store: Arc<Store>,
    name: String,
    session: Option<BackgroundSession>,
}

/// What a disk is made of.
pub struct Behind<'a> {
    pub folder: &'a Path,
    /// In the list of mounts.
    pub name: &'a str,
    pub seed: u64,
    /// Flushes say that they are done, and nothing is: a trial must notice.
    pub lies: bool,
}

/// Why there can be no such disk here.
pub fn missing() -> Option<String> {
    let found = Path::new("/dev/fuse").exists();
    (!found).then(|| "/dev/fuse is missing: modprobe fuse".to_owned())
}

impl Disk {
    /// The folder's content moves to the one behind, and is seen through the disk from now on.
    pub fn mount(at: &Path, behind: Behind<'_>) -> Result<Disk> {
        let Behind {
            folder: behind,
            name,
            seed,
            lies,
        } = behind;
        files::rename(at, behind)?;
        files::create_dir(at)?;
        let mut disk = Disk {
            at: at.to_owned(),
            store: Arc::new(Store::new(behind, seed, lies)),
            name: name.to_owned(),
            session: None,
        };
        disk.plug_in()?;
        Ok(disk)
    }

    fn plug_in(&mut self) -> Result<()> {
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName(self.name.clone()), MountOption::NoAtime];
        config.n_threads = Some(DISK_THREADS);
        let session = fuser::spawn_mount(PowerFs::new(self.store.clone()), &self.at, &config);
        let at = self.at.display();
        self.session = Some(session.with_context(|| format!("cannot mount a disk at {at}"))?);
        Ok(())
    }

    fn unplug(&mut self) -> Result<()> {
        match self.session.take() {
            Some(session) => session.umount_and_join().context("cannot unmount"),
            None => Ok(()),
        }
    }

    /// The node is dead already: what it had not flushed is lost, with the kernel's cache of it. How many pages fell back.
    pub fn lose_power(&mut self, chance: &mut Chance) -> Result<u64> {
        self.unplug()?;
        let lost = self.store.lose(chance)?;
        self.plug_in()?;
        Ok(lost)
    }

    /// From now on writes and flushes fail; `None`: they work again.
    pub fn fail(&self, failure: Option<Failure>) {
        self.store.fail(failure);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = self.unplug() {
            eprintln!("jepsen: {}: {error:#}", self.at.display());
        }
    }
}
