//! `cargo xtask sim`: many seeds, on as many threads as the machine has cores.

use anyhow::{Context, Result, bail};
use clap::Parser;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use testkit_sim::{Plan, Report, Twin, run};

/// Whole clusters in one thread each, from seeds.
#[derive(Parser)]
#[command(name = "sim")]
struct Cli {
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first one.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A build that breaks a rule: the run fails when it is caught, and names the violation.
    #[arg(long)]
    twin: Option<Twin>,
    /// All twins, as a table: each must be caught, by a checker that owns its rule.
    #[arg(long, conflicts_with = "twin")]
    twins: bool,
    /// Print all that happens. For one seed.
    #[arg(long)]
    verbose: bool,
    /// Threads; as many as there are cores if not given.
    #[arg(long)]
    jobs: Option<usize>,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    if cli.verbose {
        tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_env("GOTTHARD_LOG"))
            .without_time()
            .init();
    }
    if cli.twin.is_some() || cli.twins {
        // A twin makes the fold contradict itself, which it meets with a panic that it catches.
        std::panic::set_hook(Box::new(|_| {}));
    }
    if cli.twins {
        return twins(&cli);
    }
    let begun = Instant::now();
    let reports = simulate(&cli, cli.twin)?;
    summary(&reports, begun.elapsed());
    let failed: Vec<u64> = failed(&reports).map(|report| report.seed).collect();
    match (failed.as_slice(), cli.twin) {
        ([], None) => Ok(()),
        ([], Some(_)) => {
            println!("the twin was not caught");
            Ok(())
        }
        (failed, Some(_)) => bail!("the twin is caught, at seed {}", failed[0]),
        (failed, None) => bail!(
            "{} of {} seeds failed: {failed:?}",
            failed.len(),
            reports.len()
        ),
    }
}

/// Each twin until it is caught. Fails if one is not, or by a checker that does not own the rule.
fn twins(cli: &Cli) -> Result<()> {
    println!("| twin | caught at seed | by | what it said |\n|---|---|---|---|");
    let mut missed = Vec::new();
    for (name, twin) in Twin::ALL {
        let reports = simulate(cli, Some(twin))?;
        let first = failed(&reports).next();
        let caught = first.and_then(|report| Some((report.seed, report.violations.first()?)));
        match caught {
            Some((seed, violation)) => {
                println!(
                    "| {name} | {seed} | {} | {} |",
                    violation.checker, violation.text
                );
                if !twin.owners().contains(&violation.checker) {
                    missed.push(name);
                }
            }
            None => {
                println!("| {name} | – | – | not within {} seeds |", cli.seeds);
                missed.push(name);
            }
        }
    }
    match missed.is_empty() {
        true => Ok(()),
        false => bail!(
            "not caught, or not by the checker that owns the rule: {}",
            missed.join(", ")
        ),
    }
}

fn failed(reports: &BTreeMap<u64, Report>) -> impl Iterator<Item = &Report> {
    reports
        .values()
        .filter(|report| !report.violations.is_empty())
}

/// By seed. With a twin it ends once that is caught.
fn simulate(cli: &Cli, twin: Option<Twin>) -> Result<BTreeMap<u64, Report>> {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let jobs = cli.jobs.unwrap_or(if cli.verbose { 1 } else { cores });
    let next = AtomicU64::new(cli.seed);
    let end = cli.seed.checked_add(cli.seeds).context("too many seeds")?;
    let caught = AtomicBool::new(false);
    let reports = Mutex::new(BTreeMap::new());
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while !caught.load(Ordering::SeqCst) {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= end {
                        return;
                    }
                    let report = run(Plan {
                        seed,
                        twin,
                        prints: cli.verbose,
                    });
                    if !report.violations.is_empty() && !cli.twins {
                        show(&report);
                    }
                    // A twin is caught once; of ours, every seed counts.
                    let ends = twin.is_some() && !report.violations.is_empty();
                    caught.fetch_or(ends, Ordering::SeqCst);
                    let mut reports = reports.lock().unwrap_or_else(PoisonError::into_inner);
                    reports.insert(seed, report);
                    if !cli.twins {
                        progress(reports.len() as u64, cli.seeds, begun);
                    }
                }
            });
        }
    });
    Ok(reports.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn show(report: &Report) {
    for violation in &report.violations {
        println!(
            "seed {}: {}: {}",
            report.seed, violation.checker, violation.text
        );
    }
}

fn progress(done: u64, all: u64, begun: Instant) {
    use std::io::{IsTerminal, Write};
    if std::io::stderr().is_terminal() {
        eprint!(
            "\r{done}/{all} seeds, {:.0} s ",
            begun.elapsed().as_secs_f64()
        );
        let _ = std::io::stderr().flush();
    } else if done.is_multiple_of(500) {
        eprintln!("{done}/{all} seeds, {:.0} s", begun.elapsed().as_secs_f64());
    }
}

fn summary(reports: &BTreeMap<u64, Report>, took: Duration) {
    let sum = |of: fn(&Report) -> f64| reports.values().map(of).sum::<f64>();
    let least = |of: fn(&Report) -> u64| reports.values().map(of).min().unwrap_or(0);
    let minutes = sum(|report| report.simulated.as_secs_f64()) / 60.0;
    println!(
        "{} seeds, {:.0} simulated minutes in {:.0} s ({:.0} a minute); {:.0} operations (at least {} a seed), {:.0} faults \
         (at least {} kinds a seed)",
        reports.len(),
        minutes,
        took.as_secs_f64(),
        minutes / took.as_secs_f64() * 60.0,
        sum(|report| report.operations as f64),
        least(|report| report.operations),
        sum(|report| report.faults as f64),
        least(|report| report.kinds as u64),
    );
}
