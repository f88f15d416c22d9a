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
mod run;
mod stop;
mod trial;
mod twins;
mod watch;
mod workload;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
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
    Run(run::RunArgs),
    /// Try builds that break a rule on purpose, and print which checker caught each
    Twins(twins::TwinsArgs),
    /// Name the nemeses and the checkers
    List,
}

fn main() -> ExitCode {
    match work(&Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("jepsen: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all was as it should be.
fn work(command: &Command) -> Result<bool> {
    let interrupted = Arc::new(Stop::default());
    catch_signals(interrupted.clone())?;
    match command {
        Command::Run(args) => run::run(args, &interrupted),
        Command::Twins(args) => twins::run(args, &interrupted),
        Command::List => {
            list();
            Ok(true)
        }
    }
}

fn list() {
    println!("Nemeses:");
    for nemesis in nemesis::table() {
        let lacks = (nemesis.missing)().map(|text| format!(" (skipped here: {text})"));
        let lacks = lacks.unwrap_or_default();
        println!("  {:<12} {}{lacks}", nemesis.name, nemesis.about);
    }
    println!("Checkers:");
    for checker in &check::CHECKERS {
        println!("  {:<12} {}", checker.name, checker.about);
    }
}

/// SIGINT and SIGTERM end the trial: what it has made is taken down on the way out.
fn catch_signals(interrupted: Arc<Stop>) -> Result<()> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build()?;
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
