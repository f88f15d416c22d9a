//! What processes have used, by the kernel's account: CPU milliseconds and bytes written to the disk.

use std::fs;

#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub cpu_ms: u64,
    pub written: u64,
}

/// USER_HZ is 100 on every Linux that we measure on (proc(5)).
const MS_PER_TICK: u64 = 10;

/// The sum over processes and over their children that were waited for. Processes that are gone count nothing.
pub fn of(pids: &[u32]) -> Usage {
    let mut sum = Usage::default();
    for pid in pids {
        if let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) {
            // Fields 14 to 17 of proc(5), counted behind the command's closing parenthesis.
            let ticks: u64 = stat
                .rsplit_once(')')
                .map_or("", |(_, rest)| rest)
                .split_ascii_whitespace()
                .skip(11)
                .take(4)
                .filter_map(|field| field.parse::<u64>().ok())
                .sum();
            sum.cpu_ms += ticks * MS_PER_TICK;
        }
        if let Ok(io) = fs::read_to_string(format!("/proc/{pid}/io")) {
            let written = io
                .lines()
                .find_map(|line| line.strip_prefix("write_bytes: "))
                .and_then(|n| n.parse::<u64>().ok());
            sum.written += written.unwrap_or(0);
        }
    }
    sum
}

/// Proportional set size of them all: shared pages are counted once. Processes that are gone count nothing.
pub fn pss_kib(pids: &[u32]) -> u64 {
    let each = pids.iter().filter_map(|pid| {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok()
    });
    each.sum()
}

/// `pid` and all that descend from it.
pub fn tree(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut at = 0;
    while at < found.len() {
        let path = format!("/proc/{0}/task/{0}/children", found[at]);
        let children = fs::read_to_string(path).unwrap_or_default();
        found.extend(
            children
                .split_ascii_whitespace()
                .filter_map(|n| n.parse::<u32>().ok()),
        );
        at += 1;
    }
    found
}
