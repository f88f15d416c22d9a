//! A build with the feature `twins` breaks the rule that `GOTTHARD_TWIN` names, in all of its process, to prove that trials see
//! it. It says so at each start.

use anyhow::{Result, bail};

const VARIABLE: &str = "GOTTHARD_TWIN";

pub fn break_on_purpose() -> Result<()> {
    use engine_domain::twin::Twin as Fold;
    use raft_log::Twin as Log;
    use raft_node::Twin as Node;
    let Ok(name) = std::env::var(VARIABLE) else {
        return Ok(());
    };
    match &*name {
        "ack-before-flush" => raft_log::break_everywhere(Log::FlushLate),
        "skip-site-gate" => raft_node::break_everywhere(Node::SkipSiteGate),
        "mark-ahead-of-flush" => raft_node::break_everywhere(Node::MarkAheadOfFlush),
        "leader-restore" => raft_node::break_everywhere(Node::LeaderRestore),
        "stale-reads" => raft_node::break_everywhere(Node::StaleReads),
        "degrade-without-lease" => raft_node::break_everywhere(Node::DegradeWithoutLease),
        "reuse-uid" => engine_domain::twin::break_everywhere(Fold::ReuseUid),
        "apply-twice" => engine_domain::twin::break_everywhere(Fold::ApplyTwice),
        other => bail!("{VARIABLE}={other}: there is no such twin"),
    }
    eprintln!("gotthard: this build breaks a rule on purpose: {name}");
    Ok(())
}
