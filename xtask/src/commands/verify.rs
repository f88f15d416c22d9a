//! `verify`: all checks that need no test run. It reports all of them before it fails, and never writes to the tree.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::cargo::{self, Cargo};
use crate::licences;

/// Broken links in documents are errors, also in those of private items, which is where most of ours are.
const DOC_FLAGS: &str = "-D rustdoc::broken_intra_doc_links -D rustdoc::invalid_rust_codeblocks";

type Check = fn(&Path) -> Result<()>;

pub fn run(root: &Path) -> Result<()> {
    let checks: [(&str, Check); 5] = [
        ("format", format),
        ("tidy", super::tidy::run),
        ("licences", licence),
        ("clippy", clippy),
        ("docs", docs),
    ];
    let mut failed = Vec::new();
    for (name, check) in checks {
        if let Err(error) = check(root) {
            eprintln!("error: {name}: {error:#}");
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!(
            "verify failed: {} (`cargo xtask fix` repairs some)",
            failed.join(", ")
        );
    }
    eprintln!("xtask: verify passed: format, tidy, licences, clippy, docs");
    Ok(())
}

fn format(root: &Path) -> Result<()> {
    cargo::run(
        Command::new(cargo::program())
            .args(["fmt", "--all", "--", "--check"])
            .current_dir(root),
    )
}

/// Our own reading of `deny.toml` always, cargo-deny as well where it is installed.
fn licence(root: &Path) -> Result<()> {
    let wrong = licences::run(root)?;
    if !wrong.is_empty() {
        bail!("deny.toml is not met:\n  {}", wrong.join("\n  "));
    }
    if cargo::has_subcommand("deny") {
        let arguments = ["deny", "--offline", "check", "bans", "licenses", "sources"];
        cargo::run(
            Command::new(cargo::program())
                .args(arguments)
                .current_dir(root),
        )?;
    }
    Ok(())
}

fn clippy(root: &Path) -> Result<()> {
    let mut command = Cargo::prepare(root)?.command("clippy");
    cargo::run(command.args([
        "--workspace",
        "--all-targets",
        "--keep-going",
        "--",
        "-D",
        "warnings",
    ]))
}

fn docs(root: &Path) -> Result<()> {
    let mut command = Cargo::prepare(root)?.command("doc");
    command.args([
        "--workspace",
        "--no-deps",
        "--document-private-items",
        "--quiet",
    ]);
    cargo::run(command.env("RUSTDOCFLAGS", DOC_FLAGS))
}
