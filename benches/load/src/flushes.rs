//! Flushes per delivery, counted from outside, not by our own trait: by strace on all threads, which slows the server
//! down; by strace on those threads alone that were then seen to flush, which hardly does; and by the kernel's own counters
//! (`perf stat`), which do not.

use crate::lmtp;
use crate::peers::{Peer, PeerKind};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const CALLS: &str = "fsync,fdatasync,sync_file_range,syncfs,msync";

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    Strace,
    /// On the threads with the names that flushed under `Strace`.
    StraceThose,
    Kernel,
}

impl Counter {
    pub const ALL: [Counter; 3] = [Counter::Strace, Counter::StraceThose, Counter::Kernel];

    pub fn name(self) -> &'static str {
        match self {
            Counter::Strace => "strace",
            Counter::StraceThose => "strace, those that flush",
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
    /// Names of the threads that flush, where threads were told apart.
    pub names: BTreeSet<String>,
}

/// The same command under strace, from its start: only then can it leave all other calls alone (`--seccomp-bpf`). That
/// holds for processes; strace 6.1 stops every call of a thread that is started under it, and a server that is slowed down
/// so much gathers no batches.
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
    flushing: &BTreeSet<String>,
) -> Result<Counted> {
    let folder = tempfile::tempdir()?;
    let trace = folder.path().join("trace");
    let traced = (counter == Counter::Strace).then_some(trace.as_path());
    let peer = Peer::start(kind, gotthard, traced)
        .context("is strace installed? apt-get install strace")?;
    let counting = match counter {
        Counter::Strace => None,
        Counter::StraceThose => Some(Counting::strace(&peer.pids()?, flushing, &trace)?),
        Counter::Kernel => Some(Counting::perf(&peer.pids()?)?),
    };
    let begin = unix_seconds();
    let run = lmtp::drive(&peer.addresses, peer.writers(), connections, messages, time);
    let end = unix_seconds();
    let table = counting.map(Counting::end).transpose()?;
    let trace = fs::read_to_string(&trace).unwrap_or_default();
    let names = match counter {
        Counter::Strace => names_of(&peer.pids()?, &trace),
        _ => BTreeSet::new(),
    };
    drop(peer);
    if run.operations == 0 {
        bail!("{} took nothing: {:?}", kind.name(), run.first_error);
    }
    Ok(Counted {
        kind,
        counter,
        connections,
        deliveries: run.operations,
        flushes: match counter {
            Counter::Kernel => counts(&table.unwrap_or_default())?,
            _ => calls(&trace, begin, end),
        },
        seconds: run.elapsed.as_secs_f64(),
        names,
    })
}

/// All threads of these processes, with their names.
fn threads(pids: &[u32]) -> Vec<(String, String)> {
    let tasks = pids.iter().map(|pid| format!("/proc/{pid}/task"));
    let entries = tasks.filter_map(|tasks| fs::read_dir(tasks).ok()).flatten();
    let named = entries.flatten().filter_map(|task| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        let id = task.file_name().into_string().ok()?;
        Some((id, name.trim_end().to_owned()))
    });
    named.collect()
}

/// Names of the threads that flush in this trace. Threads that have ended are not found.
fn names_of(pids: &[u32], trace: &str) -> BTreeSet<String> {
    let flushing: BTreeSet<&str> = trace
        .lines()
        .filter(|line| call_of(line).is_some())
        .filter_map(|line| line.split_ascii_whitespace().next())
        .collect();
    let all = threads(pids).into_iter();
    all.filter(|(id, _)| flushing.contains(&id[..]))
        .map(|(_, name)| name)
        .collect()
}

/// Of running processes, beside them.
struct Counting(Child);

impl Counting {
    /// Attached to the threads with these names; their calls go to `trace`.
    fn strace(pids: &[u32], names: &BTreeSet<String>, trace: &Path) -> Result<Counting> {
        let mut strace = Command::new("strace");
        strace.args(["-ttt", "-qq", "-e", "signal=none", "-e"]);
        strace.arg(format!("trace={CALLS}")).arg("-o").arg(trace);
        let all = threads(pids);
        let those: Vec<&str> = all
            .iter()
            .filter(|(_, name)| names.contains(name))
            .map(|(id, _)| &id[..])
            .collect();
        if those.is_empty() {
            bail!("none of the threads {names:?} is there");
        }
        for id in those {
            strace.args(["-p", id]);
        }
        let child = strace.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        Counting::begun(child.context("is strace installed? apt-get install strace")?)
    }

    /// `perf stat`, with the processes that they start.
    fn perf(pids: &[u32]) -> Result<Counting> {
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
        Counting::begun(child)
    }

    /// It tells nobody when it has begun to count.
    fn begun(child: Child) -> Result<Counting> {
        std::thread::sleep(Duration::from_millis(500));
        Ok(Counting(child))
    }

    /// What it said.
    fn end(self) -> Result<String> {
        let pid = self.0.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status()?;
        let output = self.0.wait_with_output()?;
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
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

/// Calls that began between the two times.
fn calls(trace: &str, begin: f64, end: f64) -> u64 {
    let began = trace
        .lines()
        .filter(|line| call_of(line).is_some_and(|at| (begin..end).contains(&at)));
    began.count() as u64
}

/// When the call of this line began: `PID SECONDS fdatasync(7) = 0`, without the PID where one thread is traced. A call
/// that was interrupted by another thread's has a second line, `… <... fdatasync resumed>) = 0`, which is not counted.
fn call_of(line: &str) -> Option<f64> {
    let (before, _) = line.split_once('(')?;
    let mut words = before.split_ascii_whitespace().rev();
    let name = words.next()?;
    let at = words.next()?.parse().ok()?;
    CALLS.split(',').any(|known| known == name).then_some(at)
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
                     103.000000 fsync(9) = 0\n";
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
