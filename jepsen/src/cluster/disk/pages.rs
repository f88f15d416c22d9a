//! What is not flushed: of each file the pages as they were at its last flush.

use crate::chance::Chance;
use crate::limits::FLUSH_MS_MAX;
use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const PAGE: u64 = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Writes and flushes fail.
    Io,
    /// No file can grow.
    Full,
}

/// A file since its last flush.
#[derive(Debug, Default)]
pub struct Unflushed {
    /// Its length then; `None`: nothing has changed since.
    length: Option<u64>,
    /// Content then; shorter than a page where the file ended.
    pages: BTreeMap<u64, Vec<u8>>,
}

/// By inode. A file's lock is held while it is flushed.
pub struct Store {
    pub root: PathBuf,
    pub paths: Mutex<HashMap<u64, PathBuf>>,
    files: Mutex<HashMap<u64, Arc<Mutex<Unflushed>>>>,
    failure: Mutex<Option<Failure>>,
    /// Flushes say that they are done, and nothing is.
    lies: bool,
    chance: Mutex<Chance>,
}

pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    pub fn new(root: &Path, seed: u64, lies: bool) -> Store {
        Store {
            root: root.to_owned(),
            paths: Mutex::default(),
            files: Mutex::default(),
            failure: Mutex::new(None),
            lies,
            chance: Mutex::new(Chance::new(seed)),
        }
    }

    pub fn fail(&self, failure: Option<Failure>) {
        *locked(&self.failure) = failure;
    }

    fn refuse(&self, grows: bool) -> Result<()> {
        match *locked(&self.failure) {
            Some(Failure::Io) => Err(Error::from_raw_os_error(
                rustix::io::Errno::IO.raw_os_error(),
            )),
            Some(Failure::Full) if grows => Err(Error::from_raw_os_error(
                rustix::io::Errno::NOSPC.raw_os_error(),
            )),
            _ => Ok(()),
        }
    }

    fn unflushed(&self, inode: u64) -> Arc<Mutex<Unflushed>> {
        locked(&self.files).entry(inode).or_default().clone()
    }

    /// It has no name any more.
    pub fn forget(&self, inode: u64) {
        locked(&self.files).remove(&inode);
        locked(&self.paths).remove(&inode);
    }

    pub fn write(&self, file: &File, offset: u64, data: &[u8]) -> Result<()> {
        let meta = file.metadata()?;
        let end = offset + data.len() as u64;
        self.refuse(end > meta.len())?;
        let unflushed = self.unflushed(meta.ino());
        let mut unflushed = locked(&unflushed);
        unflushed.keep(file, offset, end)?;
        file.write_all_at(data, offset)
    }

    pub fn set_length(&self, file: &File, length: u64) -> Result<()> {
        let meta = file.metadata()?;
        self.refuse(length > meta.len())?;
        let unflushed = self.unflushed(meta.ino());
        let mut unflushed = locked(&unflushed);
        unflushed.keep(file, length, meta.len())?;
        file.set_len(length)
    }

    /// The change of a length, or of places in the middle, by `change`.
    pub fn allocate(
        &self,
        file: &File,
        offset: u64,
        end: u64,
        change: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let meta = file.metadata()?;
        self.refuse(true)?;
        let unflushed = self.unflushed(meta.ino());
        let mut unflushed = locked(&unflushed);
        unflushed.keep(file, offset, end.min(meta.len()))?;
        change()
    }

    /// It takes a while, as on a disk.
    pub fn flush(&self, file: &File) -> Result<()> {
        self.refuse(false)?;
        let unflushed = self.unflushed(file.metadata()?.ino());
        let mut unflushed = locked(&unflushed);
        let took = locked(&self.chance).below(FLUSH_MS_MAX);
        crate::stop::Stop::default().wait(Duration::from_millis(took));
        if !self.lies {
            *unflushed = Unflushed::default();
        }
        Ok(())
    }

    /// Any subset of what is not flushed falls back.
    pub fn lose(&self, chance: &mut Chance) -> Result<u64> {
        let mut lost = 0;
        let files = std::mem::take(&mut *locked(&self.files));
        // All of it, most, half or nothing.
        let percent = chance.pick(&[100, 90, 50, 50, 0]).copied().unwrap_or(50);
        for (inode, unflushed) in files {
            let path = locked(&self.paths).get(&inode).cloned();
            let opened = path.map(|path| OpenOptions::new().read(true).write(true).open(path));
            match opened {
                Some(Ok(file)) => lost += locked(&unflushed).lose(&file, chance, percent)?,
                Some(Err(error)) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(lost)
    }
}

impl Unflushed {
    /// Before the octets from `begin` to `end` change, or the file's length does.
    fn keep(&mut self, file: &File, begin: u64, end: u64) -> Result<()> {
        let length = match self.length {
            Some(length) => length,
            None => *self.length.insert(file.metadata()?.len()),
        };
        for page in begin / PAGE..end.div_ceil(PAGE) {
            if self.pages.contains_key(&page) {
                continue;
            }
            let start = page * PAGE;
            let mut content = vec![0; length.saturating_sub(start).min(PAGE) as usize];
            // A file that was cut shorter since has kept its pages already.
            let count = read_up_to(file, &mut content, start)?;
            content.truncate(count);
            self.pages.insert(page, content);
        }
        Ok(())
    }

    fn lose(&mut self, file: &File, chance: &mut Chance, percent: u64) -> Result<u64> {
        let Some(length) = self.length.take() else {
            return Ok(0);
        };
        let now = file.metadata()?.len();
        let mut lost = 0;
        for (page, mut content) in std::mem::take(&mut self.pages) {
            if chance.is_lucky(percent) {
                content.resize(PAGE as usize, 0);
                file.write_all_at(&content, page * PAGE)?;
                lost += 1;
            }
        }
        // What was written beyond the old length is there, or is zeros, only if the new length is.
        let keeps_length = percent == 0 || chance.is_lucky(50);
        file.set_len(if keeps_length { now } else { length })?;
        Ok(lost)
    }
}

fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset + done as u64)? {
            0 => break,
            count => done += count,
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "file";

    /// A file of a disk of its own, and "flushed" in it.
    fn flushed() -> (tempfile::TempDir, File, Store) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(NAME);
        std::fs::write(&path, b"flushed").expect("written");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .expect("opened");
        let store = Store::new(folder.path(), 1, false);
        (folder, file, store)
    }

    /// What is left of "flushed" after "written" was put over it from `offset` on, and `flush`.
    fn after(offset: u64, is_flushed: bool, percent: u64) -> Vec<u8> {
        let (folder, file, store) = flushed();
        store.write(&file, offset, b"written").expect("written");
        if is_flushed {
            store.flush(&file).expect("flushed");
        }
        let unflushed = store.unflushed(file.metadata().expect("metadata").ino());
        locked(&unflushed)
            .lose(&file, &mut Chance::new(3), percent)
            .expect("lost");
        std::fs::read(folder.path().join(NAME)).expect("read")
    }

    #[test]
    fn what_is_not_flushed_is_lost_and_the_rest_is_not() {
        assert_eq!(after(0, true, 100), b"written");
        assert_eq!(after(0, false, 100)[..7], *b"flushed");
        assert_eq!(after(0, false, 0), b"written");
        assert_eq!(after(7, false, 0), b"flushedwritten");
        assert_eq!(after(7, false, 100)[..7], *b"flushed");
    }

    #[test]
    fn a_full_disk_lets_no_file_grow() {
        let (_folder, file, store) = flushed();
        store.fail(Some(Failure::Full));
        assert!(store.write(&file, 0, b"same").is_ok());
        assert!(store.write(&file, 7, b"more").is_err());
        store.fail(Some(Failure::Io));
        assert!(store.flush(&file).is_err());
        store.fail(None);
        assert!(store.write(&file, 7, b"more").is_ok());
    }
}
