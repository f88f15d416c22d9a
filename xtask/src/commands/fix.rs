//! `fix`: what a program can put right. It writes to the tree.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::cargo::{self, Cargo};
use crate::tidy::ratchets;

pub fn run(root: &Path) -> Result<()> {
    let mut clippy = Cargo::prepare(root)?.command("clippy");
    clippy.args([
        "--workspace",
        "--all-targets",
        "--fix",
        "--allow-dirty",
        "--allow-staged",
    ]);
    cargo::run(&mut clippy)?;
    cargo::run(
        Command::new(cargo::program())
            .args(["fmt", "--all"])
            .current_dir(root),
    )?;
    if ratchets::lower(root)? {
        eprintln!("xtask: ratchets lowered");
    }
    Ok(())
}
