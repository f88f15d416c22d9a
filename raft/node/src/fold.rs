//! The fold task: gives entries up to the mark to the state machine, answers their proposals, moves `folded`.

use crate::limits::{MAX_FOLD_BYTES, MAX_FOLD_ENTRIES};
use crate::shared::Shared;
use crate::types::Outcome;
use bytes::Bytes;
use raft_api::{Committed, LogId, LogIndex};
use raft_log::EntryKind;
use std::sync::Arc;

/// Ends when the group does, or after a failure, which `failed` then tells.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut mark = shared.mark.subscribe();
    loop {
        let Ok(upto) = mark
            .wait_for(|mark| *mark > *shared.folded.borrow())
            .await
            .map(|mark| *mark)
        else {
            return;
        };
        let one_at_a_time = shared.folding.clone().lock_owned().await;
        if upto <= *shared.folded.borrow() {
            // A snapshot came meanwhile.
            continue;
        }
        let task = shared.clone();
        let folded = tokio::task::spawn_blocking(move || fold_batch(&task, upto)).await;
        match folded {
            Ok(Ok((last, outcomes))) => advance(&shared, last, outcomes),
            Ok(Err(reason)) => return shared.fail(reason),
            Err(error) => return shared.fail(format!("the state machine failed: {error}")),
        }
        drop(one_at_a_time);
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
