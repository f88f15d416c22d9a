//! Flushes per delivery, counted from outside, not by our own trait: by strace, which slows the server down, and by the
//! kernel's own counters (`perf stat`), which do not.

use crate::lmtp;
use crate::peers::{Peer, PeerKind};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const CALLS: &str = "fsync,fdatasync,sync_file_range,syncfs,msync";

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    Strace,
    Kernel,
}

impl Counter {
    pub const ALL: [Counter; 2] = [Counter::Strace, Counter::Kernel];

    pub fn name(self) -> &'static str {
        match self {
            Counter::Strace => "strace",
            Counter::Kernel => "kernel",
        }
    }
}

pub struct Counted {
    pub kind: PeerKind,
    pub counter: Counter,
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
    counter: Counter,
    kind: PeerKind,
    gotthard: &Path,
    connections: usize,
    messages: &[Vec<u8>],
    time: Duration,
) -> Result<Counted> {
    let folder = tempfile::tempdir()?;
    let trace = folder.path().join("trace");
    let traced = (counter == Counter::Strace).then_some(trace.as_path());
    let peer = Peer::start(kind, gotthard, traced)
        .context("is strace installed? apt-get install strace")?;
    let counting = match counter {
        Counter::Strace => None,
        Counter::Kernel => Some(Stat::start(&peer.pids()?)?),
    };
    let begin = unix_seconds();
    let run = lmtp::drive(&peer.addresses, peer.writers(), connections, messages, time);
    let end = unix_seconds();
    let counted = counting.map(Stat::end).transpose()?;
    drop(peer);
    if run.operations == 0 {
        bail!("{} took nothing: {:?}", kind.name(), run.first_error);
    }
    Ok(Counted {
        kind,
        counter,
        connections,
        deliveries: run.operations,
        flushes: match counted {
            Some(counted) => counted,
            None => calls(&fs::read_to_string(&trace)?, begin, end),
        },
        seconds: run.elapsed.as_secs_f64(),
    })
}

/// `perf stat` of running processes and of those that they start.
struct Stat(Child);

impl Stat {
    fn start(pids: &[u32]) -> Result<Stat> {
        let events: Vec<String> = CALLS
            .split(',')
            .map(|call| format!("syscalls:sys_enter_{call}"))
            .collect();
        let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
        let mut perf = Command::new("perf");
        perf.args([
            "stat",
            "-x",
            ";",
            "-e",
            &events.join(","),
            "-p",
            &pids.join(","),
        ]);
        perf.stdout(Stdio::null()).stderr(Stdio::piped());
        let child = perf
            .spawn()
            .context("is perf installed? apt-get install linux-perf")?;
        // It tells nobody when it has begun to count.
        std::thread::sleep(Duration::from_millis(500));
        Ok(Stat(child))
    }

    fn end(self) -> Result<u64> {
        let pid = self.0.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status()?;
        let output = self.0.wait_with_output()?;
        counts(&String::from_utf8_lossy(&output.stderr))
    }
}

/// The sum of the first columns of `perf stat -x ;`.
fn counts(table: &str) -> Result<u64> {
    let rows = table.lines().filter(|line| line.contains("sys_enter_"));
    let counts: Vec<u64> = rows
        .map(|row| row.split(';').next().unwrap_or_default().parse())
        .collect::<Result<_, _>>()
        .with_context(|| format!("perf stat: {table}"))?;
    if counts.is_empty() {
        bail!("perf stat counted nothing: {table}");
    }
    Ok(counts.iter().sum())
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
    use super::{calls, counts};

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

    #[test]
    fn what_the_kernel_counts_is_summed() {
        let table = "12;;syscalls:sys_enter_fsync;5;100.00;;\n30;;syscalls:sys_enter_fdatasync;5;100.00;;\n";
        assert_eq!(counts(table).unwrap(), 42);
        for bad in ["", "<not supported>;;syscalls:sys_enter_fsync;0;100.00;;\n"] {
            assert!(counts(bad).is_err(), "{bad}");
        }
    }
}
