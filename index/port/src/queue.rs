//! What the fold tells, until the feeder comes to it. Never waits.

use crate::limits::{BUSY, QUEUED_MESSAGES_MAX, REST_MAX};
use engine_domain::read::MessageMoved;
use engine_replica::Follower;
use parking_lot::{Condvar, Mutex};
use raft_api::{LogId, LogIndex, ShardId};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

#[derive(Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    news: Condvar,
}

#[derive(Default)]
struct Waiting {
    moved: VecDeque<(ShardId, LogIndex, Vec<MessageMoved>)>,
    messages: usize,
    /// Shards to go through as a whole; true: into a new index.
    whole: BTreeMap<ShardId, bool>,
    stopping: bool,
    /// When a batch was told last.
    told: Option<Instant>,
}

pub(crate) enum Work {
    Moved(ShardId, LogIndex, Vec<MessageMoved>),
    Whole { shard: ShardId, anew: bool },
    Nothing,
    Stop,
}

impl Queue {
    pub fn ask_whole(&self, shard: ShardId, anew: bool) {
        let mut waiting = self.waiting.lock();
        *waiting.whole.entry(shard).or_default() |= anew;
        self.news.notify_all();
    }

    /// Then nothing is known of the messages that were not looked at.
    pub fn is_whole_due(&self, shard: ShardId) -> bool {
        self.waiting.lock().whole.contains_key(&shard)
    }

    pub fn stop(&self) {
        self.waiting.lock().stopping = true;
        self.news.notify_all();
    }

    pub fn is_stopping(&self) -> bool {
        self.waiting.lock().stopping
    }

    /// What came in comes first: who waits for it is a reader, and a whole shard takes its time.
    pub fn next(&self, wait: Duration) -> Work {
        let until = Instant::now() + wait;
        let mut waiting = self.waiting.lock();
        loop {
            if waiting.stopping {
                return Work::Stop;
            }
            if let Some(work) = waiting.take_moved() {
                return work;
            }
            if let Some((shard, anew)) = waiting.whole.pop_first() {
                return Work::Whole { shard, anew };
            }
            if self.news.wait_until(&mut waiting, until).timed_out() {
                return Work::Nothing;
            }
        }
    }

    /// Ends early if no changes come in any more, or the node stops.
    pub fn rest_while_busy(&self, length: Duration) {
        let until = Instant::now() + length.min(REST_MAX);
        let mut waiting = self.waiting.lock();
        let is_busy = |waiting: &Waiting| waiting.told.is_some_and(|told| told.elapsed() < BUSY);
        while !waiting.stopping && is_busy(&waiting) && Instant::now() < until {
            let next = until.min(Instant::now() + BUSY);
            self.news.wait_until(&mut waiting, next);
        }
    }

    /// While a whole shard is gone through.
    pub fn next_moved(&self) -> Option<Work> {
        self.waiting.lock().take_moved()
    }
}

impl Waiting {
    fn take_moved(&mut self) -> Option<Work> {
        let (shard, at, moved) = self.moved.pop_front()?;
        self.messages -= moved.len();
        Some(Work::Moved(shard, at, moved))
    }
}

impl Follower for Queue {
    fn moved(&self, shard: ShardId, at: LogId, moved: Vec<MessageMoved>) {
        let mut waiting = self.waiting.lock();
        waiting.told = Some(Instant::now());
        if waiting.messages + moved.len() > QUEUED_MESSAGES_MAX {
            waiting.whole.entry(shard).or_default();
            return;
        }
        // Positions without messages do not pile up.
        if moved.is_empty()
            && let Some((last, last_at, _)) = waiting.moved.back_mut()
            && *last == shard
        {
            *last_at = at.index;
            return;
        }
        waiting.messages += moved.len();
        let is_first = waiting.moved.is_empty();
        waiting.moved.push_back((shard, at.index, moved));
        if is_first {
            self.news.notify_all();
        }
    }

    fn replaced(&self, shard: ShardId, _: LogId) {
        self.ask_whole(shard, false);
    }
}
