//! Flushes per delivery, counted by strace from outside, not by our own trait.

use crate::lmtp;
use crate::peers::{Peer, PeerKind};
use anyhow::{Context, Result, bail};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

const CALLS: &str = "fsync,fdatasync,sync_file_range,syncfs,msync";

pub struct Counted {
    pub kind: PeerKind,
    pub connections: usize,
    pub deliveries: u64,
    pub flushes: u64,
}

pub fn count(
    kind: PeerKind,
    gotthard: &Path,
    connections: usize,
    messages: &[Vec<u8>],
    time: Duration,
) -> Result<Counted> {
    let peer = Peer::start(kind, gotthard)?;
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-e", &format!("trace={CALLS}")]);
    for pid in peer.pids()? {
        strace.args(["-p", &pid.to_string()]);
    }
    let mut strace = strace
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("strace cannot be started: apt-get install strace")?;
    // It attaches to each thread before it counts; what is delivered meanwhile would not be seen.
    thread::sleep(Duration::from_secs(2));
    let run = lmtp::drive(&peer.addresses, peer.writers(), connections, messages, time);
    let pid = rustix::process::Pid::from_raw(strace.id() as i32);
    let pid = pid.context("strace has no pid")?;
    rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
    let mut text = String::new();
    if let Some(stderr) = &mut strace.stderr {
        stderr.read_to_string(&mut text)?;
    }
    strace.wait()?;
    if run.operations == 0 {
        bail!("{} took nothing: {:?}", kind.name(), run.first_error);
    }
    Ok(Counted {
        kind,
        connections,
        deliveries: run.operations,
        flushes: sum(&text),
    })
}

/// The fourth column of strace's summary (`% time, seconds, usecs/call, calls, …, syscall`), without its total.
fn sum(summary: &str) -> u64 {
    let rows = summary.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let name = words.last()?;
        CALLS.split(',').any(|call| call == *name).then_some(())?;
        words.get(3)?.parse::<u64>().ok()
    });
    rows.sum()
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn calls_are_summed() {
        let text = "% time     seconds  usecs/call     calls    errors syscall\n\
                    ------ ----------- ----------- --------- --------- ----------------\n\
                     98.00    0.001234          12       103           fdatasync\n\
                      2.00    0.000034          12         4         1 fsync\n\
                    100.00    0.001268          11       107         1 total\n";
        assert_eq!(sum(text), 107);
    }
}
