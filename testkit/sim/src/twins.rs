//! Builds that break one rule, and the checker that owns the rule.

use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twin {
    AckBeforeFlush,
    SkipSiteGate,
    MarkAheadOfFlush,
    LeaderRestore,
    StaleReads,
    DegradeWithoutLease,
    ReuseUid,
    ApplyTwice,
    TrustTornFrame,
}

impl Twin {
    pub const ALL: [(&'static str, Twin); 9] = [
        ("ack-before-flush", Twin::AckBeforeFlush),
        ("skip-site-gate", Twin::SkipSiteGate),
        ("mark-ahead-of-flush", Twin::MarkAheadOfFlush),
        ("leader-restore", Twin::LeaderRestore),
        ("stale-reads", Twin::StaleReads),
        ("degrade-without-lease", Twin::DegradeWithoutLease),
        ("reuse-uid", Twin::ReuseUid),
        ("apply-twice", Twin::ApplyTwice),
        ("trust-torn-frame", Twin::TrustTornFrame),
    ];

    /// The checkers that own the rule which it breaks.
    pub fn owners(self) -> &'static [&'static str] {
        match self {
            // What was shown and is gone comes back as another message under its UID.
            Twin::AckBeforeFlush => &["lost", "stale", "two-sites", "stopped", "taken-back"],
            Twin::SkipSiteGate => &["two-sites"],
            // Views that the journal does not hold: the node does not start.
            Twin::MarkAheadOfFlush => &["stopped", "lost"],
            Twin::LeaderRestore => &["stale", "lost", "digest", "taken-back"],
            Twin::StaleReads => &["stale", "backwards"],
            Twin::DegradeWithoutLease => &["lease"],
            Twin::ReuseUid => &["taken-back"],
            Twin::ApplyTwice => &["twice", "digest", "lost", "stale"],
            Twin::TrustTornFrame => &["lost", "stale", "digest", "taken-back", "stopped"],
        }
    }

    pub fn of_journal(self) -> Option<raft_log::Twin> {
        (self == Twin::AckBeforeFlush).then_some(raft_log::Twin::FlushLate)
    }

    fn of_node(self) -> Option<raft_node::Twin> {
        match self {
            Twin::SkipSiteGate => Some(raft_node::Twin::SkipSiteGate),
            Twin::MarkAheadOfFlush => Some(raft_node::Twin::MarkAheadOfFlush),
            Twin::LeaderRestore => Some(raft_node::Twin::LeaderRestore),
            Twin::StaleReads => Some(raft_node::Twin::StaleReads),
            Twin::DegradeWithoutLease => Some(raft_node::Twin::DegradeWithoutLease),
            _ => None,
        }
    }

    fn of_fold(self) -> Option<engine_domain::twin::Twin> {
        match self {
            Twin::ReuseUid => Some(engine_domain::twin::Twin::ReuseUid),
            Twin::ApplyTwice => Some(engine_domain::twin::Twin::ApplyTwice),
            _ => None,
        }
    }
}

/// What a run's thread breaks, until the next call.
pub fn break_on_purpose(twin: Option<Twin>) {
    raft_node::break_on_purpose(twin.and_then(Twin::of_node));
    engine_domain::twin::break_on_purpose(twin.and_then(Twin::of_fold));
    raft_log::faulty_disk::trust_torn_frames(twin == Some(Twin::TrustTornFrame));
}

impl FromStr for Twin {
    type Err = String;

    fn from_str(text: &str) -> Result<Twin, String> {
        let found = Twin::ALL.iter().find(|(name, _)| *name == text);
        found.map(|(_, twin)| *twin).ok_or_else(|| {
            let names: Vec<&str> = Twin::ALL.iter().map(|(name, _)| *name).collect();
            format!("no such twin; there are {}", names.join(", "))
        })
    }
}
