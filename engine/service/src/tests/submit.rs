//! Promise P8: a refusal is true, and once a try may come to be, nothing but its outcome ends the uncertainty.

use crate::Refusal;
use crate::submit::Tries;
use raft_api::{ProposeError, Refused};

const NOT_LEADER: ProposeError = ProposeError::NotLeader { leader: None };
const DISK_FULL: ProposeError = ProposeError::Refused(Refused::DiskFull);
const TOO_BUSY: ProposeError = ProposeError::Refused(Refused::TooBusy);
const MALFORMED: ProposeError = ProposeError::Refused(Refused::Malformed);

/// The errors in order, then the end of the time.
#[track_caller]
fn check(errors: &[ProposeError], expect: &str) {
    let mut tries = Tries::default();
    let answer = errors
        .iter()
        .find_map(|error| tries.failed(error.clone()).err())
        .unwrap_or_else(|| tries.give_up());
    let shown = match answer {
        Refusal::OutcomeUnknown => "unknown".to_owned(),
        other => other.to_string(),
    };
    assert_eq!(shown, expect, "{errors:?}");
}

#[test]
fn once_proposed_nothing_is_refused() {
    check(&[ProposeError::Unknown], "unknown");
    check(&[ProposeError::Unknown, NOT_LEADER], "unknown");
    check(&[ProposeError::Unknown, DISK_FULL], "unknown");
    check(&[ProposeError::Unknown, MALFORMED], "unknown");
    check(
        &[
            ProposeError::SiteGateClosed,
            ProposeError::Unknown,
            TOO_BUSY,
        ],
        "unknown",
    );
}

#[test]
fn refusals_before_that_are_true() {
    check(
        &[NOT_LEADER],
        "temporarily unavailable: the shard has no leader now",
    );
    check(
        &[NOT_LEADER, ProposeError::SiteGateClosed],
        "temporarily unavailable: a second site cannot be reached",
    );
    check(
        &[ProposeError::NoQuorum],
        "temporarily unavailable: no majority can be reached",
    );
    check(
        &[TOO_BUSY],
        "temporarily unavailable: the server is too busy",
    );
    check(
        &[TOO_BUSY, DISK_FULL],
        "temporarily unavailable: the disk is full",
    );
    check(
        &[MALFORMED],
        "invalid: the leader does not take this change",
    );
}
