//! Open segment files for reading, a bounded number of them.

use crate::eras::Eras;
use crate::format::{Seed, segment_name};
use crate::{Disk, DiskFile, limits};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) struct Readers {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    pub eras: Eras,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    files: BTreeMap<u32, Arc<dyn DiskFile>>,
    /// Oldest first.
    order: VecDeque<u32>,
}

impl Readers {
    pub fn new(disk: Arc<dyn Disk>, dir: &Path, eras: Eras) -> Readers {
        Readers {
            disk,
            dir: dir.to_path_buf(),
            eras,
            open: Mutex::default(),
        }
    }

    pub fn seed(&self, segment: u32) -> Seed {
        self.eras.seed(u64::from(segment))
    }

    pub fn name(segment: u32) -> String {
        segment_name(u64::from(segment))
    }

    pub fn file(&self, segment: u32) -> io::Result<Arc<dyn DiskFile>> {
        let mut open = self.open.lock();
        if let Some(file) = open.files.get(&segment) {
            return Ok(Arc::clone(file));
        }
        let file = self
            .disk
            .open_to_read(&self.dir.join(Readers::name(segment)))?;
        if open.order.len() >= limits::MAX_OPEN_READERS
            && let Some(oldest) = open.order.pop_front()
        {
            open.files.remove(&oldest);
        }
        open.files.insert(segment, Arc::clone(&file));
        open.order.push_back(segment);
        Ok(file)
    }
}
