//! The load driver: deliveries and flag changes of Gotthard (one node; three in two sites) and of Dovecot in turn, in one run.
//! Enters: a release binary and a corpus. Leaves: a Markdown table with ratios, CPU per delivery and bytes written.
//! It must never know what it measures from inside: it speaks LMTP and IMAP, and reads the kernel's account of processes.
//! Programs that it starts live in temporary folders and end with it.
//! Read first: `peers.rs`, then `lmtp.rs`.

mod imap;
mod lmtp;
mod peers;
mod report;
mod usage;

use anyhow::{Context, Result, bail};
use clap::Parser;
use peers::{Peer, PeerKind};
use report::{Cell, Measured, Workload};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Parser)]
#[command(
    about = "Gotthard beside Dovecot: LMTP deliveries and IMAP flag changes per second, latency, CPU and bytes written, in one run"
)]
struct Cli {
    /// The release binary; `cargo xtask bench` sets it.
    #[arg(long, env = "GOTTHARD_BIN")]
    gotthard: PathBuf,
    /// A folder of .eml files: `cargo xtask corpus` makes one.
    #[arg(long, default_value = "corpus")]
    corpus: PathBuf,
    /// Seconds for each cell.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Turns over all systems (A B C A B C …); medians are shown.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Client connections.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64])]
    connections: Vec<usize>,
    /// Also write the report here.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Messages held in memory; bounds the client.
const MESSAGES_MAX: usize = 10_000;

fn main() -> Result<()> {
    let cli = Cli::parse();
    let messages = load(&cli.corpus)?;
    let mut cells: Vec<Cell> = Vec::new();
    for round in 0..cli.rounds {
        for kind in PeerKind::ALL {
            eprintln!("round {} of {}: {}", round + 1, cli.rounds, kind.name());
            let peer = Peer::start(kind, &cli.gotthard)?;
            for workload in Workload::ALL {
                for &connections in &cli.connections {
                    let time = Duration::from_secs(cli.seconds);
                    let measured = measure(&peer, workload, connections, &messages, time)?;
                    eprintln!(
                        "  {}, {connections} connections: {measured:?}",
                        workload.name()
                    );
                    report::add(&mut cells, workload, kind, connections, measured);
                }
            }
        }
    }
    let text = report::markdown(&cells, &cli.corpus, cli.rounds, cli.seconds);
    println!("{text}");
    if let Some(out) = &cli.out {
        std::fs::write(out, &text).with_context(|| format!("cannot write {}", out.display()))?;
    }
    Ok(())
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

fn measure(
    peer: &Peer,
    workload: Workload,
    connections: usize,
    messages: &[Vec<u8>],
    time: Duration,
) -> Result<Measured> {
    let before = usage::of(&peer.pids()?);
    let run = match workload {
        Workload::Deliver => lmtp::drive(
            &peer.addresses,
            &peer.recipients,
            connections,
            messages,
            time,
        ),
        Workload::Store => imap::drive_store(&peer.imap, &peer.recipients, connections, time),
    };
    let after = usage::of(&peer.pids()?);
    let done = run.latencies_us.len() as u64;
    if done == 0 {
        bail!("{} did nothing: {:?}", peer.kind.name(), run.first_error);
    }
    Ok(Measured {
        per_second: done as f64 / run.elapsed.as_secs_f64(),
        p50_ms: report::percentile(&run.latencies_us, 50) as f64 / 1000.0,
        p99_ms: report::percentile(&run.latencies_us, 99) as f64 / 1000.0,
        worst_ms: report::percentile(&run.latencies_us, 100) as f64 / 1000.0,
        cpu_ms: (after.cpu_ms.saturating_sub(before.cpu_ms)) as f64 / done as f64,
        written_per_byte: after.written.saturating_sub(before.written) as f64 / run.bytes as f64,
        failed: run.failed,
    })
}
