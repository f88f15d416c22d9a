//! Medians of rounds as a Markdown table, with ratios to Dovecot.

use crate::peers::PeerKind;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

#[derive(Clone, Copy, Debug)]
pub struct Measured {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub worst_ms: f64,
    pub cpu_ms: f64,
    pub written_per_byte: f64,
    pub failed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    Deliver,
    Store,
}

impl Workload {
    /// In this order: flags need messages.
    pub const ALL: [Workload; 2] = [Workload::Deliver, Workload::Store];

    pub fn name(self) -> &'static str {
        match self {
            Workload::Deliver => "LMTP deliveries",
            Workload::Store => "IMAP flag changes",
        }
    }
}

pub struct Cell {
    workload: Workload,
    kind: PeerKind,
    connections: usize,
    rounds: Vec<Measured>,
}

pub fn add(
    cells: &mut Vec<Cell>,
    workload: Workload,
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

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

impl Cell {
    fn median(&self, field: impl Fn(&Measured) -> f64) -> f64 {
        median(self.rounds.iter().map(field))
    }
}

pub fn markdown(cells: &[Cell], corpus: &Path, rounds: usize, seconds: u64) -> String {
    let mut out = String::from("# Deliveries and flag changes beside Dovecot\n\n");
    let commit = first_line(Command::new("git").args(["rev-parse", "--short", "HEAD"]));
    let kernel = first_line(Command::new("uname").arg("-r"));
    let cores = std::thread::available_parallelism().map_or(0, |n| n.get());
    let corpus = corpus
        .file_name()
        .and_then(|n| n.to_str())
        .unwrap_or("corpus");
    let _ = writeln!(
        out,
        "Commit {commit}, Linux {kernel}, {cores} cores, loopback; corpus `{corpus}`; {rounds} rounds in turn, {seconds} s a cell, medians.\n\
         Dovecot: mdbox, `mail_fsync=always`. Command: `cargo xtask bench`.\n"
    );
    for workload in Workload::ALL {
        let _ = writeln!(out, "## {}\n", workload.name());
        out.push_str("| system | connections | per second | × Dovecot | p50 ms | p99 ms | worst ms | server CPU ms each | written/byte | failed |\n");
        out.push_str("|---|---|---|---|---|---|---|---|---|---|\n");
        for cell in cells.iter().filter(|cell| cell.workload == workload) {
            let rate = cell.median(|m| m.per_second);
            let dovecot = cells.iter().find(|c| {
                c.kind == PeerKind::Dovecot
                    && c.workload == workload
                    && c.connections == cell.connections
            });
            let ratio = dovecot.map_or("–".to_owned(), |d| {
                format!("{:.1}", rate / d.median(|m| m.per_second))
            });
            let written = match workload {
                Workload::Deliver => format!("{:.2}", cell.median(|m| m.written_per_byte)),
                Workload::Store => "–".to_owned(),
            };
            let failed: u64 = cell.rounds.iter().map(|m| m.failed).sum();
            let _ = writeln!(
                out,
                "| {} | {} | {:.0} | {ratio} | {:.2} | {:.1} | {:.0} | {:.2} | {} | {failed} |",
                cell.kind.name(),
                cell.connections,
                rate,
                cell.median(|m| m.p50_ms),
                cell.median(|m| m.p99_ms),
                cell.median(|m| m.worst_ms),
                cell.median(|m| m.cpu_ms),
                written,
            );
        }
        out.push('\n');
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
    use super::percentile;

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
