//! From a fold's outcome to what a gateway is told.

use crate::Refusal;
use engine_events::{Outcome, OutcomeKind, Refusal as Folded};
use raft_api::{LogId, SiteName};

/// A command that is committed and folded: its place and what became of each of its events.
pub(crate) struct Submitted {
    pub log_id: LogId,
    pub sites: Vec<SiteName>,
    pub outcome: Outcome,
}

impl Submitted {
    /// What became of the event at `ordinal`. A command that was refused as a whole has one outcome only.
    pub(crate) fn event(&self, ordinal: usize) -> Result<&OutcomeKind, Refusal> {
        let events = &self.outcome.events;
        let Some(event) = events.get(ordinal) else {
            // Fewer outcomes than events: either all are refused alike, or the answer makes no sense.
            return Err(match events.as_slice() {
                [only] => only.refusal().map_or(Refusal::OutcomeUnknown, refusal),
                _ => Refusal::OutcomeUnknown,
            });
        };
        match (&event.result, event.refusal()) {
            (Some(kind), None) => Ok(kind),
            (_, Some(code)) => Err(refusal(code)),
            (None, None) => Err(Refusal::OutcomeUnknown),
        }
    }

    /// Every event was applied; the first refusal otherwise.
    pub(crate) fn done(&self, events: usize) -> Result<(), Refusal> {
        (0..events).try_for_each(|ordinal| self.event(ordinal).map(|_| ()))
    }
}

/// An outcome of another kind than the event has: the leader's version and ours do not agree on what happened.
pub(crate) fn mismatch<T>() -> Result<T, Refusal> {
    Err(Refusal::OutcomeUnknown)
}

pub(crate) fn refusal(code: Folded) -> Refusal {
    match code {
        Folded::Invalid => Refusal::Invalid("the change breaks a rule of its kind".to_owned()),
        Folded::NoSuchAccount | Folded::WrongShard => Refusal::AccountUnavailable,
        Folded::NoSuchMailbox => Refusal::NoSuchMailbox,
        Folded::MailboxExists => Refusal::MailboxExists,
        Folded::OverQuota => Refusal::OverQuota,
        Folded::NotAllowed => Refusal::Cannot("this mailbox does not allow it"),
        Folded::Limit => {
            Refusal::Limit("of what one account, mailbox, message or address may hold")
        }
        Folded::AddressTaken => Refusal::AddressTaken,
        Folded::NoSuchAddress => Refusal::NoSuchAddress,
        Folded::Changed => Refusal::Changed,
        Folded::AccountExists => Refusal::Cannot("the account exists already"),
        Folded::UidsExhausted => Refusal::Limit("the mailbox has no UIDs left"),
        Folded::Quarantined => Refusal::Quarantined,
        // Nothing was applied, and the sender still has the message.
        Folded::TooOld => Refusal::Unavailable("pieces of the message are no longer kept"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a fold refused did not happen: no refusal of its may be called unknown (promise P8).
    #[test]
    fn a_fold_that_refuses_is_certain() {
        let mut codes = 0;
        while let Ok(code) = Folded::try_from(codes) {
            let told = refusal(code);
            assert!(!matches!(told, Refusal::OutcomeUnknown), "{code:?}");
            codes += 1;
        }
        assert!(codes > 14, "all of them");
    }
}
