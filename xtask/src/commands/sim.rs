//! `sim`: the simulator of `testkit/sim`, built for speed.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::build::release_binary;
use crate::cargo::Cargo;

/// Its exit code is ours: not 0 when a seed fails, or when a twin is caught.
pub fn run(root: &Path, args: &[String]) -> Result<()> {
    let cargo = Cargo::prepare(root)?;
    let simulator = release_binary(&cargo, "testkit-sim", "sim")?;
    let error = Command::new(&simulator).args(args).current_dir(root).exec();
    Err(error).with_context(|| format!("{} could not be started", simulator.display()))
}
