//! `test`: `verify`, then all tests.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::cargo::{self, Cargo};
use crate::cli::TestArgs;

use super::build::release_binary;

/// Of the simulation, in each run of all tests.
const SEEDS: &str = "300";

pub fn run(root: &Path, args: &TestArgs) -> Result<()> {
    if !args.no_verify {
        super::verify::run(root)?;
    }
    let cargo = Cargo::prepare(root)?;
    let is_whole = args.args.is_empty();
    let mut command = if cargo::has_subcommand("nextest") {
        cargo.command("nextest run")
    } else {
        eprintln!(
            "xtask: cargo-nextest is not installed, so `cargo test` runs the tests (the same ones, slower);"
        );
        eprintln!("xtask: `cargo install --locked cargo-nextest` brings it");
        let mut command = cargo.command("test");
        command.args(["--lib", "--bins", "--tests"]);
        command
    };
    // Both stop at the first failure otherwise, and a change should learn of all at once.
    command.arg("--no-fail-fast");
    if is_whole {
        command.arg("--workspace");
    }
    cargo::run(command.args(&args.args))?;
    if is_whole {
        simulate(root, &cargo)?;
    }
    Ok(())
}

/// Whole clusters, in the release build: in a debug build a seed takes 30 times as long.
fn simulate(root: &Path, cargo: &Cargo) -> Result<()> {
    let simulator = release_binary(cargo, "testkit-sim", "sim")?;
    for args in [["--seeds", SEEDS].as_slice(), &["--twins"]] {
        cargo::run(Command::new(&simulator).args(args).current_dir(root))?;
    }
    Ok(())
}
