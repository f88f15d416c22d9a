//! What the callers' threads and the writer share.

use crate::place::{Place, Spot};
use crate::queue::{Item, Queued};
use crate::recent::Recent;
use crate::segments::Readers;
use crate::shard_log::ShardState;
use crate::space::{Allocator, Space, cost, slack};
use crate::{AppendError, Damage, Hole, JournalBroken, Options, Stats, limits};
use parking_lot::{Condvar, Mutex, MutexGuard};
use raft_api::{EntriesError, LogIndex, ShardId};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicUsize;
use tokio::sync::watch;

pub(crate) struct Shared {
    pub state: Mutex<State>,
    /// Wakes the writer's thread.
    pub wake: Condvar,
    /// For whoever steps the writer without a thread.
    #[cfg(any(test, feature = "testing"))]
    pub news: tokio::sync::Notify,
    /// Appends that callers have announced and whose outcome is not known yet: what gathering waits for.
    pub expected: AtomicUsize,
    /// Taken before `state`, never while holding it.
    pub allocator: Mutex<Allocator>,
    pub readers: Readers,
    pub options: Options,
    pub broken_watch: watch::Sender<Option<JournalBroken>>,
    /// Number of holes and damages, for those who must react to a new one.
    pub damages_watch: watch::Sender<usize>,
}

pub(crate) struct State {
    pub shards: BTreeMap<ShardId, ShardState>,
    /// No shard's log can be proven complete, not even one of which nothing is left.
    pub lost_everything: Option<Damage>,
    pub damages: Vec<Damage>,
    pub queue: VecDeque<Queued>,
    pub recent: Recent,
    /// Rises with each entry and vote.
    pub last_ticket: u64,
    pub flushed_ticket: u64,
    pub space: Space,
    pub marks_are_dirty: bool,
    pub broken: Option<JournalBroken>,
    pub closing: bool,
    /// Rises with everything that the writer might have to see.
    pub news: u64,
    /// Its thread sleeps until it is woken.
    pub writer_waits: bool,
    /// Its thread gathers, and goes on early once so many are queued.
    pub gather_target: Option<usize>,
    pub counters: Stats,
}

impl State {
    pub fn new(options: &Options) -> State {
        State {
            shards: BTreeMap::new(),
            lost_everything: None,
            damages: Vec::new(),
            queue: VecDeque::new(),
            recent: Recent::new(options.cache_bytes),
            last_ticket: 0,
            flushed_ticket: 0,
            space: Space::default(),
            marks_are_dirty: false,
            broken: None,
            closing: false,
            news: 0,
            writer_waits: false,
            gather_target: None,
            counters: Stats::default(),
        }
    }

    pub fn next_ticket(&mut self) -> u64 {
        self.last_ticket += 1;
        self.last_ticket
    }

    /// The shard, if changes to it are accepted.
    pub fn shard_for_change(&mut self, shard: ShardId) -> Result<&mut ShardState, AppendError> {
        self.check_open()?;
        if self.lost_everything.is_some() {
            return Err(AppendError::Hole(shard));
        }
        let state = self.shards.entry(shard).or_default();
        if state.hole.is_some() || state.missing.barred {
            Err(AppendError::Hole(shard))
        } else {
            Ok(state)
        }
    }

    /// The shard's log was whole when the journal was opened, or is by now, and no more is missing since than single
    /// entries that other nodes have.
    pub fn is_sound(&self, shard: ShardId) -> bool {
        let log = self.shards.get(&shard);
        let has_hole = log.is_some_and(|log| log.hole.is_some() || log.missing.barred);
        self.lost_everything.is_none() && !has_hole
    }

    /// What is refused to those who would read a log with a hole.
    pub fn check_sound(&self, shard: ShardId, index: LogIndex) -> Result<(), EntriesError> {
        if self.is_sound(shard) {
            return Ok(());
        }
        Err(EntriesError::Damaged {
            shard,
            index,
            detail: "the shard's log has a hole",
        })
    }

    pub fn check_open(&self) -> Result<(), AppendError> {
        match &self.broken {
            Some(broken) => Err(AppendError::Broken(broken.clone())),
            None if self.closing => Err(AppendError::Broken(JournalBroken::Closed)),
            None => Ok(()),
        }
    }

    pub fn enqueue(&mut self, queued: Queued) {
        if queued.item.shard().is_some() {
            let bytes = self.cost(queued.item.payload().len());
            self.space.promise(bytes, bytes);
        }
        self.news += 1;
        self.queue.push_back(queued);
    }

    pub fn cost(&self, payload: usize) -> u64 {
        cost(payload, self.shards.len())
    }

    /// In memory; what is to be written of it. Nothing, where nothing is removed.
    pub fn truncate_after(&mut self, shard: ShardId, after: Option<LogIndex>) -> Item {
        let log = self.shards.entry(shard).or_default();
        let Some(first_removed) = log.truncate_after(after) else {
            return Item::Nothing;
        };
        let last = log.last();
        self.recent.remove_from(shard, first_removed);
        Item::Truncate {
            shard,
            first_removed,
            last,
        }
    }

    pub fn slack(&self, options: &Options) -> u64 {
        slack(options.segment_bytes, self.shards.len())
    }

    /// Its frame is flushed.
    pub fn complete(&mut self, item: &Item, spot: Spot) {
        match item {
            Item::Entry {
                shard,
                entry,
                ticket,
            } => {
                self.flushed_ticket = *ticket;
                self.counters.entries_written += 1;
                if let Some(state) = self.shards.get_mut(shard) {
                    state.complete_entry(entry.log_id, entry.kind as u8, *ticket, spot);
                }
            }
            Item::Purge { shard, upto, .. } => {
                if let Some(state) = self.shards.get_mut(shard) {
                    state.complete_purge(*upto);
                }
            }
            Item::Adopted { shard, entry } => {
                let state = self.shards.entry(*shard).or_default();
                let place = Place::flushed(entry.log_id.term, entry.kind as u8, spot);
                let mended = state.adopted(entry.log_id, place);
                self.note_mended(&mended);
            }
            Item::Truncate { shard, .. } => {
                let state = self.shards.entry(*shard).or_default();
                let unneeded = state.settle_missing();
                self.note_mended(&unneeded);
            }
            Item::Part {
                shard,
                log_id,
                part,
                ..
            } => {
                let kept = &mut self.shards.entry(*shard).or_default().kept;
                kept.part(
                    *log_id,
                    *part,
                    Place::flushed(log_id.term, part.code(), spot),
                );
            }
            Item::Vote { .. } | Item::Nothing => {}
        }
    }

    /// Notes a damage, and the hole if a shard's log is concerned. Returns whether it is news.
    pub fn note_damage(&mut self, damage: Damage, holes: &[ShardId]) -> bool {
        for shard in holes {
            let state = self.shards.entry(*shard).or_default();
            state.hole.get_or_insert_with(|| Hole {
                shard: *shard,
                damage: damage.clone(),
            });
        }
        let is_news = !self.damages.iter().any(|other| other.is_at(&damage));
        if self.damages.len() < limits::MAX_DAMAGES && is_news {
            self.damages.push(damage);
        }
        is_news
    }

    pub fn holes(&self) -> Vec<Hole> {
        let mut holes: Vec<Hole> = self
            .shards
            .iter()
            .filter_map(|(shard, state)| state.hole_of(*shard))
            .collect();
        if let Some(damage) = &self.lost_everything {
            let known: Vec<ShardId> = holes.iter().map(|hole| hole.shard).collect();
            let others = self.shards.keys().filter(|shard| !known.contains(shard));
            holes.extend(others.map(|shard| Hole {
                shard: *shard,
                damage: damage.clone(),
            }));
            if holes.is_empty() {
                // Nothing is left that would name a shard: the control group stands for all of them.
                holes.push(Hole {
                    shard: ShardId::CONTROL,
                    damage: damage.clone(),
                });
            }
        }
        holes
    }
}

impl Shared {
    /// Wakes the writer's thread if it sleeps for want of work. Takes the guard, so that it is given back first.
    pub fn tell_writer(&self, state: MutexGuard<'_, State>) {
        let queued = state.queue.len();
        let waits = state.writer_waits || state.gather_target.is_some_and(|many| queued >= many);
        drop(state);
        #[cfg(any(test, feature = "testing"))]
        self.news.notify_one();
        if waits {
            self.wake.notify_all();
        }
    }

    /// The first error stays. Everybody who waits gets it from the writer's next step.
    pub fn poison(&self, broken: JournalBroken) {
        let mut state = self.state.lock();
        if state.broken.is_none() {
            tracing::error!(error = %broken, "the journal is broken; the process must stop");
            state.news += 1;
            state.broken = Some(broken.clone());
            self.broken_watch.send_replace(Some(broken));
        }
        drop(state);
        self.wake.notify_all();
    }

    /// Fills the reserve up, then makes one more spare segment unless `enough` says that there is room by now.
    /// Returns whether there may be room: false is a full disk.
    pub fn allocate(&self, enough: impl Fn(&State) -> bool) -> Result<bool, JournalBroken> {
        let allocator = self.allocator.lock();
        let made = self.allocate_locked(&allocator, enough);
        match &made {
            Ok(room) => self.note_full(!room),
            Err(broken) => self.poison(broken.clone()),
        }
        made
    }

    /// As `allocate`, for whoever asks about the disk and needs nothing now.
    pub fn look_for_room(&self) -> Result<bool, JournalBroken> {
        if self.allocator.lock().is_low() {
            self.note_full(true);
            return Ok(false);
        }
        self.allocate(|state| !state.space.spares.is_empty())
    }

    fn note_full(&self, full: bool) {
        let mut state = self.state.lock();
        if full && !state.space.full {
            tracing::error!("the disk is full: no entry is accepted until there is room");
        }
        state.space.full = full;
    }

    fn allocate_locked(
        &self,
        allocator: &Allocator,
        enough: impl Fn(&State) -> bool,
    ) -> Result<bool, JournalBroken> {
        if allocator.is_low() {
            // Somebody else may have made just what is asked for.
            return Ok(enough(&self.state.lock()));
        }
        let have = self.state.lock().space.reserve.clone();
        for (number, bytes) in allocator.reserve_sizes().into_iter().enumerate() {
            let name = crate::space::reserve_name(number);
            if have.iter().any(|file| file.name == name) {
                continue;
            }
            match allocator.make_reserve(number, bytes)? {
                Some(file) => self.state.lock().space.reserve.push(file),
                None => return Ok(false),
            }
        }
        let sequence = {
            let mut state = self.state.lock();
            state.space.current_is_reserve = false;
            if enough(&state) {
                return Ok(true);
            }
            state.space.next_sequence
        };
        let Some(spare) = allocator.make_spare(sequence)? else {
            return Ok(false);
        };
        let mut state = self.state.lock();
        state.space.next_sequence = sequence + 1;
        state.space.spares.push_back(spare);
        Ok(true)
    }
}
