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
    AckVoteAfterOneCopy,
}

impl Twin {
    pub const ALL: [(&'static str, Twin); 7] = [
        ("ack-before-flush", Twin::AckBeforeFlush),
        ("skip-site-gate", Twin::SkipSiteGate),
        ("mark-ahead-of-flush", Twin::MarkAheadOfFlush),
        ("leader-restore", Twin::LeaderRestore),
        ("stale-reads", Twin::StaleReads),
        ("degrade-without-lease", Twin::DegradeWithoutLease),
        ("ack-vote-after-one-copy", Twin::AckVoteAfterOneCopy),
    ];

    pub fn of_journal(self) -> Option<raft_log::Twin> {
        match self {
            Twin::AckBeforeFlush => Some(raft_log::Twin::FlushLate),
            Twin::AckVoteAfterOneCopy => Some(raft_log::Twin::AckVoteAfterOneCopy),
            _ => None,
        }
    }

    pub fn of_node(self) -> Option<raft_node::Twin> {
        match self {
            Twin::SkipSiteGate => Some(raft_node::Twin::SkipSiteGate),
            Twin::MarkAheadOfFlush => Some(raft_node::Twin::MarkAheadOfFlush),
            Twin::LeaderRestore => Some(raft_node::Twin::LeaderRestore),
            Twin::StaleReads => Some(raft_node::Twin::StaleReads),
            Twin::DegradeWithoutLease => Some(raft_node::Twin::DegradeWithoutLease),
            Twin::AckBeforeFlush | Twin::AckVoteAfterOneCopy => None,
        }
    }
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
