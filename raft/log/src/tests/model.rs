//! A journal as a caller understands it, a workload from a seed, and the comparison of both.

use crate::faulty_disk::{Chance, FaultyDisk};
use crate::{
    AppendError, Checkpoint, CheckpointPart, EntryKind, FlushDone, Identity, Journal, NewEntry,
    Options, Recovery, Step, StoredEntry, Twin, Writer,
};
use bytes::Bytes;
use raft_api::{Entries, LogId, LogIndex, NodeId, ShardId};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub const DIR: &str = "journal";

pub fn identity() -> Identity {
    Identity {
        cluster: *b"a cluster's name",
        incarnation: 1,
        node: NodeId(7),
    }
}

/// Small enough that a workload fills several segments.
pub fn small() -> Options {
    Options {
        segment_bytes: 16 << 10,
        reserve_bytes: 16 << 10,
        cache_bytes: 2048,
        ..Options::default()
    }
}

pub fn open(disk: &FaultyDisk) -> (Journal, Writer, Recovery) {
    try_open(disk).unwrap_or_else(|e| panic!("open: {e}"))
}

pub fn try_open(disk: &FaultyDisk) -> Result<(Journal, Writer, Recovery), crate::OpenError> {
    Journal::open_stepped(Arc::new(disk.clone()), Path::new(DIR), identity(), small())
}

pub fn ignore() -> FlushDone {
    Box::new(|_| {})
}

/// Steps until there is nothing to do but wait for idleness.
pub fn settle(writer: &mut Writer, now: &mut Duration) -> Step {
    loop {
        match writer.step(*now) {
            Step::Worked => {}
            Step::Gather { until } => *now = until,
            step => return step,
        }
    }
}

/// Writes all that is queued, seals, and gives the folder free.
pub fn close(journal: Journal, mut writer: Writer) {
    journal.close();
    let mut now = Duration::ZERO;
    assert_eq!(settle(&mut writer, &mut now), Step::Stopped);
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shard {
    /// All payloads that can be read, purged ones included, with their terms.
    pub entries: BTreeMap<u64, (u64, Vec<u8>)>,
    pub purged: Option<LogId>,
    pub last: Option<LogId>,
    pub vote: Option<Vec<u8>>,
    /// Beside the log.
    pub adopted: BTreeMap<u64, (u64, Vec<u8>)>,
    pub checkpoint: Option<(LogId, Vec<Vec<u8>>)>,
}

pub type Model = BTreeMap<ShardId, Shard>;

/// One frame's worth of change.
#[derive(Clone, Debug)]
pub enum Change {
    Append {
        shard: ShardId,
        entries: Vec<NewEntry>,
    },
    Vote {
        shard: ShardId,
        vote: Vec<u8>,
    },
    Truncate {
        shard: ShardId,
        after: Option<LogId>,
    },
    Purge {
        shard: ShardId,
        upto: LogId,
    },
    Adopt {
        shard: ShardId,
        entries: Vec<NewEntry>,
    },
    Part {
        shard: ShardId,
        log_id: LogId,
        part: CheckpointPart,
        payload: Vec<u8>,
    },
}

impl Shard {
    fn adopt(&mut self, entry: &NewEntry) {
        self.adopted.insert(
            entry.log_id.index.0,
            (entry.log_id.term.0, entry.payload.to_vec()),
        );
    }

    /// What a reference to `index` must give.
    pub fn payload(&self, index: u64) -> Option<&Vec<u8>> {
        let found = self.adopted.get(&index).or(self.entries.get(&index))?;
        Some(&found.1)
    }

    fn append(&mut self, entry: &NewEntry) {
        self.entries.insert(
            entry.log_id.index.0,
            (entry.log_id.term.0, entry.payload.to_vec()),
        );
        self.last = Some(entry.log_id);
    }

    fn truncate(&mut self, after: Option<LogId>) {
        let keep = after.map_or(0, |after| after.index.0 + 1);
        if self.last.is_some_and(|last| last.index.0 >= keep) {
            self.entries.split_off(&keep);
            self.last = after;
        }
    }

    fn purge(&mut self, upto: LogId) {
        self.purged = Some(upto);
        if self.last.is_none_or(|last| last.index < upto.index) {
            self.last = Some(upto);
        }
    }
}

/// What was asked for, and every state on the way.
pub struct Workload {
    pub chance: Chance,
    /// After each frame, the empty journal first.
    pub history: Vec<Model>,
    /// Index into `history` up to which completions have fired.
    pub completed: Arc<AtomicUsize>,
    pending: Arc<AtomicUsize>,
    terms: BTreeMap<ShardId, u64>,
    /// Checkpoints whose last part is still to come.
    unfinished: BTreeMap<ShardId, (LogId, Vec<Vec<u8>>)>,
}

const SHARDS: u64 = 4;

/// Entries are adopted at indexes below this, whether the shard's log has them or not.
const ADOPTED_BELOW: u64 = 40;

impl Workload {
    pub fn new(seed: u64) -> Workload {
        Workload {
            chance: Chance(seed),
            history: vec![Model::new()],
            completed: Arc::default(),
            pending: Arc::default(),
            terms: BTreeMap::new(),
            unfinished: BTreeMap::new(),
        }
    }

    pub fn now(&self) -> &Model {
        self.history
            .last()
            .expect("the history begins with the empty journal")
    }

    /// Completions that have neither succeeded nor failed.
    pub fn pending(&self) -> usize {
        self.pending.load(Ordering::SeqCst)
    }

    pub fn completed(&self) -> usize {
        self.completed.load(Ordering::SeqCst)
    }

    /// The journal was opened again and holds `history[at]`: what came after it is gone.
    pub fn go_on_from(&mut self, at: usize) {
        self.history.truncate(at + 1);
        self.completed = Arc::new(AtomicUsize::new(at));
        // Which parts of an unfinished checkpoint are there cannot be seen: callers begin anew.
        self.unfinished.clear();
    }

    fn part(&mut self, shard: ShardId) -> Change {
        let begun = self.unfinished.get(&shard).map(|(log_id, _)| *log_id);
        // Now and then one is given up.
        let begun = begun.filter(|_| self.chance.below(8) != 0);
        let log_id = begun.unwrap_or_else(|| {
            let (term, index) = (1 + self.chance.below(3), self.chance.below(200));
            LogId::new(term, index)
        });
        let part = CheckpointPart {
            is_first: begun.is_none(),
            is_last: self.chance.below(3) == 0,
        };
        let payload = self.payload();
        Change::Part {
            shard,
            log_id,
            part,
            payload,
        }
    }

    fn adopt(&mut self, shard: ShardId) -> Change {
        let count = 1 + self.chance.below(3);
        let entry = |_| NewEntry {
            log_id: LogId::new(7, self.chance.below(ADOPTED_BELOW)),
            kind: EntryKind::Normal,
            payload: self.payload().into(),
        };
        let entries = (0..count).map(entry).collect();
        Change::Adopt { shard, entries }
    }

    fn payload(&mut self) -> Vec<u8> {
        let length = if self.chance.below(6) == 0 {
            2500
        } else {
            self.chance.below(300)
        };
        let byte = self.chance.draw() as u8;
        (0..length).map(|at| byte.wrapping_add(at as u8)).collect()
    }

    pub fn change(&mut self) -> Change {
        let shard = ShardId(self.chance.below(SHARDS) as u32 * 3);
        let state = self.now().get(&shard).cloned().unwrap_or_default();
        let term = *self.terms.entry(shard).or_insert(1);
        match self.chance.below(20) {
            0 | 1 => {
                self.terms.insert(shard, term + 1);
                Change::Vote {
                    shard,
                    vote: format!("vote {} of {shard}", self.chance.below(1 << 40)).into_bytes(),
                }
            }
            2 | 3 if state.last.is_some() => {
                // Somewhere between what is purged and the end, then on in a later term.
                let first = state.purged.map_or(0, |purged| purged.index.0 + 1);
                let end = state.last.map_or(0, |last| last.index.0 + 1);
                let keep = first + self.chance.below(end.saturating_sub(first) + 1);
                let after = match keep.checked_sub(1) {
                    None => None,
                    Some(index) if state.purged.is_some_and(|purged| purged.index.0 == index) => {
                        state.purged
                    }
                    Some(index) => state
                        .entries
                        .get(&index)
                        .map(|(term, _)| LogId::new(*term, index)),
                };
                self.terms.insert(shard, term + 1);
                Change::Truncate { shard, after }
            }
            4 if state.last.is_some() => {
                let first = state.purged.map_or(0, |purged| purged.index.0 + 1);
                let end = state.last.map_or(0, |last| last.index.0 + 1);
                // Sometimes beyond the end, as after a snapshot.
                let beyond = if self.chance.below(4) == 0 { 5 } else { 0 };
                let index = first
                    + self
                        .chance
                        .below((end + beyond).saturating_sub(first).max(1));
                let of_entry = state.entries.get(&index).map(|(term, _)| *term);
                if index < end && of_entry.is_none() {
                    return Change::Vote {
                        shard,
                        vote: b"instead of a purge".to_vec(),
                    };
                }
                Change::Purge {
                    shard,
                    upto: LogId::new(of_entry.unwrap_or(term), index),
                }
            }
            5 | 6 => self.adopt(shard),
            7 | 8 => self.part(shard),
            _ => {
                let mut index = state.last.map_or(0, |last| last.index.0 + 1);
                let count = 1 + self.chance.below(4);
                let entries = (0..count).map(|_| {
                    index += 1;
                    NewEntry {
                        log_id: LogId::new(term, index - 1),
                        kind: EntryKind::Normal,
                        payload: self.payload().into(),
                    }
                });
                Change::Append {
                    shard,
                    entries: entries.collect(),
                }
            }
        }
    }

    /// Hands a change to the journal and notes what it makes of the model.
    pub fn submit(&mut self, journal: &Journal, change: Change) -> Result<(), AppendError> {
        let mut states = Vec::new();
        let mut model = self.now().clone();
        match &change {
            Change::Append { shard, entries } => {
                for entry in entries {
                    model.entry(*shard).or_default().append(entry);
                    states.push(model.clone());
                }
            }
            Change::Vote { shard, vote } => {
                model.entry(*shard).or_default().vote = Some(vote.clone())
            }
            Change::Truncate { shard, after } => model.entry(*shard).or_default().truncate(*after),
            Change::Purge { shard, upto } => model.entry(*shard).or_default().purge(*upto),
            Change::Adopt { shard, entries } => {
                for entry in entries {
                    model.entry(*shard).or_default().adopt(entry);
                    states.push(model.clone());
                }
            }
            Change::Part {
                shard,
                log_id,
                part,
                payload,
            } => {
                if part.is_first {
                    self.unfinished.insert(*shard, (*log_id, Vec::new()));
                }
                let unfinished = self.unfinished.get_mut(shard);
                let unfinished = unfinished.expect("a checkpoint begins with its first part");
                unfinished.1.push(payload.clone());
                if part.is_last {
                    model.entry(*shard).or_default().checkpoint = self.unfinished.remove(shard);
                }
            }
        }
        if states.is_empty() {
            states.push(model);
        }
        let reached = self.history.len() - 1 + states.len();
        let completed = Arc::clone(&self.completed);
        let pending = Arc::clone(&self.pending);
        let done: FlushDone = Box::new(move |result| {
            pending.fetch_sub(1, Ordering::SeqCst);
            if result.is_ok() {
                let before = completed.fetch_max(reached, Ordering::SeqCst);
                assert!(
                    before < reached,
                    "completions fire in the order of the calls"
                );
            }
        });
        match change {
            Change::Append { shard, entries } => journal.append(shard, entries, done)?,
            Change::Vote { shard, vote } => journal.save_vote(shard, vote.into(), done)?,
            Change::Truncate { shard, after } => journal.truncate_after(shard, after, done)?,
            Change::Purge { shard, upto } => journal.purge(shard, upto, done)?,
            Change::Adopt { shard, entries } => journal.adopt(shard, entries, done)?,
            Change::Part {
                shard,
                log_id,
                part,
                payload,
            } => journal.save_checkpoint_part(shard, log_id, part, payload.into(), done)?,
        }
        self.pending.fetch_add(1, Ordering::SeqCst);
        self.history.extend(states);
        Ok(())
    }

    /// Some changes, some steps, some time. Stops early when the journal breaks.
    pub fn run(&mut self, journal: &Journal, writer: &mut Writer, changes: usize) {
        let mut now = Duration::ZERO;
        for _ in 0..changes {
            let change = self.change();
            match self.submit(journal, change) {
                Ok(()) => {}
                Err(AppendError::Broken(_)) => return,
                Err(e) => panic!("a change was refused: {e}"),
            }
            if self.chance.below(5) == 0 {
                let shard = ShardId(self.chance.below(SHARDS) as u32 * 3);
                journal.save_mark(shard, LogIndex(self.chance.below(100)));
            }
            for _ in 0..self.chance.below(4) {
                now += Duration::from_millis(self.chance.below(80));
                writer.step(now);
            }
        }
    }
}

/// Everything that can be read of a journal.
pub fn observe(journal: &Journal) -> Model {
    let mut model = Model::new();
    for shard in journal.shards() {
        let log = journal.log_state(shard);
        let mut entries = BTreeMap::new();
        let end = log.last.map_or(0, |last| last.index.0 + 1);
        let first = log.purged.map_or(0, |purged| purged.index.0 + 1);
        let read = journal
            .read(shard, 0..u64::MAX, usize::MAX)
            .expect("a sound log can be read");
        for entry in &read {
            entries.insert(
                entry.log_id.index.0,
                (entry.log_id.term.0, entry.payload.to_vec()),
            );
        }
        assert_eq!(
            read.len() as u64,
            end - first.max(read.first().map_or(end, |e| e.log_id.index.0)),
            "gapless"
        );
        for entry in all_entries(journal, shard) {
            let read = (entry.log_id.term.0, entry.payload.to_vec());
            let before = entries.insert(entry.log_id.index.0, read.clone());
            assert!(before.is_none_or(|before| before == read), "read alike");
            assert_eq!(
                journal.log_id_at(shard, entry.log_id.index),
                Some(entry.log_id)
            );
        }
        let adopted = adopted(journal, shard);
        let vote = journal.vote(shard).map(|vote: Bytes| vote.to_vec());
        model.insert(
            shard,
            Shard {
                entries,
                purged: log.purged,
                last: log.last,
                vote,
                adopted,
                checkpoint: checkpoint(journal, shard),
            },
        );
    }
    model.retain(|_, shard| *shard != Shard::default());
    model
}

/// Of the shard's own log, purged ones too.
fn all_entries(journal: &Journal, shard: ShardId) -> Vec<StoredEntry> {
    let mut entries = Vec::new();
    let mut from = 0;
    loop {
        let read = journal.history(shard, from..u64::MAX, 1000);
        let read = read.expect("a sound log can be read");
        let Some(last) = read.last() else {
            return entries;
        };
        from = last.log_id.index.0 + 1;
        entries.extend(read);
    }
}

fn adopted(journal: &Journal, shard: ShardId) -> BTreeMap<u64, (u64, Vec<u8>)> {
    let is_adopted = |index: &u64| journal.is_adopted(shard, LogIndex(*index));
    let read = |index| {
        let kept = journal.kept(shard, LogIndex(index));
        let kept = kept.expect("what is adopted can be read");
        let payload = journal.payload(shard, LogIndex(index));
        assert_eq!(payload.as_ref(), Ok(&kept.payload), "it is what counts");
        (index, (kept.log_id.term.0, kept.payload.to_vec()))
    };
    (0..ADOPTED_BELOW).filter(is_adopted).map(read).collect()
}

fn checkpoint(journal: &Journal, shard: ShardId) -> Option<(LogId, Vec<Vec<u8>>)> {
    let Checkpoint { log_id, parts } = journal.checkpoint(shard)?;
    let read = |part| {
        let part = journal.checkpoint_part(shard, part);
        part.expect("a checkpoint can be read").to_vec()
    };
    assert!(journal.checkpoint_part(shard, parts).is_err());
    Some((log_id, (0..parts).map(read).collect()))
}

/// The position in the workload's history that the journal holds, which must be one that was not lost.
pub fn find(workload: &Workload, seen: &Model, recovery: &Recovery) -> Result<usize, String> {
    if !recovery.holes.is_empty() || !recovery.damages.is_empty() {
        return Err(format!(
            "something sound was called corrupt: {:?} {:?}",
            recovery.holes, recovery.damages
        ));
    }
    let completed = workload.completed();
    let without_empty = |model: &Model| {
        let mut model = model.clone();
        model.retain(|_, shard| *shard != Shard::default());
        model
    };
    // The newest first: several states may look alike, and all of them are as good.
    let found = (0..workload.history.len())
        .rev()
        .find(|at| without_empty(&workload.history[*at]) == *seen);
    match found {
        Some(at) if at >= completed => Ok(at),
        Some(at) => Err(format!(
            "lost: holds state {at}, but {completed} was completed"
        )),
        None => Err(format!(
            "half shown: no state of {completed}..{} looks like {seen:?}",
            workload.history.len()
        )),
    }
}

/// A workload that is cut at an operation.
pub struct Life {
    pub disk: FaultyDisk,
    pub workload: Workload,
    /// The operation came, so there was something to cut.
    pub was_cut: bool,
}

pub fn live(
    seed: u64,
    page_bytes: usize,
    changes: usize,
    cut_at: Option<u64>,
    twin: Option<Twin>,
) -> Life {
    let disk = FaultyDisk::new(page_bytes);
    let mut workload = Workload::new(seed);
    if let Some(cut_at) = cut_at {
        disk.cut_power_at(cut_at);
    }
    if let Ok((journal, mut writer, _)) = try_open(&disk) {
        if let Some(twin) = twin {
            writer.break_on_purpose(twin);
        }
        workload.run(&journal, &mut writer, changes);
    }
    let was_cut = disk.is_off();
    Life {
        disk,
        workload,
        was_cut,
    }
}
