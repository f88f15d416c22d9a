//! `build`: the release binary.

use std::io::BufRead;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::cargo::{self, Cargo};

pub fn run(root: &Path) -> Result<()> {
    let binary = release_binary(&Cargo::prepare(root)?, "server", "gotthard")?;
    println!("{}", binary.display());
    Ok(())
}

/// Builds a binary of ours with the release profile; cargo itself says where it put it.
pub fn release_binary(cargo: &Cargo, package: &str, binary: &str) -> Result<PathBuf> {
    run_build(package_build(cargo, package, binary), binary)
}

/// The server that breaks a rule on purpose, in a folder of its own, so that no feature of it gets into the product.
pub fn twins_binary(cargo: &Cargo, target: &Path) -> Result<PathBuf> {
    let mut command = package_build(cargo, "server", "gotthard");
    command.args(["--features", "twins", "--target-dir"]);
    command.arg(target.join("twins"));
    run_build(command, "gotthard")
}

fn package_build(cargo: &Cargo, package: &str, binary: &str) -> Command {
    let mut command = cargo.command("build");
    command.args([
        "--release",
        "--package",
        package,
        "--bin",
        binary,
        "--message-format=json-render-diagnostics",
    ]);
    command
}

fn run_build(mut command: Command, binary: &str) -> Result<PathBuf> {
    let line = cargo::shown(&command);
    eprintln!("xtask: {line}");
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("`{line}` could not be started"))?;
    let stdout = child.stdout.take().context("cargo has no stdout")?;
    let mut built = None;
    for message in BufReader::new(stdout).lines() {
        built = executable(&message?, binary).or(built);
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    built.with_context(|| format!("cargo named no executable `{binary}`"))
}

/// The path in a `compiler-artifact` message for this binary.
fn executable(message: &str, binary: &str) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        target: Target,
        executable: PathBuf,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    let message: Message = serde_json::from_str(message).ok()?;
    (message.target.name == binary).then_some(message.executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_found_in_cargos_messages() {
        let check = |message: &str, expect: Option<&str>| {
            assert_eq!(
                executable(message, "gotthard"),
                expect.map(PathBuf::from),
                "{message}"
            );
        };
        check(
            r#"{"reason":"compiler-artifact","target":{"name":"gotthard"},"executable":"t/gotthard"}"#,
            Some("t/gotthard"),
        );
        check(
            r#"{"reason":"compiler-artifact","target":{"name":"other"},"executable":"t/other"}"#,
            None,
        );
        check(
            r#"{"reason":"compiler-artifact","target":{"name":"gotthard"},"executable":null}"#,
            None,
        );
        check(r#"{"reason":"build-finished","success":true}"#, None);
        check("warning", None);
    }
}
