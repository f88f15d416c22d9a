//! `test`: `verify`, then all tests.

use std::path::Path;

use anyhow::Result;

use crate::cargo::{self, Cargo};
use crate::cli::TestArgs;

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
    cargo::run(command.args(&args.args))
}
