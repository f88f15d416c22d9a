//! Flushes per delivery, counted by strace from outside, not by our own trait.

use crate::lmtp;
use crate::peers::{Peer, PeerKind};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const CALLS: &str = "fsync,fdatasync,sync_file_range,syncfs,msync";

pub struct Counted {
    pub kind: PeerKind,
    pub connections: usize,
    pub deliveries: u64,
    pub flushes: u64,
    pub seconds: f64,
}

/// The same command under strace, from its start: only then can it leave all other calls alone (`--seccomp-bpf`).
/// Attached to a process it stops every call, and a server that is slowed down so much gathers no batches.
pub fn traced(command: &Command, trace: &Path) -> Command {
    let mut strace = Command::new("strace");
    strace
        .args([
            "-f",
            "--seccomp-bpf",
            "-ttt",
            "-qq",
            "-e",
            "signal=none",
            "-e",
        ])
        .arg(format!("trace={CALLS}"))
        .arg("-o")
        .arg(trace)
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        strace.env(name, value.unwrap_or_default());
    }
    strace
}

pub fn count(
    kind: PeerKind,
    gotthard: &Path,
    connections: usize,
    messages: &[Vec<u8>],
    time: Duration,
) -> Result<Counted> {
    let folder = tempfile::tempdir()?;
    let trace = folder.path().join("trace");
    let peer = Peer::start(kind, gotthard, Some(&trace))
        .context("is strace installed? apt-get install strace")?;
    let begin = unix_seconds();
    let run = lmtp::drive(&peer.addresses, peer.writers(), connections, messages, time);
    let end = unix_seconds();
    drop(peer);
    if run.operations == 0 {
        bail!("{} took nothing: {:?}", kind.name(), run.first_error);
    }
    Ok(Counted {
        kind,
        connections,
        deliveries: run.operations,
        flushes: calls(&fs::read_to_string(&trace)?, begin, end),
        seconds: run.elapsed.as_secs_f64(),
    })
}

fn unix_seconds() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64()
}

/// Calls that began between the two times. A line: `PID SECONDS fdatasync(7) = 0`; a call that was interrupted by
/// another thread's has a second line, `… <... fdatasync resumed>) = 0`, which is not counted.
fn calls(trace: &str, begin: f64, end: f64) -> u64 {
    let began = trace.lines().filter(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let at = words.next().and_then(|word| word.parse::<f64>().ok());
        let call = words.next().and_then(|word| word.split_once('('));
        at.is_some_and(|at| (begin..end).contains(&at))
            && call.is_some_and(|(name, _)| CALLS.split(',').any(|known| known == name))
    });
    began.count() as u64
}

#[cfg(test)]
mod tests {
    use super::calls;

    #[test]
    fn calls_are_counted_once_and_only_within_the_time() {
        let trace = "41 100.100000 fdatasync(7) = 0\n\
                     41 101.100000 fdatasync(7 <unfinished ...>\n\
                     42 101.200000 fsync(9) = 0\n\
                     41 101.300000 <... fdatasync resumed>) = 0\n\
                     42 101.400000 +++ exited with 0 +++\n\
                     42 103.000000 fsync(9) = 0\n";
        let check = |begin, end, expect| assert_eq!(calls(trace, begin, end), expect);
        check(101.0, 102.0, 2);
        check(0.0, 200.0, 4);
        check(200.0, 300.0, 0);
    }
}
