//! One command through a group: tried again under the same id while that is safe, called unknown where it is not
//! known (promise P8), answered once this node's view shows it.

use crate::limits::{
    ELECTION_WAIT_MAX, FOLD_WAIT_MAX, READ_MARK_WAIT_MAX, SESSION_BYTES_MAX, SUBMIT_GRACE,
    SUBMIT_PAUSE_MAX, SUBMIT_PAUSE_MIN,
};
use crate::outcome::Submitted;
use crate::service::rows_failed;
use crate::{Freshness, Refusal, Service};
use engine_domain::log_time;
use engine_events::limits::{EVENTS_PER_COMMAND_MAX, PAYLOAD_BYTES_MAX};
use engine_events::{Command, Event, Outcome};
use engine_types::{AccountId, CommandId};
use raft_api::{LogIndex, ProposeError, Refused, ShardId};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

/// Octets that the leader puts before a command (`Payload::stamp`).
const STAMP_BYTES: usize = 8;

/// What the tries of one command have led to so far.
#[derive(Default)]
pub(crate) struct Tries {
    /// An earlier try may still come to be: from then on no refusal is true (promise P8).
    may_come_to_be: bool,
    reason: &'static str,
}

impl Tries {
    /// `Ok`: the same command may be tried again. `Err`: that is the answer.
    pub(crate) fn failed(&mut self, error: ProposeError) -> Result<(), Refusal> {
        let refusal = match error {
            ProposeError::NotLeader { .. } => return self.wait("the shard has no leader now"),
            ProposeError::NoQuorum => return self.wait("no majority can be reached"),
            ProposeError::SiteGateClosed => return self.wait("a second site cannot be reached"),
            ProposeError::Refused(Refused::TooBusy) => return self.wait("the server is too busy"),
            ProposeError::Unknown => {
                self.may_come_to_be = true;
                return self.wait("the outcome is not known yet");
            }
            // Such a leader hands over, where another node is fit.
            ProposeError::Refused(Refused::DiskFull) => return self.wait("the disk is full"),
            ProposeError::Refused(Refused::ClockSkew) => {
                return self.wait("the leader's clock is off");
            }
            ProposeError::Refused(Refused::Malformed) => {
                Refusal::Invalid("the leader does not take this change".to_owned())
            }
        };
        Err(if self.may_come_to_be {
            Refusal::OutcomeUnknown
        } else {
            refusal
        })
    }

    fn wait(&mut self, reason: &'static str) -> Result<(), Refusal> {
        self.reason = reason;
        Ok(())
    }

    /// The time is over.
    pub(crate) fn give_up(&self) -> Refusal {
        if self.may_come_to_be {
            Refusal::OutcomeUnknown
        } else {
            Refusal::Unavailable(self.reason)
        }
    }
}

impl Service {
    /// Resolves once the command holds and, as far as `FOLD_WAIT_MAX` goes, this node shows it.
    pub(crate) async fn submit(
        &self,
        shard: ShardId,
        actor: AccountId,
        session: &str,
        events: Vec<Event>,
    ) -> Result<Submitted, Refusal> {
        let id = self.next_command();
        let submitted = self.submit_as(id, shard, actor, session, events).await?;
        self.await_fold(shard, submitted.log_id.index).await;
        Ok(submitted)
    }

    /// As `submit`, but under a given id and without waiting for this node's fold.
    pub(crate) async fn submit_as(
        &self,
        id: CommandId,
        shard: ShardId,
        actor: AccountId,
        session: &str,
        events: Vec<Event>,
    ) -> Result<Submitted, Refusal> {
        if events.len() > EVENTS_PER_COMMAND_MAX {
            return Err(Refusal::Limit("too many changes at once"));
        }
        let group = self.group(shard)?;
        let command = Command::new(id, actor.0, short_session(session), events).encode_command();
        if command.len() + STAMP_BYTES > PAYLOAD_BYTES_MAX {
            return Err(Refusal::Limit("the change is too large for one entry"));
        }
        let deadline = Instant::now() + self.parts.submit_wait_max;
        let mut pause = SUBMIT_PAUSE_MIN;
        let mut tries = Tries::default();
        loop {
            match timeout_at(deadline + SUBMIT_GRACE, group.propose(command.clone())).await {
                // The proposal was cut off under way.
                Err(_elapsed) => return Err(Refusal::OutcomeUnknown),
                Ok(Ok(proposed)) => {
                    return Outcome::decode_outcome(&proposed.outcome)
                        .map(|outcome| Submitted {
                            log_id: proposed.log_id,
                            sites: proposed.sites,
                            outcome,
                        })
                        .map_err(|_| Refusal::OutcomeUnknown);
                }
                Ok(Err(error)) => {
                    tracing::debug!(%id, %shard, %error, "a command is not through yet");
                    tries.failed(error)?;
                }
            }
            let next = Instant::now() + pause;
            if next >= deadline {
                return Err(tries.give_up());
            }
            sleep_until(next).await;
            pause = (pause * 2).min(SUBMIT_PAUSE_MAX);
        }
    }

    /// True once this node has folded the shard up to `log_index`.
    pub(crate) async fn await_fold(&self, shard: ShardId, log_index: LogIndex) -> bool {
        let Ok(group) = self.group(shard) else {
            return false;
        };
        let mut folded = group.folded();
        let reached = folded.wait_for(|folded| folded.is_some_and(|at| at >= log_index));
        matches!(timeout(FOLD_WAIT_MAX, reached).await, Ok(Ok(_)))
    }

    /// Waits until this node's view holds all that was acknowledged before the call, or says that it may not.
    pub(crate) async fn refresh(&self, shard: ShardId) -> Result<Freshness, Refusal> {
        let group = self.group(shard)?;
        let begun = Instant::now();
        loop {
            let current = match timeout(READ_MARK_WAIT_MAX, group.read_mark()).await {
                Ok(Ok(mark)) => match mark.index {
                    Some(log_index) => self.await_fold(shard, log_index).await,
                    None => true,
                },
                Ok(Err(_)) | Err(_) => false,
            };
            if current {
                self.confirmed.lock().insert(shard, Instant::now());
                return Ok(Freshness::Current);
            }
            // Leadership moves now and then: a session is not to be told that it reads a copy for that.
            let confirmed = self.confirmed.lock().get(&shard).copied();
            let is_moving = confirmed.is_some_and(|at| begun < at + READ_MARK_WAIT_MAX);
            if !is_moving || begun.elapsed() >= ELECTION_WAIT_MAX {
                break;
            }
            sleep_until(Instant::now() + SUBMIT_PAUSE_MAX).await;
        }
        let as_of = log_time(&self.view(shard)?, shard.0).map_err(rows_failed)?;
        Ok(Freshness::Stale { as_of })
    }
}

fn short_session(session: &str) -> &str {
    let mut end = session.len().min(SESSION_BYTES_MAX);
    while !session.is_char_boundary(end) {
        end -= 1;
    }
    &session[..end]
}
