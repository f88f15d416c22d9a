//! Outcomes by command id, so that a command that comes twice is applied once (promise P8).

use crate::keys::{self, Scope, TAGGED_LEN, tag};
use crate::limits::{OUTCOME_AGE_MS_MAX, OUTCOMES_PER_ACCOUNT_MAX, OUTCOMES_PRUNED_PER_EVENT_MAX};
use crate::records::{KeptOutcomes, OutcomeRecord};
use crate::rows::{self, Rows, RowsError, RowsMut};
use engine_events::EventOutcome;
use engine_types::CommandId;
use prost::Message;

pub(crate) fn find(
    rows: &dyn Rows,
    scope: Scope,
    (command, ordinal): (CommandId, u32),
) -> Result<Option<EventOutcome>, RowsError> {
    let record: Option<OutcomeRecord> = rows::get(rows, &scope.outcome(command.0, ordinal))?;
    Ok(record.and_then(|record| record.outcome))
}

/// Keeps one, and drops a few that are too old or too many. `kept` is the scope's count; the caller writes it.
pub(crate) fn keep(
    rows: &mut dyn RowsMut,
    scope: Scope,
    kept: &mut Option<KeptOutcomes>,
    log_time_ms: u64,
    (command, ordinal): (CommandId, u32),
    outcome: &EventOutcome,
) -> Result<(), RowsError> {
    let kept = kept.get_or_insert_default();
    if kept.count == 0 {
        kept.oldest_ms = log_time_ms;
    }
    kept.count += 1;
    let record = OutcomeRecord {
        at_ms: log_time_ms,
        outcome: Some(outcome.clone()),
    };
    rows.put(scope.outcome(command.0, ordinal), record.encode_to_vec());
    rows.put(
        scope.outcome_age(log_time_ms, command.0, ordinal),
        Vec::new(),
    );
    prune(rows, scope, kept, log_time_ms)
}

fn prune(
    rows: &mut dyn RowsMut,
    scope: Scope,
    kept: &mut KeptOutcomes,
    log_time_ms: u64,
) -> Result<(), RowsError> {
    let expired = |at_ms: u64| at_ms.saturating_add(OUTCOME_AGE_MS_MAX) < log_time_ms;
    if !expired(kept.oldest_ms) && kept.count <= OUTCOMES_PER_ACCOUNT_MAX {
        return Ok(());
    }
    let mut oldest: Vec<Vec<u8>> = Vec::new();
    rows.scan(
        &scope.by_number(tag::OUTCOME_AGE, kept.oldest_ms),
        &keys::end(&scope.tagged(tag::OUTCOME_AGE)),
        &mut |key, _| {
            oldest.push(key.to_vec());
            oldest.len() <= OUTCOMES_PRUNED_PER_EVENT_MAX
        },
    )?;
    for key in oldest.iter().take(OUTCOMES_PRUNED_PER_EVENT_MAX) {
        let at_ms = keys::u64_at(key, TAGGED_LEN);
        kept.oldest_ms = at_ms;
        if !expired(at_ms) && kept.count <= OUTCOMES_PER_ACCOUNT_MAX {
            return Ok(());
        }
        let command = keys::u128_at(key, TAGGED_LEN + 8);
        let ordinal = keys::u32_at(key, TAGGED_LEN + 24);
        rows.delete(scope.outcome(command, ordinal));
        rows.delete(key.clone());
        kept.count -= 1;
    }
    if let Some(next) = oldest.get(OUTCOMES_PRUNED_PER_EVENT_MAX) {
        kept.oldest_ms = keys::u64_at(next, TAGGED_LEN);
    }
    Ok(())
}
