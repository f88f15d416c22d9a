//! The index of a shard: one writer (`add`, `delete`, `flush`), any number of readers, merging beside both.

use crate::bits::Bits;
use crate::cache::Cache;
use crate::dead::{Cleaned, Dead, Death};
use crate::error::{AddError, IndexError};
use crate::limits::{CACHE_BYTES, PLAIN_BYTES_MAX, TAIL_BYTES_MAX, TEXT_CACHE_BYTES};
use crate::manifest::Manifest;
use crate::reader::{AccountReader, LiveSection};
use crate::run::{Run, RunId, RunWriter, path};
use crate::section::{self, Section};
use crate::tail::{Tail, TailMessage};
use engine_types::{AccountId, EmailId};
use index_text::FoldedText;
use parking_lot::Mutex;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub tail_bytes_max: usize,
    /// An account with less folded text in a run has no tokens there: it is scanned.
    pub plain_bytes_max: u64,
    /// Lexicons and tables in memory.
    pub cache_bytes_max: usize,
    /// Texts in memory; 0 decompresses them for each query.
    pub text_cache_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tail_bytes_max: TAIL_BYTES_MAX,
            plain_bytes_max: PLAIN_BYTES_MAX,
            cache_bytes_max: CACHE_BYTES,
            text_cache_bytes_max: TEXT_CACHE_BYTES,
        }
    }
}

/// What the index is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    pub runs: usize,
    /// In runs, deleted ones among them.
    pub messages: u64,
    pub text_bytes: u64,
    pub file_bytes: u64,
    /// Of that, blocks of texts; the rest is the index proper.
    pub blocks_bytes: u64,
    pub tail_bytes: usize,
    pub cache_bytes: usize,
}

#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) run: Arc<Run>,
    pub(crate) cleaned: Cleaned,
}

pub(crate) struct State {
    /// Oldest first.
    pub(crate) runs: Vec<Live>,
    pub(crate) tail: Tail,
    /// What a flush is writing.
    sealing: Option<(RunId, Arc<Tail>)>,
    pub(crate) dead: Dead,
    pub(crate) position: u64,
    pub(crate) next_run: u64,
    pub(crate) next_death: u64,
}

/// What searches keep in memory.
pub(crate) struct Caches {
    /// And lexicons.
    pub(crate) tables: Cache,
    pub(crate) texts: Cache,
}

pub struct SearchStore {
    pub(crate) folder: PathBuf,
    pub(crate) options: Options,
    pub(crate) caches: Arc<Caches>,
    pub(crate) state: Mutex<State>,
    /// Held by what replaces the manifest. Taken before `state`.
    pub(crate) writing: Mutex<()>,
    /// Held while runs are merged, so that none of them goes away meanwhile.
    pub(crate) merging: Mutex<()>,
}

impl SearchStore {
    /// Opens what the last flush left. Runs that are damaged are named and left out: their messages are to be added again.
    /// Without a whole manifest the index is empty, at position 0.
    pub fn open(folder: &Path, options: Options) -> Result<(Self, Vec<IndexError>), IndexError> {
        fs::create_dir_all(folder)?;
        let manifest = Manifest::read(folder)?.unwrap_or_default();
        let mut damaged = Vec::new();
        let mut runs = Vec::new();
        for (id, cleaned) in &manifest.runs {
            match Run::open(folder, *id) {
                Ok(run) => runs.push(Live {
                    run: Arc::new(run),
                    cleaned: *cleaned,
                }),
                Err(error @ IndexError::Damaged { .. }) => damaged.push(error),
                Err(error) => return Err(error),
            }
        }
        let next_run = remove_strangers(folder, &runs)?
            .max(manifest.next_run)
            .max(1);
        let store = Self {
            folder: folder.to_owned(),
            options,
            caches: Arc::new(Caches {
                tables: Cache::new(options.cache_bytes_max),
                texts: Cache::new(options.text_cache_bytes_max),
            }),
            state: Mutex::new(State {
                runs,
                tail: Tail::default(),
                sealing: None,
                dead: manifest.dead,
                position: manifest.position,
                next_run,
                next_death: manifest.next_death.max(1),
            }),
            writing: Mutex::default(),
            merging: Mutex::default(),
        };
        Ok((store, damaged))
    }

    /// The position of the last flush: after a crash the log is read again from here.
    pub fn position(&self) -> u64 {
        self.state.lock().position
    }

    /// Octets of text that the next flush writes.
    pub fn tail_bytes(&self) -> usize {
        self.state.lock().tail.bytes()
    }

    /// A message that the index does not hold, or has been told to delete. Found at once, kept by the next flush.
    pub fn add(&self, account: AccountId, id: EmailId, text: FoldedText) -> Result<(), AddError> {
        let mut state = self.state.lock();
        let bytes = state.tail.bytes();
        if bytes > 0 && bytes + text.bytes() > self.options.tail_bytes_max {
            return Err(AddError::Full);
        }
        state.tail.add(account, TailMessage { id, text });
        Ok(())
    }

    /// The message is found no more. One that is not here does no harm, so the log may say it again; a merge may keep it
    /// before the next flush does.
    pub fn delete(&self, account: AccountId, id: EmailId) {
        let mut state = self.state.lock();
        if state.tail.remove(account, id) {
            return;
        }
        let death = Death {
            number: state.next_death,
            upto: state.next_run - 1,
        };
        state.next_death += 1;
        state.dead.insert(account, id, death);
    }

    /// Writes what was added and deleted since the last flush, and that it is complete up to `position` of the log. When
    /// this returns, no crash loses it. If it fails, all stays as it was.
    pub fn flush(&self, position: u64) -> Result<(), IndexError> {
        let _writing = self.writing.lock();
        let (tail, id) = {
            let mut state = self.state.lock();
            let tail = Arc::new(std::mem::take(&mut state.tail));
            let id = RunId(state.next_run);
            state.next_run += 1;
            state.sealing = Some((id, tail.clone()));
            (tail, id)
        };
        let written = self.write_tail(&tail, id);
        let mut state = self.state.lock();
        state.sealing = None;
        let run = match written {
            Ok(run) => run,
            Err(error) => {
                state.tail.put_back(&tail);
                return Err(error);
            }
        };
        let cleaned = Cleaned::never(id);
        state.runs.extend(run.map(|run| Live { run, cleaned }));
        let manifest = manifest_of(&mut state, position);
        drop(state);
        manifest.write(&self.folder)?;
        self.state.lock().position = position;
        Ok(())
    }

    fn write_tail(&self, tail: &Tail, id: RunId) -> Result<Option<Arc<Run>>, IndexError> {
        if tail.is_empty() {
            return Ok(None);
        }
        let mut writer = RunWriter::create(&self.folder, id)?;
        for (account, messages) in tail.sorted() {
            writer.section(&section::build(
                account.0,
                messages,
                self.options.plain_bytes_max,
            )?)?;
        }
        writer.finish()?;
        Ok(Some(Arc::new(Run::open(&self.folder, id)?)))
    }

    /// The account as it is now.
    pub fn reader(&self, account: AccountId) -> Result<AccountReader, IndexError> {
        let (runs, dead, tail) = {
            let state = self.state.lock();
            let mut tail = Vec::new();
            if let Some((id, sealing)) = &state.sealing {
                let gone: Vec<EmailId> = state.dead.of(account, Cleaned::never(*id)).collect();
                let stays = |message: &&Arc<TailMessage>| gone.binary_search(&message.id).is_err();
                tail.extend(sealing.of(account).iter().filter(stays).cloned());
            }
            tail.extend_from_slice(state.tail.of(account));
            let dead: Vec<Vec<EmailId>> = state
                .runs
                .iter()
                .map(|live| state.dead.of(account, live.cleaned).collect())
                .collect();
            let runs: Vec<Arc<Run>> = state.runs.iter().map(|live| live.run.clone()).collect();
            (runs, dead, tail)
        };
        let mut reader = AccountReader {
            sections: Vec::new(),
            tail,
            damaged: Vec::new(),
        };
        for (run, dead) in runs.into_iter().zip(dead) {
            match self.live_section(run, account, &dead) {
                Ok(section) => reader.sections.extend(section),
                Err(error @ IndexError::Damaged { .. }) => reader.damaged.push(error),
                Err(error) => return Err(error),
            }
        }
        Ok(reader)
    }

    fn live_section(
        &self,
        run: Arc<Run>,
        account: AccountId,
        dead: &[EmailId],
    ) -> Result<Option<LiveSection>, IndexError> {
        let Some(entry) = run.find(account.0)? else {
            return Ok(None);
        };
        let section = Section::open(run, entry, self.caches.clone())?;
        let mut live = Bits::all(section.messages());
        if !dead.is_empty() {
            live.subtract(&section.ordinals(dead)?);
        }
        Ok(Some(LiveSection { section, live }))
    }

    /// Takes a damaged run out: its messages are to be scanned until they are added again.
    pub fn give_up(&self, run: RunId) -> Result<(), IndexError> {
        let _merging = self.merging.lock();
        let _writing = self.writing.lock();
        let mut state = self.state.lock();
        state.runs.retain(|live| live.run.id != run);
        let position = state.position;
        let manifest = manifest_of(&mut state, position);
        drop(state);
        manifest.write(&self.folder)?;
        self.remove_file(run);
        Ok(())
    }

    /// A file that stays does no harm: the next start removes it.
    pub(crate) fn remove_file(&self, run: RunId) {
        let _ = fs::remove_file(path(&self.folder, run));
        self.caches.tables.forget(run);
        self.caches.texts.forget(run);
    }

    /// Gives back the memory of searches.
    pub fn forget_searches(&self) {
        self.caches.tables.clear();
        self.caches.texts.clear();
    }

    pub fn size(&self) -> Result<Size, IndexError> {
        let (runs, tail_bytes) = {
            let state = self.state.lock();
            (state.runs.clone(), state.tail.bytes())
        };
        let mut size = Size {
            runs: runs.len(),
            tail_bytes,
            cache_bytes: self.caches.tables.bytes() + self.caches.texts.bytes(),
            ..Size::default()
        };
        for Live { run, .. } in &runs {
            size.messages += run.messages;
            size.text_bytes += run.text_bytes;
            size.file_bytes += run.file_bytes;
            for entry in run.entries() {
                let head = run.section_head(&entry?)?;
                size.blocks_bytes += head
                    .blocks
                    .iter()
                    .chain(&head.tables)
                    .map(|place| place.bytes)
                    .sum::<u64>();
            }
        }
        Ok(size)
    }
}

/// What the state comes to on disk, without deletions that no run needs. Written while `writing` is held, so that an older
/// one never follows.
pub(crate) fn manifest_of(state: &mut State, position: u64) -> Manifest {
    let cleaned: Vec<Cleaned> = state.runs.iter().map(|live| live.cleaned).collect();
    state.dead.prune(&cleaned);
    Manifest {
        position,
        next_run: state.next_run,
        next_death: state.next_death,
        runs: state
            .runs
            .iter()
            .map(|live| (live.run.id, live.cleaned))
            .collect(),
        dead: state.dead.clone(),
    }
}

/// Removes runs that the manifest does not name: what a crash left. Their numbers are not used again.
fn remove_strangers(folder: &Path, runs: &[Live]) -> Result<u64, IndexError> {
    let mut next = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".run"));
        let Some(number) = number.and_then(|hex| u64::from_str_radix(hex, 16).ok()) else {
            continue;
        };
        next = next.max(number + 1);
        if !runs.iter().any(|live| live.run.id == RunId(number)) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(next)
}
