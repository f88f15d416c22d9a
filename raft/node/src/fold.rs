//! The fold: gives entries up to the mark to the state machine, answers their proposals, moves `folded`.
//!
//! A few threads fold for all groups of a node. Under load a thread that ends one batch finds the next group waiting, so
//! that a batch costs no wake-up and no hand-over between threads.
//!
//! FOLD-3: whoever raises the mark, or lets go of `folding`, says so by `Shared::fold_if_due` afterwards; so no entry
//! waits for a later one.

use crate::limits::{MAX_FOLD_BYTES, MAX_FOLD_ENTRIES};
use crate::off_thread::has_one_thread;
use crate::shared::Shared;
use crate::types::Outcome;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use raft_api::{Committed, LogId, LogIndex};
use raft_log::EntryKind;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

/// The threads of one node.
pub(crate) struct Folders {
    queue: Arc<FoldQueue>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Groups that have something to fold, each at most once.
#[derive(Default)]
pub(crate) struct FoldQueue {
    due: Mutex<Due>,
    wake: Condvar,
    by_tasks: bool,
}

#[derive(Default)]
struct Due {
    groups: VecDeque<Arc<Shared>>,
    is_stopped: bool,
}

impl Folders {
    /// On a runtime with one thread a task folds instead.
    pub fn start(threads: usize) -> Folders {
        let threads = if has_one_thread() { 0 } else { threads };
        let queue = Arc::new(FoldQueue {
            by_tasks: threads == 0,
            ..FoldQueue::default()
        });
        let start = |_| {
            let queue = queue.clone();
            let thread = std::thread::Builder::new().name("fold".into());
            thread.spawn(move || queue.work()).ok()
        };
        let threads = Mutex::new((0..threads).filter_map(start).collect());
        Folders { queue, threads }
    }

    pub fn queue(&self) -> Arc<FoldQueue> {
        self.queue.clone()
    }

    /// Returns once no thread folds any more. Blocking, for a batch at most.
    pub fn stop(&self) {
        self.queue.stop();
        for thread in self.threads.lock().drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        self.queue.stop();
    }
}

impl FoldQueue {
    pub fn push(&self, group: Arc<Shared>) {
        if self.by_tasks {
            if !self.due.lock().is_stopped {
                tokio::spawn(async move { take_turn(&group) });
            }
            return;
        }
        {
            let mut due = self.due.lock();
            if due.is_stopped {
                return;
            }
            due.groups.push_back(group);
        }
        self.wake.notify_one();
    }

    fn stop(&self) {
        let mut due = self.due.lock();
        due.is_stopped = true;
        due.groups.clear();
        self.wake.notify_all();
    }

    fn next(&self) -> Option<Arc<Shared>> {
        let mut due = self.due.lock();
        loop {
            if due.is_stopped {
                return None;
            }
            match due.groups.pop_front() {
                Some(group) => return Some(group),
                None => self.wake.wait(&mut due),
            }
        }
    }

    fn work(&self) {
        while let Some(group) = self.next() {
            take_turn(&group);
        }
    }
}

fn take_turn(group: &Arc<Shared>) {
    group.is_fold_due.store(false, Ordering::SeqCst);
    fold_once(group);
}

impl Shared {
    /// Puts the group into its node's queue if it has something to fold and is not there yet.
    pub fn fold_if_due(self: &Arc<Shared>) {
        let is_due = *self.mark.borrow() > *self.folded.borrow();
        let is_due = is_due && !self.waits_for_mend.load(Ordering::SeqCst);
        if is_due && !self.is_fold_due.swap(true, Ordering::SeqCst) {
            self.fold_queue.push(self.clone());
        }
    }

    /// Something is missing of the log that peers may have: `repair.rs` asks for the next turn once it is here.
    fn is_mended_soon(&self) -> bool {
        let is_missing = || !self.journal.missing(self.shard).is_empty();
        if !is_missing() {
            return false;
        }
        self.waits_for_mend.store(true, Ordering::SeqCst);
        if !is_missing() {
            // It came just now.
            self.waits_for_mend.store(false, Ordering::SeqCst);
        }
        true
    }

    /// Until it is dropped, nothing is folded.
    pub async fn hold_fold(self: &Arc<Shared>) -> FoldHeld {
        FoldHeld {
            guard: Some(self.folding.clone().lock_owned().await),
            shared: self.clone(),
        }
    }
}

pub(crate) struct FoldHeld {
    guard: Option<tokio::sync::OwnedMutexGuard<()>>,
    shared: Arc<Shared>,
}

impl Drop for FoldHeld {
    fn drop(&mut self) {
        // First, or the thread that folds next could find it locked.
        self.guard.take();
        self.shared.fold_if_due();
    }
}

/// One batch. What is left then comes after the other groups' turns.
fn fold_once(shared: &Arc<Shared>) {
    if shared.failed.borrow().is_some() {
        return;
    }
    let Ok(guard) = shared.folding.clone().try_lock_owned() else {
        // Whoever has it asks for the next turn when done.
        return;
    };
    let _held = FoldHeld {
        guard: Some(guard),
        shared: shared.clone(),
    };
    let upto = *shared.mark.borrow();
    if upto <= *shared.folded.borrow() {
        return;
    }
    match catch_unwind(AssertUnwindSafe(|| fold_batch(shared, upto))) {
        Ok(Ok((last, outcomes))) => advance(shared, last, outcomes),
        Ok(Err(reason)) if shared.is_mended_soon() => {
            tracing::debug!(shard = %shared.shard, reason, "the fold waits for a peer's copy");
        }
        Ok(Err(reason)) => shared.fail(reason),
        Err(_) => shared.fail("the state machine panicked".to_owned()),
    }
}

pub(crate) type Outcomes = Vec<(u64, Bytes)>;

/// Blocking: reads from the journal and lets the state machine write its views.
pub(crate) fn fold_batch(
    shared: &Shared,
    upto: Option<LogIndex>,
) -> Result<(LogId, Outcomes), String> {
    let start = shared.folded.borrow().map_or(0, |folded| folded.0 + 1);
    let end = upto.map_or(0, |upto| upto.0 + 1);
    let range = start..end.min(start + MAX_FOLD_ENTRIES);
    let stored = shared
        .journal
        .history(shared.shard, range, MAX_FOLD_BYTES)
        .map_err(|error| error.to_string())?;
    let mut entries = Vec::with_capacity(stored.len());
    for (entry, index) in stored.into_iter().zip(start..) {
        if entry.log_id.index.0 != index {
            return Err(format!("the journal has no entry {index}"));
        }
        entries.push(Committed {
            log_id: entry.log_id,
            payload: match entry.kind {
                EntryKind::Normal => entry.payload,
                EntryKind::Blank | EntryKind::Membership | EntryKind::Mode => Bytes::new(),
            },
        });
    }
    let Some(last) = entries.last().map(|entry| entry.log_id) else {
        return Err(format!("the journal has no entry {start}"));
    };
    let outcomes = shared.machine.apply(&entries);
    if outcomes.len() != entries.len() {
        return Err(format!("the state machine stopped before {last}"));
    }
    Ok((last, (start..).zip(outcomes).collect()))
}

fn advance(shared: &Shared, last: LogId, outcomes: Outcomes) {
    *shared.position.lock() = Some(last);
    shared.folded.send_replace(Some(last.index));
    for (index, outcome) in outcomes {
        let responder = {
            let mut responders = shared.responders.lock();
            let is_next = responders.front().is_some_and(|(at, _)| *at == index);
            is_next.then(|| responders.pop_front()).flatten()
        };
        if let Some((_, responder)) = responder {
            responder.send(Outcome(outcome));
        }
    }
}
