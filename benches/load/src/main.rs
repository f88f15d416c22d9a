//! The load driver: Gotthard (one node; three in two sites) and Dovecot in turn, in one run, over LMTP and IMAP.
//! Enters: a release binary and a corpus. Leaves: Markdown tables with ratios, CPU per operation, bytes written, pauses.
//! It must never know what it measures from inside: it speaks the clients' protocols, and reads the kernel's accounts.
//! Programs that it starts live in temporary folders and end with it.
//! Read first: `work/mod.rs`, then `peers.rs`.

mod flushes;
mod imap;
mod lmtp;
mod peers;
mod progress;
mod report;
mod settled;
mod usage;
mod work;

use anyhow::{Context, Result, bail};
use clap::Parser;
use clap::builder::PossibleValuesParser;
use flushes::Counter;
use peers::{Peer, PeerKind};
use progress::Progress;
use report::{Cell, Measured};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;
use work::{ROWS, Row, Setup, Unit};

#[derive(Parser)]
#[command(
    about = "Gotthard beside Dovecot in one run: rates, latency, CPU, bytes written, flushes, pauses"
)]
struct Cli {
    /// The release binary; `cargo xtask bench` sets it.
    #[arg(long, env = "GOTTHARD_BIN")]
    gotthard: PathBuf,
    /// A folder of .eml files: `cargo xtask corpus` makes one, `cargo xtask corpus --mix 2000` one with attachments.
    #[arg(long, default_value = "corpus")]
    corpus: PathBuf,
    /// Seconds for each cell.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Turns over all systems (A B C A B C …); medians are shown.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Client connections of deliveries, APPEND and flag changes.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64])]
    connections: Vec<usize>,
    /// Only these workloads.
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(ROWS.map(|row| row.name)))]
    only: Vec<String>,
    /// Instead: count flushes per delivery, with strace and by the kernel's counters.
    #[arg(long, conflicts_with = "settled_mb")]
    flushes: bool,
    /// Instead: deliver so many MB (Dovecot: an eighth) over 64 connections, wait until the disk is quiet, and tell what
    /// was written.
    #[arg(long)]
    settled_mb: Option<u64>,
    /// Also write the report here.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Messages held in memory; bounds the client.
const MESSAGES_MAX: usize = 10_000;

fn main() -> Result<()> {
    let cli = Cli::parse();
    let messages = load(&cli.corpus)?;
    let head = report::head(&cli.corpus);
    let body = if cli.flushes {
        count_flushes(&cli, &messages)?
    } else if let Some(megabytes) = cli.settled_mb {
        settle(&cli, &messages, megabytes << 20)?
    } else {
        measure_all(&cli, &messages)?
    };
    let text = format!("{}\n", (head + &body).trim_end());
    print!("{text}");
    if let Some(out) = &cli.out {
        std::fs::write(out, &text).with_context(|| format!("cannot write {}", out.display()))?;
    }
    Ok(())
}

fn measure_all(cli: &Cli, messages: &[Vec<u8>]) -> Result<String> {
    let wanted = |row: &&Row| cli.only.is_empty() || cli.only.iter().any(|name| name == row.name);
    let rows: Vec<&Row> = ROWS.iter().filter(wanted).collect();
    let plan: Vec<(&Row, usize)> = rows.iter().flat_map(|row| cases(cli, row)).collect();
    let mut progress = Progress::new(cli.rounds * PeerKind::ALL.len() * plan.len());
    let mut cells: Vec<Cell> = Vec::new();
    for round in 1..=cli.rounds {
        for kind in PeerKind::ALL {
            let peer = Peer::start(kind, &cli.gotthard, None)?;
            work::prepare(&peer, messages)?;
            for (row, connections) in &plan {
                let setup = Setup {
                    peer: &peer,
                    connections: *connections,
                    messages,
                    time: Duration::from_secs(cli.seconds),
                };
                let measured = measure(&setup, row)?;
                progress.step(&format!(
                    "round {round} of {}: {}, {}, {connections} connections: {}",
                    cli.rounds,
                    kind.name(),
                    row.name,
                    measured.line()
                ));
                report::add(&mut cells, row.name, kind, *connections, measured);
            }
        }
    }
    Ok(report::tables(&cells, &rows, cli.rounds, cli.seconds))
}

fn cases<'a>(cli: &'a Cli, row: &'a Row) -> impl Iterator<Item = (&'a Row, usize)> {
    let all = match &row.connections {
        Some(fixed) => std::slice::from_ref(fixed),
        None => &cli.connections,
    };
    all.iter().map(move |connections| (row, *connections))
}

fn count_flushes(cli: &Cli, messages: &[Vec<u8>]) -> Result<String> {
    let counters = Counter::ALL;
    let mut progress = Progress::new(PeerKind::ALL.len() * counters.len() * cli.connections.len());
    let mut counted = Vec::new();
    let mut names = BTreeSet::new();
    for counter in counters {
        for kind in PeerKind::ALL {
            // Its processes come and go: strace follows them all, and slows none of them down.
            if kind == PeerKind::Dovecot && counter == Counter::StraceThose {
                continue;
            }
            for connections in &cli.connections {
                let time = Duration::from_secs(cli.seconds);
                let gotthard = &cli.gotthard;
                let count = flushes::count(
                    counter,
                    kind,
                    gotthard,
                    *connections,
                    messages,
                    time,
                    &names,
                )?;
                if kind != PeerKind::Dovecot {
                    names.extend(count.names.iter().cloned());
                }
                progress.step(&format!(
                    "{}, {connections} connections, {}: {} flushes for {} deliveries",
                    kind.name(),
                    counter.name(),
                    count.flushes,
                    count.deliveries
                ));
                counted.push(count);
            }
        }
    }
    Ok(report::flushes(&counted))
}

fn settle(cli: &Cli, messages: &[Vec<u8>], bytes: u64) -> Result<String> {
    let mut progress = Progress::new(PeerKind::ALL.len());
    let mut all = Vec::new();
    for kind in PeerKind::ALL {
        // Its bytes per byte do not change with the amount, and its minutes do.
        let bytes = match kind {
            PeerKind::Dovecot => bytes / 8,
            PeerKind::OneNode | PeerKind::ThreeNodes => bytes,
        };
        let row = settled::deliver(kind, &cli.gotthard, messages, bytes)?;
        let (name, megabytes) = (kind.name(), row.bytes >> 20);
        progress.step(&format!("{name}: {megabytes} MB in {:.0} s", row.seconds));
        all.push(row);
    }
    Ok(report::settled(&all))
}

fn load(folder: &std::path::Path) -> Result<Vec<Vec<u8>>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| {
            format!(
                "no corpus at {}: run `cargo xtask corpus`",
                folder.display()
            )
        })?
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "eml"))
        .collect();
    paths.sort();
    paths.truncate(MESSAGES_MAX);
    if paths.is_empty() {
        bail!("{} holds no .eml files", folder.display());
    }
    paths
        .iter()
        .map(|path| Ok(lmtp::dot_stuffed(&std::fs::read(path)?)))
        .collect()
}

/// Dovecot's processes end with their connections, and one that ends while all are read would be counted nowhere.
const PROCESSES_END: Duration = Duration::from_millis(300);

fn usage_of(peer: &Peer) -> Result<usage::Usage> {
    // They are another program's children: there is no event to wait for.
    std::thread::sleep(PROCESSES_END);
    Ok(usage::of(&peer.pids()?))
}

fn measure(setup: &Setup<'_>, row: &Row) -> Result<Measured> {
    let peer = setup.peer;
    let before = usage_of(peer)?;
    let run = (row.run)(setup);
    let after = usage_of(peer)?;
    if run.operations == 0 {
        bail!("{} did nothing: {:?}", peer.kind.name(), run.first_error);
    }
    let amount = match row.unit {
        Unit::Operations => run.operations as f64,
        Unit::Megabytes => run.bytes as f64 / 1e6,
    };
    Ok(Measured {
        per_second: amount / run.elapsed.as_secs_f64(),
        p50_ms: report::percentile(&run.latencies_us, 50) as f64 / 1000.0,
        p99_ms: report::percentile(&run.latencies_us, 99) as f64 / 1000.0,
        worst_ms: report::percentile(&run.latencies_us, 100) as f64 / 1000.0,
        pause_ms: report::worst_pause_ms(&run) as f64,
        cpu_ms: after.cpu_ms.saturating_sub(before.cpu_ms) as f64 / amount,
        written_per_byte: after.written.saturating_sub(before.written) as f64 / run.bytes as f64,
        failed: run.failed,
    })
}
