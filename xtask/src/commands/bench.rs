//! `bench`: the load driver of `benches/load`, against a server built the same way.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::build::release_binary;
use crate::cargo::Cargo;

/// The driver learns by `GOTTHARD_BIN` which server it measures, and runs in the root of the workspace.
pub fn run(root: &Path, args: &[String]) -> Result<()> {
    let cargo = Cargo::prepare(root)?;
    let server = release_binary(&cargo, "server", "gotthard")?;
    let driver = release_binary(&cargo, "bench-load", "bench-load")?;
    let error = Command::new(&driver)
        .args(args)
        .env("GOTTHARD_BIN", server)
        .current_dir(root)
        .exec();
    Err(error).with_context(|| format!("{} could not be started", driver.display()))
}
