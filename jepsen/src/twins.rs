//! Broken twins: builds that break one rule on purpose. Each must be caught, by a checker that owns the rule.

use crate::check::Violation;
use crate::cluster;
use crate::nemesis;
use crate::run::{self, RunArgs};
use crate::stop::Stop;
use anyhow::{Result, bail};
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;

/// A server built with its feature `twins` reads its own name for the rule that it is to break.
const VARIABLE: &str = "GOTTHARD_TWIN";

struct Twin {
    name: &'static str,
    /// The nemeses that bring the broken rule to light.
    nemeses: &'static [&'static str],
    /// Whether the cluster is to refuse changes while only one site is left.
    is_strict: bool,
    owners: &'static [&'static str],
}

/// Not a build: the disks of a sound server lie. It shows that power cuts find what is not flushed.
const LYING_DISKS: &str = "lying-disks";

const TWINS: [Twin; 9] = [
    Twin {
        name: LYING_DISKS,
        nemeses: &["power-all"],
        is_strict: false,
        owners: &["set", "register", "uid", "list-append", "queue", "converge"],
    },
    Twin {
        name: "ack-before-flush",
        nemeses: &["power-all", "power"],
        is_strict: false,
        owners: &["set", "register", "uid", "list-append", "queue", "converge"],
    },
    Twin {
        name: "mark-ahead-of-flush",
        nemeses: &["power", "power-all"],
        is_strict: false,
        owners: &["set", "register", "uid", "list-append", "queue", "converge"],
    },
    Twin {
        name: "leader-restore",
        nemeses: &["power", "kill"],
        is_strict: false,
        owners: &["set", "register", "uid", "list-append", "queue", "converge"],
    },
    Twin {
        name: "skip-site-gate",
        nemeses: &["cut-sites"],
        is_strict: true,
        owners: &["gate"],
    },
    Twin {
        name: "stale-reads",
        nemeses: &["isolate", "pause"],
        is_strict: false,
        owners: &["set", "register", "uid"],
    },
    Twin {
        name: "degrade-without-lease",
        nemeses: &["cut-sites"],
        is_strict: false,
        owners: &["gate"],
    },
    Twin {
        name: "apply-twice",
        nemeses: &["kill"],
        is_strict: false,
        owners: &["set", "uid", "list-append", "converge"],
    },
    Twin {
        name: "reuse-uid",
        nemeses: &["kill"],
        is_strict: false,
        owners: &["set", "uid", "list-append", "queue"],
    },
];

#[derive(Args)]
pub struct TwinsArgs {
    /// A server built with its feature `twins`; `cargo xtask jepsen --twins` sets it
    #[arg(long, env = "GOTTHARD_TWINS_BIN")]
    binary: PathBuf,
    /// Trials of each twin, of a minute each, until it is caught
    #[arg(long, default_value_t = 3)]
    runs: u64,
    /// The seed of the first trial
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this twin
    #[arg(long)]
    twin: Option<String>,
    /// Where histories, reports and logs go
    #[arg(long, default_value = "target/jepsen/twins")]
    out: PathBuf,
}

/// Whether all were caught. Prints the table row by row.
pub fn run(args: &TwinsArgs, interrupted: &Arc<Stop>) -> Result<bool> {
    // Nothing of this is a twin that was caught.
    if let Some(text) = cluster::missing() {
        bail!("{text}");
    }
    if !args.binary.exists() {
        bail!("no binary at {}", args.binary.display());
    }
    let is_wanted = |twin: &&Twin| args.twin.as_deref().is_none_or(|name| name == twin.name);
    let twins: Vec<_> = TWINS.iter().filter(is_wanted).collect();
    if twins.is_empty() {
        let names = TWINS.map(|twin| twin.name);
        bail!("no such twin; there are {}", names.join(", "));
    }
    println!("| twin | caught by | within | what it said |\n|---|---|---|---|");
    let mut is_complete = true;
    for twin in twins {
        let caught = caught(twin, args, interrupted)?;
        let row = match &caught {
            Some((run, violation)) => {
                format!(
                    "{} | {run} of {} runs | {}",
                    violation.checker, args.runs, violation.text
                )
            }
            None => format!("– | not within {} runs | –", args.runs),
        };
        println!("| {} | {row} |", twin.name);
        let is_owner = |(_, violation): &(u64, Violation)| twin.owners.contains(&violation.checker);
        is_complete &= caught.as_ref().is_some_and(is_owner);
    }
    Ok(is_complete)
}

/// The number of the run, and the first violation of it, of a checker that owns the rule if there is one.
fn caught(
    twin: &Twin,
    args: &TwinsArgs,
    interrupted: &Arc<Stop>,
) -> Result<Option<(u64, Violation)>> {
    let wanted = twin
        .nemeses
        .iter()
        .filter_map(|name| nemesis::by_name(name));
    if wanted
        .filter(|nemesis| (nemesis.missing)().is_none())
        .count()
        == 0
    {
        eprintln!(
            "jepsen: {} is skipped: this machine has none of {:?}",
            twin.name, twin.nemeses
        );
        return Ok(None);
    }
    for number in 1..=args.runs {
        let mut trial = RunArgs::of(args.binary.clone(), args.out.join(twin.name));
        trial.minutes = 1;
        trial.seed = Some(args.seed + number - 1);
        trial.nemesis = twin.nemeses.iter().map(ToString::to_string).collect();
        trial.set_strict(twin.is_strict);
        match twin.name {
            LYING_DISKS => trial.lying_disks = true,
            name => trial.environment = vec![(VARIABLE.to_owned(), name.to_owned())],
        }
        let done = match run::trial(&trial, interrupted) {
            Ok(done) => done,
            Err(error) if interrupted.is_set() => return Err(error),
            // A cluster that does not even come up.
            Err(error) => {
                let text = format!("{error:#}");
                return Ok(Some((
                    number,
                    Violation {
                        checker: "converge",
                        text,
                    },
                )));
            }
        };
        let owned = done
            .violations
            .iter()
            .find(|found| twin.owners.contains(&found.checker));
        if let Some(violation) = owned.or(done.violations.first()) {
            return Ok(Some((number, violation.clone())));
        }
    }
    Ok(None)
}
