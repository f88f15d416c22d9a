//! Outcomes by command id, so that a command that comes twice is applied once (promise P8).

use crate::keys::{self, Scope, TAGGED_LEN, tag};
use crate::limits::{
    OUTCOME_AGE_MS_MAX, OUTCOME_AGE_MS_MIN, OUTCOME_AGE_SURPLUS_MS, OUTCOMES_PER_ACCOUNT_MAX,
    OUTCOMES_PRUNED_PER_EVENT_MAX, OUTCOMES_SURPLUS,
};
use crate::records::{KeptOutcomes, OutcomeRecord};
use crate::rows::{self, Rows, RowsError, RowsMut};
use engine_events::{EventOutcome, Kind};
use engine_types::CommandId;
use prost::Message;

/// The ordinal of outcomes that are kept under a delivery's own name: no command has so many events.
const ONCE: u32 = u32::MAX;

/// What an event's outcome is found and kept under.
#[derive(Clone, Copy)]
pub(crate) struct Ids {
    command: (CommandId, u32),
    /// `MessageAppended::once`.
    once: Option<CommandId>,
}

impl Ids {
    pub fn of(command: CommandId, ordinal: usize, kind: &Kind) -> Ids {
        let once = match kind {
            Kind::MessageAppended(event) => event.once.as_ref().try_into().ok(),
            _ => None,
        };
        Ids {
            command: (command, ordinal as u32),
            once: once.map(|name| CommandId(u128::from_be_bytes(name))),
        }
    }

    /// A refused delivery may be tried again under its name, by another command.
    fn to_keep(self, outcome: &EventOutcome) -> (CommandId, u32) {
        match self.once {
            Some(once) if outcome.refusal().is_none() => (once, ONCE),
            _ => self.command,
        }
    }
}

/// What became of the event before. A named delivery that comes again counts as new from now on, so that a sender
/// that tries for days does not outlive its outcome.
pub(crate) fn known(
    rows: &mut dyn RowsMut,
    scope: Scope,
    ids: Ids,
    log_time_ms: u64,
) -> Result<Option<EventOutcome>, RowsError> {
    #[cfg(feature = "testing")]
    if crate::twin::is(crate::twin::Twin::ApplyTwice) {
        return Ok(None);
    }
    if let Some(once) = ids.once
        && let Some(known) = renew(rows, scope, (once, ONCE), log_time_ms)?
    {
        return Ok(Some(known));
    }
    find(rows, scope, ids.command)
}

fn renew(
    rows: &mut dyn RowsMut,
    scope: Scope,
    (name, ordinal): (CommandId, u32),
    log_time_ms: u64,
) -> Result<Option<EventOutcome>, RowsError> {
    let key = scope.outcome(name.0, ordinal);
    let Some(mut record) = rows::get::<OutcomeRecord>(rows, &key)? else {
        return Ok(None);
    };
    if record.at_ms < log_time_ms {
        rows.delete(scope.outcome_age(record.at_ms, name.0, ordinal));
        rows.put(scope.outcome_age(log_time_ms, name.0, ordinal), Vec::new());
        record.at_ms = log_time_ms;
        rows.put(key, record.encode_to_vec());
    }
    Ok(record.outcome)
}

pub(crate) fn find(
    rows: &dyn Rows,
    scope: Scope,
    (command, ordinal): (CommandId, u32),
) -> Result<Option<EventOutcome>, RowsError> {
    let record: Option<OutcomeRecord> = rows::get(rows, &scope.outcome(command.0, ordinal))?;
    Ok(record.and_then(|record| record.outcome))
}

/// Keeps one, and drops some that are too old or too many. `kept` is the scope's count; the caller writes it.
pub(crate) fn keep(
    rows: &mut dyn RowsMut,
    scope: Scope,
    kept: &mut Option<KeptOutcomes>,
    log_time_ms: u64,
    ids: Ids,
    outcome: &EventOutcome,
) -> Result<(), RowsError> {
    let (command, ordinal) = ids.to_keep(outcome);
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

/// Looks only when there is a surplus, so that most events pay nothing for it.
fn prune(
    rows: &mut dyn RowsMut,
    scope: Scope,
    kept: &mut KeptOutcomes,
    log_time_ms: u64,
) -> Result<(), RowsError> {
    let has_surplus = is_too_old(
        kept.oldest_ms.saturating_add(OUTCOME_AGE_SURPLUS_MS),
        log_time_ms,
    ) || is_one_too_many(kept, kept.oldest_ms, OUTCOMES_SURPLUS, log_time_ms);
    if !has_surplus {
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
        if !is_too_old(at_ms, log_time_ms) && !is_one_too_many(kept, at_ms, 0, log_time_ms) {
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

fn is_too_old(at_ms: u64, log_time_ms: u64) -> bool {
    at_ms.saturating_add(OUTCOME_AGE_MS_MAX) < log_time_ms
}

/// Never while a gateway may still try again.
fn is_one_too_many(kept: &KeptOutcomes, at_ms: u64, surplus: u32, log_time_ms: u64) -> bool {
    kept.count > OUTCOMES_PER_ACCOUNT_MAX + surplus
        && at_ms.saturating_add(OUTCOME_AGE_MS_MIN) < log_time_ms
}
