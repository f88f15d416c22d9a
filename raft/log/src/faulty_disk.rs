//! A disk in memory that fails, loses, rots, fills up or holds back on demand. For tests of this room and of others.
//!
//! Every change and every flush is an operation with a number. At a power cut each page that was written and not
//! flushed is kept or lost by itself, and so are lengths; names are kept up to some operation of the folder.

use crate::{Disk, DiskFile, DiskLock};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

thread_local! {
    static TRUST_TORN_FRAMES: Cell<bool> = const { Cell::new(false) };
}

/// A twin, on this thread: a frame's payload is believed without its checksum.
pub fn trust_torn_frames(trust: bool) {
    TRUST_TORN_FRAMES.set(trust);
}

pub(crate) fn torn_frames_are_trusted() -> bool {
    TRUST_TORN_FRAMES.get()
}

/// Chance from a seed (splitmix64): the same numbers on every machine.
#[derive(Clone, Debug)]
pub struct Chance(pub u64);

impl Chance {
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.draw() % bound }
    }

    pub fn coin(&mut self) -> bool {
        self.draw() & 1 == 1
    }
}

/// What happens when a given operation comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It fails, and so does nothing else.
    Fail(u64),
    /// Power goes while it runs: it may have happened in part, and nothing works any more.
    Cut(u64),
}

#[derive(Clone)]
pub struct FaultyDisk {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    released: Condvar,
}

struct State {
    page_bytes: usize,
    files: BTreeMap<PathBuf, Arc<Mutex<Content>>>,
    /// What the folder would be after a power cut, and what was done to it since.
    durable_names: BTreeMap<PathBuf, Arc<Mutex<Content>>>,
    name_changes: Vec<NameChange>,
    dirs: BTreeSet<PathBuf>,
    locks: BTreeSet<PathBuf>,
    operations: u64,
    fault: Option<Fault>,
    is_off: bool,
    /// Bytes that may still be allocated.
    free_bytes: u64,
    flushes_are_held: bool,
    flushes: u64,
    /// Rises with each power cut: handles from before it are dead.
    boot: u64,
}

#[derive(Clone)]
enum NameChange {
    Put(PathBuf, Arc<Mutex<Content>>),
    Remove(PathBuf),
    /// One change, as journaling file systems make it.
    Rename(PathBuf, PathBuf, Arc<Mutex<Content>>),
}

#[derive(Default)]
struct Content {
    durable: Vec<u8>,
    cached: Vec<u8>,
    /// Pages that differ, or may.
    dirty: BTreeSet<usize>,
}

impl Default for FaultyDisk {
    fn default() -> FaultyDisk {
        FaultyDisk::new(4096)
    }
}

impl FaultyDisk {
    /// `page_bytes`: the unit that a power cut keeps or loses.
    pub fn new(page_bytes: usize) -> FaultyDisk {
        let state = State {
            page_bytes,
            files: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            name_changes: Vec::new(),
            dirs: BTreeSet::new(),
            locks: BTreeSet::new(),
            operations: 0,
            fault: None,
            is_off: false,
            free_bytes: u64::MAX,
            flushes_are_held: false,
            flushes: 0,
            boot: 0,
        };
        FaultyDisk {
            inner: Arc::new(Inner {
                state: Mutex::new(state),
                released: Condvar::new(),
            }),
        }
    }

    /// Changes and flushes so far.
    pub fn operations(&self) -> u64 {
        self.inner.state.lock().operations
    }

    pub fn flushes(&self) -> u64 {
        self.inner.state.lock().flushes
    }

    /// The operation with this number fails with `EIO`, without effect; those after it work.
    pub fn fail_operation(&self, number: u64) {
        self.inner.state.lock().fault = Some(Fault::Fail(number));
    }

    /// Power goes while the operation with this number runs.
    pub fn cut_power_at(&self, number: u64) {
        self.inner.state.lock().fault = Some(Fault::Cut(number));
    }

    pub fn cut_power(&self) {
        self.inner.state.lock().is_off = true;
    }

    pub fn is_off(&self) -> bool {
        self.inner.state.lock().is_off
    }

    pub fn set_free_bytes(&self, bytes: u64) {
        self.inner.state.lock().free_bytes = bytes;
    }

    pub fn is_full(&self) -> bool {
        self.inner.state.lock().free_bytes == 0
    }

    /// Flushes wait until they are released.
    pub fn hold_flushes(&self) {
        self.inner.state.lock().flushes_are_held = true;
    }

    pub fn release_flushes(&self) {
        self.inner.state.lock().flushes_are_held = false;
        self.inner.released.notify_all();
    }

    /// The process dies, the machine does not: everything written is there, flushed or not. Handles are dead.
    pub fn kill_process(&self) {
        let mut state = self.inner.state.lock();
        state.boot += 1;
        state.locks.clear();
        state.fault = None;
        state.is_off = false;
    }

    /// Power comes back: nothing that was not flushed is there.
    pub fn power_on_without_luck(&self) {
        {
            let mut state = self.inner.state.lock();
            state.name_changes.clear();
            for content in state.durable_names.values() {
                content.lock().lose_all();
            }
        }
        self.power_on(&mut Chance(0));
    }

    /// Power comes back: of what was not flushed, `chance` keeps any subset of the pages.
    pub fn power_on(&self, chance: &mut Chance) {
        self.kill_process();
        let mut state = self.inner.state.lock();
        let changes = std::mem::take(&mut state.name_changes);
        let keep = chance.below(changes.len() as u64 + 1) as usize;
        let mut names = std::mem::take(&mut state.durable_names);
        for change in changes.into_iter().take(keep) {
            apply(&mut names, change);
        }
        let page_bytes = state.page_bytes;
        for content in names.values() {
            content.lock().lose_pages(page_bytes, chance);
        }
        state.files.clone_from(&names);
        state.durable_names = names;
    }

    /// A copy with the same content, as if everything were flushed; for trying several fates of one disk.
    pub fn fork(&self) -> FaultyDisk {
        let state = self.inner.state.lock();
        let mut copies: BTreeMap<usize, Arc<Mutex<Content>>> = BTreeMap::new();
        let mut copy = |content: &Arc<Mutex<Content>>| {
            let fresh = || Arc::new(Mutex::new(content.lock().copy()));
            Arc::clone(
                copies
                    .entry(Arc::as_ptr(content) as usize)
                    .or_insert_with(fresh),
            )
        };
        let fork = FaultyDisk::new(state.page_bytes);
        let mut into = fork.inner.state.lock();
        into.files = state
            .files
            .iter()
            .map(|(path, content)| (path.clone(), copy(content)))
            .collect();
        into.durable_names = state
            .durable_names
            .iter()
            .map(|(path, content)| (path.clone(), copy(content)))
            .collect();
        let changes = state.name_changes.iter().map(|change| match change {
            NameChange::Put(path, content) => NameChange::Put(path.clone(), copy(content)),
            NameChange::Remove(path) => NameChange::Remove(path.clone()),
            NameChange::Rename(from, to, content) => {
                NameChange::Rename(from.clone(), to.clone(), copy(content))
            }
        });
        into.name_changes = changes.collect();
        into.dirs.clone_from(&state.dirs);
        into.is_off = state.is_off;
        drop(into);
        fork
    }

    /// Flips bits of one byte, on disk and in the cache.
    pub fn flip(&self, path: &Path, offset: u64, mask: u8) {
        let state = self.inner.state.lock();
        let Some(content) = state.files.get(path) else {
            return;
        };
        let mut content = content.lock();
        if let Some(byte) = content.cached.get_mut(offset as usize) {
            *byte ^= mask;
        }
        if let Some(byte) = content.durable.get_mut(offset as usize) {
            *byte ^= mask;
        }
    }

    /// As a program would read it now.
    pub fn bytes(&self, path: &Path) -> Vec<u8> {
        self.inner
            .state
            .lock()
            .files
            .get(path)
            .map(|content| content.lock().cached.clone())
            .unwrap_or_default()
    }

    /// Removes a file as an operator would, at once and durably.
    pub fn lose_file(&self, path: &Path) {
        let mut state = self.inner.state.lock();
        state.files.remove(path);
        state.durable_names.remove(path);
    }

    pub fn paths(&self) -> Vec<PathBuf> {
        self.inner.state.lock().files.keys().cloned().collect()
    }
}

fn apply(names: &mut BTreeMap<PathBuf, Arc<Mutex<Content>>>, change: NameChange) {
    match change {
        NameChange::Put(path, content) => {
            names.insert(path, content);
        }
        NameChange::Remove(path) => {
            names.remove(&path);
        }
        NameChange::Rename(from, to, content) => {
            names.remove(&from);
            names.insert(to, content);
        }
    }
}

impl Content {
    fn copy(&self) -> Content {
        Content {
            durable: self.durable.clone(),
            cached: self.cached.clone(),
            dirty: self.dirty.clone(),
        }
    }

    fn write(&mut self, offset: usize, bytes: &[u8], page_bytes: usize) {
        if self.cached.len() < offset + bytes.len() {
            self.cached.resize(offset + bytes.len(), 0);
        }
        self.cached[offset..offset + bytes.len()].copy_from_slice(bytes);
        if !bytes.is_empty() {
            self.dirty
                .extend(offset / page_bytes..=(offset + bytes.len() - 1) / page_bytes);
        }
    }

    fn flush(&mut self, page_bytes: usize) {
        self.durable.resize(self.cached.len(), 0);
        for page in std::mem::take(&mut self.dirty) {
            let range = page * page_bytes..((page + 1) * page_bytes).min(self.cached.len());
            if range.start < range.end {
                self.durable[range.clone()].copy_from_slice(&self.cached[range]);
            }
        }
    }

    fn lose_all(&mut self) {
        self.dirty.clear();
        self.cached.clone_from(&self.durable);
    }

    fn lose_pages(&mut self, page_bytes: usize, chance: &mut Chance) {
        let length = if chance.coin() {
            self.cached.len()
        } else {
            self.durable.len()
        };
        let mut survived = self.durable.clone();
        survived.resize(length, 0);
        // All, none and any subset are equally worth trying.
        let fate = chance.below(4);
        for page in std::mem::take(&mut self.dirty) {
            let is_kept = match fate {
                0 => true,
                1 => false,
                _ => chance.coin(),
            };
            let range =
                page * page_bytes..((page + 1) * page_bytes).min(length).min(self.cached.len());
            if is_kept && range.start < range.end {
                survived[range.clone()].copy_from_slice(&self.cached[range]);
            }
        }
        self.cached.clone_from(&survived);
        self.durable = survived;
    }
}

/// Whether the operation takes effect although power went with it.
struct Went {
    is_cut: bool,
}

impl State {
    fn check_power(&self, boot: u64) -> io::Result<()> {
        if self.is_off || self.boot != boot {
            Err(io::Error::other("power is off"))
        } else {
            Ok(())
        }
    }

    fn operation(&mut self, boot: u64) -> io::Result<Went> {
        self.check_power(boot)?;
        let number = self.operations;
        self.operations += 1;
        match self.fault {
            Some(Fault::Fail(at)) if at == number => Err(io::Error::from_raw_os_error(5)),
            Some(Fault::Cut(at)) if at == number => {
                self.is_off = true;
                Ok(Went { is_cut: true })
            }
            _ => Ok(Went { is_cut: false }),
        }
    }
}

impl Went {
    fn result(&self) -> io::Result<()> {
        if self.is_cut {
            Err(io::Error::other("power went off"))
        } else {
            Ok(())
        }
    }
}

struct FaultyFile {
    inner: Arc<Inner>,
    content: Arc<Mutex<Content>>,
    boot: u64,
}

struct FaultyLock {
    inner: Arc<Inner>,
    path: PathBuf,
    boot: u64,
}

impl DiskLock for FaultyLock {}

impl Drop for FaultyLock {
    fn drop(&mut self) {
        let mut state = self.inner.state.lock();
        if state.boot == self.boot {
            state.locks.remove(&self.path);
        }
    }
}

impl FaultyDisk {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.inner.state.lock();
        let boot = state.boot;
        state.check_power(boot)?;
        Ok(state)
    }

    fn change_names(
        &self,
        change: impl FnOnce(&mut State) -> io::Result<NameChange>,
    ) -> io::Result<()> {
        let mut state = self.inner.state.lock();
        let boot = state.boot;
        let went = state.operation(boot)?;
        let change = change(&mut state)?;
        apply(&mut state.files, change.clone());
        state.name_changes.push(change);
        went.result()
    }

    fn file(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.state()?;
        let content = state.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(FaultyFile {
            inner: Arc::clone(&self.inner),
            content: Arc::clone(content),
            boot: state.boot,
        }))
    }
}

impl Disk for FaultyDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.state()?.dirs.insert(dir.to_path_buf());
        Ok(())
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        Ok(self.state()?.free_bytes)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state()?;
        if !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = state.files.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_string()))
            .collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.change_names(|state| {
            if state.files.contains_key(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            Ok(NameChange::Put(path.to_path_buf(), Arc::default()))
        })?;
        self.file(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.file(path)
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.file(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change_names(|state| {
            let content = state.files.get(path).ok_or(io::ErrorKind::NotFound)?;
            let freed = content.lock().cached.len() as u64;
            state.free_bytes = state.free_bytes.saturating_add(freed);
            Ok(NameChange::Remove(path.to_path_buf()))
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change_names(|state| {
            let content = Arc::clone(state.files.get(from).ok_or(io::ErrorKind::NotFound)?);
            Ok(NameChange::Rename(
                from.to_path_buf(),
                to.to_path_buf(),
                content,
            ))
        })
    }

    fn flush_dir(&self, _dir: &Path) -> io::Result<()> {
        let mut state = self.inner.state.lock();
        let boot = state.boot;
        let went = state.operation(boot)?;
        if !went.is_cut {
            state.flushes += 1;
            let state = &mut *state;
            for change in state.name_changes.drain(..) {
                apply(&mut state.durable_names, change);
            }
        }
        went.result()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let mut state = self.state()?;
        if !state.locks.insert(path.to_path_buf()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(FaultyLock {
            inner: Arc::clone(&self.inner),
            path: path.to_path_buf(),
            boot: state.boot,
        }))
    }
}

impl FaultyFile {
    fn change(&self, change: impl FnOnce(&mut Content, usize)) -> io::Result<()> {
        let mut state = self.inner.state.lock();
        let went = state.operation(self.boot)?;
        change(&mut self.content.lock(), state.page_bytes);
        went.result()
    }
}

impl DiskFile for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        self.inner.state.lock().check_power(self.boot)?;
        Ok(self.content.lock().cached.len() as u64)
    }

    fn preallocate(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.inner.state.lock();
        let went = state.operation(self.boot)?;
        let mut content = self.content.lock();
        let more = bytes.saturating_sub(content.cached.len() as u64);
        if more > state.free_bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if state.free_bytes != u64::MAX {
            state.free_bytes -= more;
        }
        let length = content.cached.len().max(bytes as usize);
        content.cached.resize(length, 0);
        went.result()
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.change(|content, page_bytes| content.write(offset as usize, bytes, page_bytes))
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.inner.state.lock().check_power(self.boot)?;
        let content = self.content.lock();
        let bytes = content
            .cached
            .get(offset as usize..offset as usize + into.len());
        into.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.change(|content, _| content.cached.truncate(bytes as usize))
    }

    fn flush(&self) -> io::Result<()> {
        let mut state = self.inner.state.lock();
        let went = state.operation(self.boot)?;
        while state.flushes_are_held && !state.is_off {
            self.inner.released.wait(&mut state);
        }
        // Power may have gone while it was held.
        if !went.is_cut {
            state.check_power(self.boot)?;
        }
        if !went.is_cut {
            state.flushes += 1;
            self.content.lock().flush(state.page_bytes);
        }
        went.result()
    }
}
