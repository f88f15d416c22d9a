//! How many compilers run at once.

use std::fs;
use std::thread;

use crate::limits::COMPILER_MIB_PER_JOB;

/// As many compilers as there are cores, and as memory allows.
pub fn at_once() -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let available_mib = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| available_mib(&text));
    let by_memory = available_mib.map_or(cores, |mib| (mib / COMPILER_MIB_PER_JOB) as usize);
    cores.min(by_memory).max(1)
}

fn available_mib(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_meminfo() {
        let check =
            |text: &str, expect: Option<u64>| assert_eq!(available_mib(text), expect, "{text}");
        check("MemTotal: 5 kB\nMemAvailable:   4194304 kB\n", Some(4096));
        check("MemTotal: 5 kB\n", None);
        check("MemAvailable: many\n", None);
    }
}
