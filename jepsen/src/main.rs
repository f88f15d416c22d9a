//! Black-box trials of the release binary: a cluster of processes in namespaces, clients, faults, checked histories.
//! Enters: a release binary and a seed. Leaves: `history.edn` in Jepsen's form, `report.html`, and a verdict as exit code.
//! It must never know anything from inside a node: it sees LMTP, IMAP, health pages and the command line.
//! All that it makes (processes, namespaces, folders) ends with it; what a killed trial left, the next one removes.
//! Read first: `trial.rs`, then `check/mod.rs` and `nemesis/faults.rs`.

mod chance;
mod check;
mod clients;
mod cluster;
mod edn;
mod history;
mod limits;
mod nemesis;
mod report;
mod stop;
mod trial;
mod watch;
mod workload;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use cluster::Sites;
use nemesis::Nemesis;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use stop::Stop;

/// Fault trials of a whole cluster through client protocols alone.
#[derive(Parser)]
#[command(
    name = "jepsen",
    after_help = "Exit code: 0 no violation, 1 a violation or a trial that could not be made, 2 wrong usage."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make one trial, check its history, write history.edn and report.html
    Run(RunArgs),
    /// Name the nemeses and the checkers
    List,
}

#[derive(Args)]
struct RunArgs {
    /// The release binary; `cargo xtask jepsen` sets it
    #[arg(long, env = "GOTTHARD_BIN")]
    binary: PathBuf,
    /// How long faults and load go on; healing and final reads come after it
    #[arg(long, default_value_t = 2)]
    minutes: u64,
    /// The same seed draws the same faults and operations; by default from the clock
    #[arg(long)]
    seed: Option<u64>,
    /// Only these, by name; `none` for a run without faults [default: all that the machine can]
    #[arg(long, value_delimiter = ',')]
    nemesis: Vec<String>,
    /// Nodes per site: 2+1, 1+1+1 or 2+2+1
    #[arg(long, default_value = "2+1")]
    sites: Sites,
    /// What the cluster does while only one site is left
    #[arg(long, value_enum, default_value_t = OnSiteLoss::Degrade)]
    on_site_loss: OnSiteLoss,
    /// Clients at work at the same time, over all nodes
    #[arg(long, default_value_t = 8)]
    clients: u64,
    /// Shards for mail
    #[arg(long, default_value_t = 4)]
    mail_shards: u64,
    /// Where histories, reports and logs go, in a folder for each run
    #[arg(long, default_value = "target/jepsen")]
    out: PathBuf,
    /// Keep the nodes' data also when nothing was found
    #[arg(long)]
    keep_data: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum OnSiteLoss {
    Strict,
    Degrade,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::List => {
            list();
            Ok(true)
        }
        Command::Run(args) => run(args),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("jepsen: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn list() {
    println!("Nemeses:");
    for nemesis in nemesis::table() {
        let lacks = (nemesis.missing)().map(|text| format!(" (skipped here: {text})"));
        println!(
            "  {:<12} {}{}",
            nemesis.name,
            nemesis.about,
            lacks.unwrap_or_default()
        );
    }
    println!("Checkers:");
    for checker in &check::CHECKERS {
        println!("  {:<12} {}", checker.name, checker.about);
    }
}

/// Whether nothing was found.
fn run(args: RunArgs) -> Result<bool> {
    if let Some(text) = cluster::missing() {
        bail!("{text}");
    }
    let nemeses = chosen(&args.nemesis)?;
    cluster::sweep()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let seed = args.seed.unwrap_or(now.as_nanos() as u64 % 1_000_000);
    let folder = args.out.join(format!("{}-seed-{seed}", now.as_secs()));
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let folder = folder.canonicalize()?;
    let binary = args
        .binary
        .canonicalize()
        .with_context(|| format!("no binary at {}", args.binary.display()))?;
    let interrupted = Arc::new(Stop::default());
    catch_signals(interrupted.clone())?;
    let on_site_loss = match args.on_site_loss {
        OnSiteLoss::Strict => "strict",
        OnSiteLoss::Degrade => "degrade",
    };
    let title = format!(
        "seed {seed}, {} minutes, sites {}, {on_site_loss}",
        args.minutes, args.sites
    );
    eprintln!("jepsen: {title}; all goes to {}", folder.display());
    let options = cluster::Options {
        binary,
        sites: args.sites,
        mail_shards: args.mail_shards,
        on_site_loss: on_site_loss.to_owned(),
        environment: Vec::new(),
        folder: folder.clone(),
    };
    let plan = trial::Plan {
        cluster: options,
        seed,
        time: Duration::from_secs(args.minutes * 60),
        clients: args.clients.max(1),
        nemeses,
    };
    let done = trial::run(plan, &interrupted)?;
    write(&folder, &title, &done)?;
    let is_clean = done.violations.is_empty();
    if is_clean && !args.keep_data {
        fs::remove_dir_all(folder.join("data"))?;
    }
    Ok(is_clean)
}

/// By name, or all; those that the machine cannot make are left out, and that is said.
fn chosen(names: &[String]) -> Result<Vec<&'static Nemesis>> {
    if names.iter().any(|name| name == "none") {
        return Ok(Vec::new());
    }
    let mut wanted = Vec::new();
    for name in names {
        wanted.push(
            nemesis::by_name(name)
                .with_context(|| format!("no nemesis {name}; `jepsen list` names them"))?,
        );
    }
    if names.is_empty() {
        wanted.extend(nemesis::table());
    }
    wanted.retain(|nemesis| match (nemesis.missing)() {
        None => true,
        Some(text) => {
            eprintln!("jepsen: {} is skipped: {text}", nemesis.name);
            false
        }
    });
    Ok(wanted)
}

fn write(folder: &Path, title: &str, done: &trial::Done) -> Result<()> {
    fs::write(
        folder.join("history.edn"),
        edn::write(&done.run.operations, &done.faults),
    )?;
    fs::write(folder.join("report.html"), report::page(title, done))?;
    print!("{}", report::summary(done));
    println!("{}", folder.join("report.html").display());
    Ok(())
}

/// SIGINT and SIGTERM end the trial: what it has made is taken down on the way out.
fn catch_signals(interrupted: Arc<Stop>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    thread::spawn(move || {
        let caught = runtime.block_on(async {
            let kind = tokio::signal::unix::SignalKind::terminate();
            let mut terminate = tokio::signal::unix::signal(kind)?;
            tokio::select! {
                caught = tokio::signal::ctrl_c() => caught,
                _ = terminate.recv() => Ok(()),
            }
        });
        if let Err(error) = caught {
            eprintln!("jepsen: signals are not caught: {error}");
        }
        interrupted.set();
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
