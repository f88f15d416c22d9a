//! Applies one payload: log time first, then its events in order. Each event is found to be a repetition, or is
//! refused without a change, or changes all that it asks for; the outcome is kept under its command's id.

use crate::context::{Context, Step, Stop};
use crate::keys::Scope;
use crate::outcomes::Ids;
use crate::records::{AccountRecord, ShardRecord};
use crate::rows::{self, Rows, RowsError, RowsMut};
use crate::{account, chunks, directory, flags, mailbox, messages, outcomes};
use engine_events::limits::EVENTS_PER_COMMAND_MAX;
use engine_events::{Event, EventOutcome, Kind, Outcome, Payload, Refusal};
use engine_types::{AccountId, CommandId, ModSeq, UnixMillis};
use prost::Message;
use std::collections::BTreeMap;

/// The control group's shard: it alone folds the directory.
pub(crate) const CONTROL_SHARD: u32 = 0;

/// Where a payload stands in its shard's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    pub shard: u32,
    pub term: u64,
    pub index: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Folded {
    pub outcome: Outcome,
    /// Accounts whose MODSEQ rose, each with its MODSEQ afterwards; ascending.
    pub touched: Vec<(AccountId, ModSeq)>,
}

/// What one payload's events share.
struct Run<'a> {
    at: At,
    command: CommandId,
    events: &'a [Event],
    log_time_ms: u64,
    shard: ShardRecord,
    touched: BTreeMap<AccountId, ModSeq>,
    asked: usize,
    repeated: usize,
}

/// Pure: the same rows, position and payload give the same rows and outcome.
pub fn apply(rows: &mut dyn RowsMut, at: At, payload: &Payload) -> Result<Folded, RowsError> {
    let head = Scope {
        shard: at.shard,
        account: 0,
    }
    .head();
    let mut shard: ShardRecord = rows::get(rows, &head)?.unwrap_or_default();
    shard.log_time_ms = shard.log_time_ms.max(payload.decided_at.0);
    let events = &payload.command.events;
    let refusal = match payload.command.command_id() {
        Err(_) => Some(Refusal::Invalid),
        Ok(_) if events.len() > EVENTS_PER_COMMAND_MAX => Some(Refusal::Limit),
        Ok(_) => None,
    };
    let mut run = Run {
        at,
        command: payload.command.command_id().unwrap_or_default(),
        events,
        log_time_ms: shard.log_time_ms,
        shard,
        touched: BTreeMap::new(),
        asked: 0,
        repeated: 0,
    };
    let mut outcomes = Vec::with_capacity(events.len());
    for ordinal in 0..events.len() {
        outcomes.push(match refusal {
            Some(refusal) => EventOutcome::refused(refusal),
            None => run.fold_event(rows, ordinal)?,
        });
    }
    chunks::prune(rows, at.shard, &mut run.shard)?;
    rows.put(head, run.shard.encode_to_vec());
    Ok(Folded {
        outcome: Outcome {
            events: outcomes,
            repeated: run.asked > 0 && run.asked == run.repeated,
        },
        touched: run.touched.into_iter().collect(),
    })
}

/// The greatest stamp that the shard has folded; 0 before the first.
pub fn log_time(rows: &dyn Rows, shard: u32) -> Result<UnixMillis, RowsError> {
    let head = Scope { shard, account: 0 }.head();
    let record: Option<ShardRecord> = rows::get(rows, &head)?;
    Ok(UnixMillis(record.map_or(0, |record| record.log_time_ms)))
}

impl Run<'_> {
    fn fold_event(
        &mut self,
        rows: &mut dyn RowsMut,
        ordinal: usize,
    ) -> Result<EventOutcome, RowsError> {
        let event = &self.events[ordinal];
        let Some(kind) = &event.kind else {
            return Ok(EventOutcome::refused(Refusal::Invalid));
        };
        match kind {
            Kind::BodyStored(_) => return Ok(EventOutcome::done()),
            Kind::BodyChunkStored(_) => {
                chunks::keep(rows, self.at.shard, self.at.index, &mut self.shard);
                return Ok(EventOutcome::done());
            }
            _ => {}
        }
        self.asked += 1;
        match (self.at.shard == CONTROL_SHARD, of_directory(kind)) {
            (true, true) => self.fold_directory(rows, ordinal, kind),
            (false, false) => self.fold_mail(rows, ordinal, event, kind),
            _ => Ok(EventOutcome::refused(Refusal::WrongShard)),
        }
    }

    fn fold_directory(
        &mut self,
        rows: &mut dyn RowsMut,
        ordinal: usize,
        kind: &Kind,
    ) -> Result<EventOutcome, RowsError> {
        let scope = Scope {
            shard: self.at.shard,
            account: 0,
        };
        let ids = Ids::of(self.command, ordinal, kind);
        if let Some(known) = outcomes::known(rows, scope, ids, self.log_time_ms)? {
            self.repeated += 1;
            return Ok(known);
        }
        let outcome = match directory::apply(rows, kind) {
            Ok(()) => EventOutcome::done(),
            Err(Stop::Refused(refusal)) => EventOutcome::refused(refusal),
            Err(Stop::Rows(error)) => return Err(error),
        };
        let kept = &mut self.shard.outcomes;
        outcomes::keep(rows, scope, kept, self.log_time_ms, ids, &outcome)?;
        Ok(outcome)
    }

    /// A refusal for want of the account or of its epoch is not kept: the sender asks again elsewhere, or with the
    /// right epoch, under the same id.
    fn fold_mail(
        &mut self,
        rows: &mut dyn RowsMut,
        ordinal: usize,
        event: &Event,
        kind: &Kind,
    ) -> Result<EventOutcome, RowsError> {
        let scope = Scope {
            shard: self.at.shard,
            account: event.account,
        };
        let ids = Ids::of(self.command, ordinal, kind);
        if event.account == 0 {
            return Ok(EventOutcome::refused(Refusal::Invalid));
        }
        let old: Option<AccountRecord> = rows::get(rows, &scope.head())?;
        if old.is_some()
            && let Some(known) = outcomes::known(rows, scope, ids, self.log_time_ms)?
        {
            self.repeated += 1;
            return Ok(known);
        }
        match (kind, &old) {
            (Kind::AccountOpened(_), _) => {}
            (_, None) => return Ok(EventOutcome::refused(Refusal::NoSuchAccount)),
            (_, Some(old)) if old.epoch != event.epoch => {
                return Ok(EventOutcome::refused(Refusal::WrongShard));
            }
            (Kind::AccountClosed(_), Some(old)) => {
                account::close(rows, scope, old.epoch)?;
                let last = ModSeq(old.mod_seq + 1);
                self.touched.insert(AccountId(event.account), last);
                return Ok(EventOutcome::done());
            }
            _ => {}
        }
        let mut cx = Context {
            rows,
            scope,
            log_time_ms: self.log_time_ms,
            log_index: self.at.index,
            account: old.clone().unwrap_or_default(),
        };
        let earlier = &self.events[..ordinal];
        let (outcome, account) = match fold_account(&mut cx, old.is_some(), event, kind, earlier) {
            Ok(outcome) => (outcome, Some(cx.account)),
            Err(Stop::Refused(refusal)) => (EventOutcome::refused(refusal), old.clone()),
            Err(Stop::Rows(error)) => return Err(error),
        };
        // Only an account that could not be opened has none: nothing to keep.
        let Some(mut account) = account else {
            return Ok(outcome);
        };
        if old.is_none_or(|old| old.mod_seq != account.mod_seq) {
            let account_id = AccountId(event.account);
            self.touched.insert(account_id, ModSeq(account.mod_seq));
        }
        let kept = &mut account.outcomes;
        outcomes::keep(rows, scope, kept, self.log_time_ms, ids, &outcome)?;
        rows.put(scope.head(), account.encode_to_vec());
        Ok(outcome)
    }
}

fn fold_account(
    cx: &mut Context<'_>,
    exists: bool,
    event: &Event,
    kind: &Kind,
    earlier: &[Event],
) -> Step<EventOutcome> {
    match kind {
        Kind::AccountOpened(_) if exists => Err(Refusal::AccountExists.into()),
        Kind::AccountOpened(opened) => account::open(cx, event.epoch, opened),
        Kind::QuotaSet(event) => account::set_quota(cx, event),
        Kind::MailboxCreated(event) => mailbox::create(cx, event),
        Kind::MailboxRenamed(event) => mailbox::rename(cx, event),
        Kind::MailboxDeleted(event) => mailbox::delete(cx, event),
        Kind::SubscriptionSet(event) => mailbox::subscribe(cx, event),
        Kind::MessageAppended(event) => messages::append(cx, event, earlier),
        Kind::FlagsChanged(event) => flags::change(cx, event),
        Kind::MessagesCopied(event) => messages::copy(cx, event),
        Kind::MessagesExpunged(event) => messages::expunge(cx, event),
        _ => Err(Refusal::Invalid.into()),
    }
}

fn of_directory(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::DomainSet(_)
            | Kind::AccountRegistered(_)
            | Kind::AccountStateSet(_)
            | Kind::CredentialSet(_)
            | Kind::AddressSet(_)
            | Kind::AddressRemoved(_)
            | Kind::AccountForgotten(_)
    )
}
