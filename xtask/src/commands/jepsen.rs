//! `jepsen`: the trials of `jepsen/`, against a server built the same way.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::build::{release_binary, twins_binary};
use crate::cargo::Cargo;
use crate::workspace::Metadata;

/// The subcommand of a trial that is meant when none is named.
const RUN: &str = "run";
const TWINS: &str = "twins";
const NAMED: [&str; 3] = [RUN, TWINS, "list"];

/// Its exit code is ours. `--twins` tries builds that break a rule on purpose, and prints who caught which.
pub fn run(root: &Path, args: &[String]) -> Result<()> {
    let cargo = Cargo::prepare(root)?;
    let (subcommand, rest) = subcommand(args);
    let (variable, server) = match subcommand == TWINS {
        true => (
            "GOTTHARD_TWINS_BIN",
            twins_binary(&cargo, &Metadata::load(root)?.target_dir)?,
        ),
        false => (
            "GOTTHARD_BIN",
            release_binary(&cargo, "server", "gotthard")?,
        ),
    };
    let trial = release_binary(&cargo, "jepsen", "jepsen")?;
    let error = Command::new(&trial)
        .arg(subcommand)
        .args(rest)
        .env(variable, server)
        .current_dir(root)
        .exec();
    Err(error).with_context(|| format!("{} could not be started", trial.display()))
}

fn subcommand(args: &[String]) -> (&str, Vec<&str>) {
    if args.iter().any(|arg| arg == "--twins") {
        let rest = args.iter().filter(|arg| *arg != "--twins");
        return (TWINS, rest.map(String::as_str).collect());
    }
    let all: Vec<&str> = args.iter().map(String::as_str).collect();
    match all.split_first() {
        Some((first, rest)) if NAMED.contains(first) => (first, rest.to_vec()),
        _ => (RUN, all),
    }
}

#[cfg(test)]
mod tests {
    use super::subcommand;

    #[test]
    fn a_trial_is_meant_unless_another_is_named() {
        let check = |line: &str, name: &str, rest: &[&str]| {
            let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let (found, passed) = subcommand(&args);
            assert_eq!((found, passed.as_slice()), (name, rest), "{line}");
        };
        check("--minutes 2", "run", &["--minutes", "2"]);
        check("run --minutes 2", "run", &["--minutes", "2"]);
        check("list", "list", &[]);
        check("--twins --runs 2", "twins", &["--runs", "2"]);
    }
}
