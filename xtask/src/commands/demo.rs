//! `demo`: the release binary in its demo, in place of this process.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::build::release_binary;
use crate::cargo::Cargo;

/// Returns only if the demo can't be started: it takes this process over, so Ctrl-C and signals reach it directly.
pub fn run(root: &Path, args: &[String]) -> Result<()> {
    let binary = release_binary(&Cargo::prepare(root)?, "server", "gotthard")?;
    let error = Command::new(&binary).arg("demo").args(args).exec();
    Err(error).with_context(|| format!("{} could not be started", binary.display()))
}
