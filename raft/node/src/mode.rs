//! The mode of a shard: how many sites an acknowledgement stands for, as committed entries of its log (design §3).
//!
//! MODE-1: a leader degrades only when every sync lease is over that it, or any leader before it, has granted.
//! MODE-2: the gate is open to one site only for a leader that has handed over an entry of its own term: then it has
//! seen every mode that was ever committed before it.
//! MODE-3: catching up does not gate; `InSync` is proposed when the other site has nearly all, and gates again from
//! the moment in which it is committed.
//!
//! MODE-4: the policy is a part of each entry, so that a log says by itself what its leaders were allowed. A switch to
//! *degrade* is proposed only in sync, and counts once two sites hold it: a site that was left behind knows that it was.
//! MODE-5: one such entry is under way at a time, and each is made from the one before it.
//!
//! A mode takes effect when it is committed, ahead of the fold: the fold may be waiting for just that.

use crate::change::ChangeError;
use crate::gate;
use crate::limits::{
    CHANGE_TIMEOUT, LEASE_ASKED, LEASE_DRIFT, LEASE_LENGTH, MODE_CHECK, MODE_LAG_ENTRIES,
};
use crate::mark;
use crate::runtime::on_a_line;
use crate::shared::Shared;
use crate::types::{Metrics, Payload, Raft};
use crate::wire::{self, Malformed, WireLease, WireMode, kind};
use bytes::Bytes;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use prost::Message;
use raft_api::{LogIndex, Mode, NodeId, OnSiteLoss, SiteName};
use raft_transport::{Class, Peers};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// The newest committed mode of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ModeNow {
    pub mode: Mode,
    /// Of the entry that said so; `None`: the log has none, and began in sync.
    pub at: Option<LogIndex>,
    /// The leader's clock when it decided on the mode. For humans only.
    pub decided_at_ms: u64,
    /// `None`: no leader has written it down yet.
    pub policy: Option<OnSiteLoss>,
    /// Of the entry that chose the policy.
    pub policy_at: Option<LogIndex>,
}

impl Default for ModeNow {
    fn default() -> ModeNow {
        ModeNow {
            mode: Mode::InSync,
            at: None,
            decided_at_ms: 0,
            policy: None,
            policy_at: None,
        }
    }
}

impl ModeNow {
    /// What may be done when one site is left, given the mark.
    pub fn policy_in_force(&self, mark: Option<LogIndex>) -> OnSiteLoss {
        match self.policy {
            Some(OnSiteLoss::Degrade) if self.policy_at <= mark => OnSiteLoss::Degrade,
            _ => OnSiteLoss::Strict,
        }
    }

    fn with_mode(self, mode: Mode, now: SystemTime) -> ModeNow {
        let since = now.duration_since(UNIX_EPOCH);
        ModeNow {
            mode,
            decided_at_ms: since.map_or(0, |since| since.as_millis() as u64),
            ..self
        }
    }

    fn with_policy(self, policy: OnSiteLoss) -> ModeNow {
        ModeNow {
            policy: Some(policy),
            policy_at: None,
            ..self
        }
    }
}

pub(crate) fn decode(payload: Bytes, at: LogIndex) -> Result<ModeNow, Malformed> {
    WireMode::decode(payload)?.at(at)
}

/// What of a leader's situation decides about its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Situation {
    pub policy: OnSiteLoss,
    pub now: Mode,
    pub second_site_is_heard: bool,
    /// Every sync lease that may have been granted is over.
    pub leases_are_over: bool,
    /// Entries that no second site has yet.
    pub behind: u64,
}

/// The mode to propose, if another one is due.
pub(crate) fn due(s: Situation) -> Option<Mode> {
    match s.now {
        Mode::SingleSite => None,
        Mode::InSync => {
            let may = s.policy == OnSiteLoss::Degrade && s.leases_are_over;
            (may && !s.second_site_is_heard).then_some(Mode::Degraded)
        }
        Mode::Degraded => s.second_site_is_heard.then_some(Mode::CatchingUp),
        // No lease is granted while catching up, so none has to be waited for.
        Mode::CatchingUp if !s.second_site_is_heard => Some(Mode::Degraded),
        Mode::CatchingUp => (s.behind <= MODE_LAG_ENTRIES).then_some(Mode::InSync),
    }
}

/// The sync leases that a leader has granted. Granting and the decision to degrade exclude each other: from the moment
/// in which a leader decides, it grants none, although the log does not say so yet.
#[derive(Default)]
pub(crate) struct Leases {
    until: Option<Instant>,
    is_closed: bool,
}

impl Leases {
    /// False: closed, nothing is granted.
    pub fn grant(&mut self, until: Instant) -> bool {
        if !self.is_closed {
            self.until = self.until.max(Some(until));
        }
        !self.is_closed
    }

    /// Whether all are over, also those of leaders before one that leads since `leads_since`.
    pub fn are_over(&self, leads_since: Instant, now: Instant) -> bool {
        let earlier_leaders = leads_since + LEASE_LENGTH;
        let over_at = self
            .until
            .map_or(earlier_leaders, |until| until.max(earlier_leaders));
        now >= over_at + LEASE_DRIFT
    }

    /// If all are over, none is granted until they are opened again. False: one may still run.
    pub fn close(&mut self, leads_since: Instant, now: Instant) -> bool {
        self.is_closed |= self.are_over(leads_since, now);
        self.is_closed
    }

    /// The log says that sites are in sync, or we do not lead.
    pub fn open(&mut self) {
        self.is_closed = false;
    }
}

/// Grants `asker`'s site a lease: for so long, counted from the asking, nothing is acknowledged that it does not hold. None with
/// three sites, where two others will do, and none to a site that takes nothing now: it would only hold the other one up.
pub(crate) fn grant(shared: &Shared, raft: &Raft, asker: NodeId) -> Option<Duration> {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    let leads = metrics.state.is_leader() && has_own_term(shared, &metrics);
    if !leads || shared.mode.borrow().mode != Mode::InSync {
        return None;
    }
    if !gate::has_second_site(shared, &metrics) {
        return None;
    }
    // What was acknowledged while catching up may still be on its way.
    let flushed = shared.journal.flushed(shared.shard);
    let members = mark::durables(&metrics, shared.own, flushed.map(|flushed| flushed.index));
    let sites: BTreeSet<&SiteName> = members.iter().map(|(_, member)| &member.site).collect();
    let (_, asks) = members.iter().find(|(id, _)| *id == asker)?;
    let of_site = members.iter().filter(|(_, m)| m.site == asks.site);
    let held = of_site.map(|(_, member)| member.upto).max().flatten();
    if sites.len() != 2 || held < *shared.mark.borrow() {
        return None;
    }
    // A leader that was deposed without knowing it grants nothing beyond what its last majority allows.
    let acked = *metrics.last_quorum_acked.as_deref()?;
    let left = LEASE_LENGTH.checked_sub(openraft::Instant::elapsed(&acked))?;
    let until = Instant::now() + left;
    shared.leases.lock().grant(until).then_some(left)
}

/// Whether an entry of our own term has been handed over.
pub(crate) fn has_own_term(shared: &Shared, metrics: &Metrics) -> bool {
    let handed = *shared.handed.borrow();
    handed.is_some_and(|handed| handed.term.0 == metrics.current_term)
}

/// Looks a few times a second whether another mode is due, and proposes it.
pub(crate) async fn run(shared: Arc<Shared>, raft: Raft) {
    let mut tick = interval_at(on_a_line(Instant::now()), MODE_CHECK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut leads: Option<(u64, Instant)> = None;
    loop {
        if !worth_a_look(&shared).await {
            return;
        }
        tick.tick().await;
        let leads_since = {
            let metrics = raft.metrics();
            let metrics = metrics.borrow_watched();
            if !metrics.state.is_leader() || !has_own_term(&shared, &metrics) {
                leads = None;
                shared.leases.lock().open();
                continue;
            }
            let (term, since) = *leads.get_or_insert((metrics.current_term, Instant::now()));
            if term != metrics.current_term {
                leads = None;
                continue;
            }
            since
        };
        let one_at_a_time = shared.changing_mode.lock().await;
        let now = *shared.mode.borrow();
        let next = {
            let metrics = raft.metrics();
            let metrics = metrics.borrow_watched();
            next(&shared, &metrics, now, leads_since)
        };
        let Some(next) = next else { continue };
        let begins_to_degrade = next.mode == Mode::Degraded && now.mode == Mode::InSync;
        if begins_to_degrade && !close_leases(&shared, leads_since) {
            // One was granted since we looked.
            continue;
        }
        match propose(&shared, &raft, next).await {
            Ok(_) => {
                tracing::warn!(shard = %shared.shard, mode = ?next.mode, policy = ?next.policy, "the shard's mode has changed");
                if next.mode == Mode::InSync {
                    shared.leases.lock().open();
                }
            }
            // Closed leases stay closed: the entry may still come to be.
            Err(error) => {
                tracing::debug!(shard = %shared.shard, %error, "a mode was not agreed on");
            }
        }
        drop(one_at_a_time);
    }
}

/// The entry that is due: the policy that the cluster was founded with, as long as none is written down, or a mode.
fn next(shared: &Shared, metrics: &Metrics, now: ModeNow, leads_since: Instant) -> Option<ModeNow> {
    if now.policy.is_none() && now.mode == Mode::InSync {
        return Some(now.with_policy(shared.founding_policy));
    }
    let mode = situation(shared, metrics, leads_since).and_then(due)?;
    Some(now.with_mode(mode, (shared.wall_clock)()))
}

/// Under the lock of `changing_mode`. Once it is `Ok`, the entry has taken effect here.
async fn propose(shared: &Shared, raft: &Raft, next: ModeNow) -> Result<LogIndex, ChangeError> {
    let payload = Payload::Mode(wire::bytes(&WireMode::from(next)));
    let written = raft.client_write(payload).await;
    let written = written.map_err(|error| match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(_)) => ChangeError::NoLeader,
        _ => ChangeError::Unknown,
    })?;
    let at = LogIndex(written.log_id.index);
    let mut mode = shared.mode.subscribe();
    let is_here = mode.wait_for(|mode| mode.at >= Some(at)).await;
    is_here.map_err(|_| ChangeError::Unknown)?;
    Ok(at)
}

/// On the leader: writes down what the operator wants. Returns once it counts.
pub(crate) async fn switch(
    shared: Arc<Shared>,
    raft: Raft,
    policy: OnSiteLoss,
) -> Result<(), ChangeError> {
    let turn = timeout(CHANGE_TIMEOUT, shared.changing_mode.lock()).await;
    let one_at_a_time = turn.map_err(|_| ChangeError::InProgress)?;
    let is_heard = {
        let metrics = raft.metrics();
        let metrics = metrics.borrow_watched();
        if !metrics.state.is_leader() || !has_own_term(&shared, &metrics) {
            return Err(ChangeError::NoLeader);
        }
        gate::has_second_site(&shared, &metrics)
    };
    let now = *shared.mode.borrow();
    if now.policy != Some(policy) {
        if policy == OnSiteLoss::Degrade && now.mode != Mode::InSync {
            return Err(ChangeError::NotInSync);
        }
        if policy == OnSiteLoss::Degrade && !is_heard {
            return Err(ChangeError::SecondSiteAway);
        }
        propose(&shared, &raft, now.with_policy(policy)).await?;
    }
    drop(one_at_a_time);
    let is_in_force = |mark: &Option<LogIndex>| {
        policy == OnSiteLoss::Strict || shared.mode.borrow().policy_in_force(*mark) == policy
    };
    let mut mark = shared.mark.subscribe();
    let in_force = timeout(CHANGE_TIMEOUT, mark.wait_for(is_in_force)).await;
    match in_force {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(ChangeError::Unknown),
    }
}

/// On a node outside the leader's site: asks for leases, and remembers until when this site is known to be in sync.
pub(crate) async fn ask(shared: Arc<Shared>, raft: Raft, peers: Arc<Peers>) {
    let mut tick = interval_at(on_a_line(Instant::now()), LEASE_ASKED);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        if !worth_a_look(&shared).await {
            return;
        }
        tick.tick().await;
        let leader = {
            let metrics = raft.metrics();
            let metrics = metrics.borrow_watched();
            let membership = metrics.membership_config.membership();
            let site = |id: u64| membership.get_node(&id).map(|place| &place.site);
            let leader = metrics
                .current_leader
                .filter(|leader| *leader != shared.own.0);
            leader.filter(|leader| site(*leader) != site(shared.own.0))
        };
        let Some(leader) = leader.map(NodeId) else {
            continue;
        };
        let asked_at = (shared.wall_clock)();
        let (shard, limit) = (shared.shard, LEASE_ASKED);
        let answer = peers.request(
            leader,
            Class::Other,
            shard,
            kind::LEASE,
            Bytes::new(),
            limit,
        );
        let granted = answer
            .await
            .ok()
            .and_then(|answer| WireLease::decode(answer).ok());
        if let Some(lease) = granted.filter(|lease| lease.length_ms > 0) {
            let until = asked_at + Duration::from_millis(lease.length_ms);
            *shared.in_sync_until.lock() = Some(until);
        }
    }
}

/// Waits while the policy is strict and the mode in sync: then no mode is ever due. False: nobody will change that.
async fn worth_a_look(shared: &Shared) -> bool {
    let is_quiet =
        |now: &ModeNow| now.policy == Some(OnSiteLoss::Strict) && now.mode == Mode::InSync;
    let mut mode = shared.mode.subscribe();
    let waited = mode.wait_for(|now| !is_quiet(now)).await;
    waited.is_ok()
}

fn close_leases(shared: &Shared, leads_since: Instant) -> bool {
    let closed = shared.leases.lock().close(leads_since, Instant::now());
    #[cfg(any(test, feature = "testing"))]
    if shared.twin == Some(crate::node::Twin::DegradeWithoutLease) {
        return true;
    }
    closed
}

fn leases_are_over(shared: &Shared, leads_since: Instant) -> bool {
    #[cfg(any(test, feature = "testing"))]
    if shared.twin == Some(crate::node::Twin::DegradeWithoutLease) {
        return true;
    }
    shared.leases.lock().are_over(leads_since, Instant::now())
}

fn situation(shared: &Shared, metrics: &Metrics, leads_since: Instant) -> Option<Situation> {
    let flushed = shared.journal.flushed(shared.shard);
    let members = mark::durables(metrics, shared.own, flushed.map(|flushed| flushed.index));
    let members: Vec<mark::Durable> = members.into_iter().map(|(_, durable)| durable).collect();
    if members.iter().all(|member| member.site == members[0].site) {
        return None;
    }
    let in_two = mark::durable_in_two_sites(&members).map_or(0, |upto| upto.0 + 1);
    let last = metrics.last_log_index.map_or(0, |last| last + 1);
    Some(Situation {
        policy: shared.policy(),
        now: shared.mode.borrow().mode,
        second_site_is_heard: gate::has_second_site(shared, metrics),
        leases_are_over: leases_are_over(shared, leads_since),
        behind: last.saturating_sub(in_two),
    })
}
