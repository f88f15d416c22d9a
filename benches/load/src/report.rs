//! Medians of rounds as Markdown tables, with ratios to Dovecot.

use crate::flushes::Counted;
use crate::lmtp::Run;
use crate::peers::PeerKind;
use crate::settled::Settled;
use crate::work::Row;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

#[derive(Clone, Copy, Debug)]
pub struct Measured {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub worst_ms: f64,
    /// The longest time in which no connection was answered.
    pub pause_ms: f64,
    pub cpu_ms: f64,
    pub written_per_byte: f64,
    pub failed: u64,
}

pub struct Cell {
    /// Its row's name.
    workload: &'static str,
    kind: PeerKind,
    connections: usize,
    rounds: Vec<Measured>,
}

pub fn add(
    cells: &mut Vec<Cell>,
    workload: &'static str,
    kind: PeerKind,
    connections: usize,
    measured: Measured,
) {
    let same = |cell: &&mut Cell| {
        cell.workload == workload && cell.kind == kind && cell.connections == connections
    };
    match cells.iter_mut().find(same) {
        Some(cell) => cell.rounds.push(measured),
        None => cells.push(Cell {
            workload,
            kind,
            connections,
            rounds: vec![measured],
        }),
    }
}

/// The smallest value with at least `percent` of all at or below it; 0 of nothing. `sorted` ascends.
pub fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

/// Between two turns that ended one after the other, over all connections.
pub fn worst_pause_ms(run: &Run) -> u64 {
    let gaps = run.ended.windows(2).map(|pair| pair[1] - pair[0]);
    gaps.max().map_or(0, |gap| gap.as_millis() as u64)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

impl Measured {
    /// For people who wait.
    pub fn line(&self) -> String {
        format!(
            "{:.0}/s, p50 {:.2} ms, CPU {:.3} ms each, {} failed",
            self.per_second, self.p50_ms, self.cpu_ms, self.failed
        )
    }
}

impl Cell {
    fn median(&self, field: impl Fn(&Measured) -> f64) -> f64 {
        median(self.rounds.iter().map(field))
    }
}

/// What was measured, where, and how to do it again.
pub fn head(corpus: &Path) -> String {
    let commit = first_line(Command::new("git").args(["rev-parse", "--short", "HEAD"]));
    let kernel = first_line(Command::new("uname").arg("-r"));
    let cores = std::thread::available_parallelism().map_or(0, |n| n.get());
    let corpus = corpus
        .file_name()
        .and_then(|n| n.to_str())
        .unwrap_or("corpus");
    format!(
        "# Gotthard beside Dovecot\n\nCommit {commit}, Linux {kernel}, {cores} cores, loopback; corpus `{corpus}`. \
         Dovecot: mdbox, `mail_fsync=always`. Command: `cargo xtask bench -- {}`.\n\n",
        command_line(std::env::args().skip(1))
    )
}

/// As anyone may type it: without this machine's folders, and without where the report goes.
fn command_line(mut args: impl Iterator<Item = String>) -> String {
    let mut out = Vec::new();
    while let Some(arg) = args.next() {
        if arg == "--out" || arg == "--gotthard" {
            args.next();
            continue;
        }
        let name = Path::new(&arg).file_name().and_then(|n| n.to_str());
        out.push(match (arg.starts_with('/'), name) {
            (true, Some(name)) => name.to_owned(),
            _ => arg,
        });
    }
    out.join(" ")
}

pub fn tables(cells: &[Cell], rows: &[&Row], rounds: usize, seconds: u64) -> String {
    let mut out = format!("{rounds} rounds in turn, {seconds} s a cell, medians.\n\n");
    for row in rows {
        let _ = writeln!(out, "## {}\n", row.title);
        out.push_str("| system | connections | per second | × Dovecot | p50 ms | p99 ms | worst ms | longest pause ms | server CPU ms each | written/byte | failed |\n");
        out.push_str("|---|---|---|---|---|---|---|---|---|---|---|\n");
        for cell in cells.iter().filter(|cell| cell.workload == row.name) {
            line(&mut out, cell, cells, row);
        }
        out.push('\n');
    }
    out
}

fn line(out: &mut String, cell: &Cell, cells: &[Cell], row: &Row) {
    let rate = cell.median(|m| m.per_second);
    let dovecot = cells.iter().find(|c| {
        c.kind == PeerKind::Dovecot && c.workload == row.name && c.connections == cell.connections
    });
    let ratio = dovecot.map_or("–".to_owned(), |d| {
        format!("{:.1}", rate / d.median(|m| m.per_second))
    });
    let written = match row.writes {
        true => format!("{:.2}", cell.median(|m| m.written_per_byte)),
        false => "–".to_owned(),
    };
    let failed: u64 = cell.rounds.iter().map(|m| m.failed).sum();
    let _ = writeln!(
        out,
        "| {} | {} | {:.0} | {ratio} | {:.2} | {:.1} | {:.0} | {:.0} | {:.3} | {} | {failed} |",
        cell.kind.name(),
        cell.connections,
        rate,
        cell.median(|m| m.p50_ms),
        cell.median(|m| m.p99_ms),
        cell.median(|m| m.worst_ms),
        cell.median(|m| m.pause_ms),
        cell.median(|m| m.cpu_ms),
        written,
    );
}

pub fn flushes(counted: &[Counted]) -> String {
    let mut out = String::from(
        "Calls that flush, of all server processes while deliveries run. strace: `-f --seccomp-bpf`, which slows a \
         server of threads down to a quarter. strace, those that flush: attached to the threads alone that flushed under the \
         first. kernel: `perf stat` on the system calls' trace points, which does not.\n\n\
         | system | counter | connections | deliveries/s | flushes/s | flushes per delivery | … and node |\n|---|---|---|---|---|---|---|\n",
    );
    for count in counted {
        let each = count.flushes as f64 / count.deliveries as f64;
        let _ = writeln!(
            out,
            "| {} | {} | {} | {:.0} | {:.0} | {each:.3} | {:.3} |",
            count.kind.name(),
            count.counter.name(),
            count.connections,
            count.deliveries as f64 / count.seconds,
            count.flushes as f64 / count.seconds,
            each / count.kind.replicas() as f64,
        );
    }
    out
}

pub fn settled(all: &[Settled]) -> String {
    let mut out = String::from(
        "64 connections; then nothing, until less than 1 MiB was written in 10 s. Written: by the processes' own account \
         (`/proc/PID/io`). At rest: all files, log and views included, less what was there before the first message, \
         and without the zeros at the ends of files (room that is preallocated, the same whatever the store holds). \
         Memory: PSS of all processes at the end.\n\n\
         | system | MB of mail | messages | per second | longest pause ms | written per byte | … and replica | at rest per byte | … and replica | … with preallocated room | memory MiB per replica |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in all {
        let (bytes, replicas) = (row.bytes as f64, row.kind.replicas() as f64);
        let written = row.written as f64 / bytes;
        let (at_rest, blocks) = (
            row.at_rest.filled as f64 / bytes,
            row.at_rest.blocks as f64 / bytes,
        );
        let _ = writeln!(
            out,
            "| {} | {} | {} | {:.0} | {} | {written:.2} | {:.2} | {at_rest:.3} | {:.3} | {:.3} | {:.0} |",
            row.kind.name(),
            row.bytes >> 20,
            row.messages,
            row.messages as f64 / row.seconds,
            row.worst_pause_ms,
            written / replicas,
            at_rest / replicas,
            blocks / replicas,
            row.memory_kib as f64 / 1024.0 / replicas,
        );
    }
    out
}

fn first_line(command: &mut Command) -> String {
    let output = command
        .output()
        .map(|o| String::from_utf8_lossy(&o.stdout).into_owned())
        .unwrap_or_default();
    output.lines().next().unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::{command_line, percentile};

    #[test]
    fn commands_name_no_folders() {
        let check = |given: &str, expect| {
            assert_eq!(command_line(given.split(' ').map(str::to_owned)), expect);
        };
        check("--rounds 3 --out /a/b.md", "--rounds 3");
        check(
            "--corpus /a/corpus-mix --flushes",
            "--corpus corpus-mix --flushes",
        );
    }

    #[test]
    fn percentiles() {
        let values: Vec<u64> = (1..=200).collect();
        let check = |percent, expect| assert_eq!(percentile(&values, percent), expect);
        check(50, 100);
        check(99, 198);
        check(100, 200);
        assert_eq!(percentile(&[], 50), 0);
        assert_eq!(percentile(&[7], 1), 7);
    }
}
