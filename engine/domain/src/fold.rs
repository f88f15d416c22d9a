//! Applies one payload: log time first, then its events in order. Each event is found to be a repetition, or is
//! refused without a change, or changes all that it asks for; the outcome is kept under its command's id.

use crate::context::{Context, Step, Stop};
use crate::keys::Scope;
use crate::outcomes::Ids;
use crate::quarantine::{self, Met};
use crate::records::{AccountRecord, ShardRecord};
use crate::rows::{self, Rows, RowsError, RowsMut};
use crate::{account, chunks, directory, flags, mailbox, messages, outcomes, recovered};
use engine_events::limits::EVENTS_PER_COMMAND_MAX;
use engine_events::{Event, EventOutcome, Kind, Outcome, Payload, Refusal};
use engine_types::{AccountId, CommandId, MailboxId, ModSeq, UnixMillis};
use prost::Message;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

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
    /// What this payload brought into quarantine. Before its changes are written, the replica makes sure that its rows
    /// are those of all replicas, and stops if they are not.
    pub breaches: Vec<Breach>,
}

/// A poison event: it changed nothing, and what it met is closed to changes from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    pub account: AccountId,
    /// `None`: the account as a whole.
    pub mailbox: Option<MailboxId>,
    /// For this replica's log.
    pub detail: String,
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
    breaches: Vec<Breach>,
}

/// What one mail event did.
struct Mailed {
    outcome: EventOutcome,
    /// The account's MODSEQ, if it rose.
    touched: Option<ModSeq>,
    is_repeated: bool,
}

impl Mailed {
    fn new(outcome: EventOutcome) -> Mailed {
        Mailed {
            outcome,
            touched: None,
            is_repeated: false,
        }
    }

    fn refused(refusal: Refusal) -> Mailed {
        Mailed::new(EventOutcome::refused(refusal))
    }
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
        breaches: Vec::new(),
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
        breaches: run.breaches,
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
            Kind::ShardRecovered(event) => {
                let shard = &mut self.shard;
                let (outcome, jumped) = recovered::apply(rows, self.at.shard, shard, event)?;
                self.touched.extend(jumped);
                return Ok(outcome);
            }
            _ => {}
        }
        self.asked += 1;
        match (self.at.shard == CONTROL_SHARD, of_directory(kind)) {
            (true, true) => self.fold_directory(rows, ordinal, kind),
            (false, false) => self.fold_guarded(rows, ordinal, event, kind),
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

    /// Whatever an event meets in an account's rows ends with its mailbox. It changes all that it asks for, or nothing.
    fn fold_guarded(
        &mut self,
        rows: &mut dyn RowsMut,
        ordinal: usize,
        event: &Event,
        kind: &Kind,
    ) -> Result<EventOutcome, RowsError> {
        rows.save_point();
        // A panic leaves rows half changed: they are taken back below. Nothing else is changed within.
        let folded = catch_unwind(AssertUnwindSafe(|| {
            self.fold_mail(rows, ordinal, event, kind)
        }));
        let met = match folded {
            Ok(Ok((mailed, shard))) => {
                self.shard = shard;
                self.repeated += usize::from(mailed.is_repeated);
                let rose = mailed.touched.map(|rose| (AccountId(event.account), rose));
                self.touched.extend(rose);
                return Ok(mailed.outcome);
            }
            Ok(Err(RowsError::Breach { key, detail })) => Met::Row(key, detail),
            Ok(Err(error @ RowsError::Store(_))) => return Err(error),
            Err(panic) => Met::Panic(panic),
        };
        rows.undo();
        let closed = quarantine::close(rows, self.at, &mut self.shard, event, kind, met)?;
        self.breaches.extend(closed);
        Ok(EventOutcome::refused(Refusal::Quarantined))
    }

    /// A refusal for want of the account or of its epoch is not kept: the sender asks again elsewhere, or with the
    /// right epoch, under the same id. Nor is that of a mailbox in quarantine. With the shard's head as it is to be.
    fn fold_mail(
        &self,
        rows: &mut dyn RowsMut,
        ordinal: usize,
        event: &Event,
        kind: &Kind,
    ) -> Result<(Mailed, ShardRecord), RowsError> {
        let mut shard = self.shard;
        let scope = Scope {
            shard: self.at.shard,
            account: event.account,
        };
        let ids = Ids::of(self.command, ordinal, kind);
        if event.account == 0 {
            return Ok((Mailed::refused(Refusal::Invalid), shard));
        }
        let old: Option<AccountRecord> = rows::get(rows, &scope.head())?;
        if old.is_some()
            && let Some(known) = outcomes::known(rows, scope, ids, self.log_time_ms)?
        {
            let is_repeated = true;
            let mailed = Mailed::new(known);
            return Ok((
                Mailed {
                    is_repeated,
                    ..mailed
                },
                shard,
            ));
        }
        let refusal = match (kind, &old) {
            (Kind::AccountOpened(_), _) => None,
            (_, None) => Some(Refusal::NoSuchAccount),
            (_, Some(old)) => (old.epoch != event.epoch).then_some(Refusal::WrongShard),
        };
        let mut named = Vec::new();
        if refusal.is_none() && shard.quarantined > 0 {
            if quarantine::refuses(rows, scope, kind)? {
                return Ok((Mailed::refused(Refusal::Quarantined), shard));
            }
            named = quarantine::named(rows, scope, kind)?;
        }
        let mailed = match (refusal, kind, old) {
            (Some(refusal), ..) => Mailed::refused(refusal),
            (None, Kind::AccountClosed(_), Some(old)) => {
                account::close(rows, scope, old.epoch)?;
                let touched = Some(ModSeq(old.mod_seq + 1));
                let mailed = Mailed::new(EventOutcome::done());
                Mailed { touched, ..mailed }
            }
            (None, _, old) => self.fold_open(rows, scope, ordinal, event, kind, old)?,
        };
        if shard.quarantined > 0 && mailed.outcome.refusal().is_none() {
            quarantine::lift(rows, scope, &mut shard, kind, &named)?;
        }
        Ok((mailed, shard))
    }

    /// An event of an account that is here, or is to be.
    fn fold_open(
        &self,
        rows: &mut dyn RowsMut,
        scope: Scope,
        ordinal: usize,
        event: &Event,
        kind: &Kind,
        old: Option<AccountRecord>,
    ) -> Result<Mailed, RowsError> {
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
            return Ok(Mailed::new(outcome));
        };
        let rose = old.is_none_or(|old| old.mod_seq != account.mod_seq);
        let touched = rose.then_some(ModSeq(account.mod_seq));
        let ids = Ids::of(self.command, ordinal, kind);
        let kept = &mut account.outcomes;
        outcomes::keep(rows, scope, kept, self.log_time_ms, ids, &outcome)?;
        rows.put(scope.head(), account.encode_to_vec());
        Ok(Mailed {
            touched,
            ..Mailed::new(outcome)
        })
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
