//! What a folder of messages holds, in four numbers that two machines can compare.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub messages: usize,
    pub bytes: u64,
    /// Names of messages with a NUL byte: those can't be delivered (`550 5.6.0`).
    pub with_nul: Vec<String>,
    /// SHA-256 over name, a NUL, length as eight bytes little-endian, and content of each message, in order of names.
    pub sha256: String,
}

impl Report {
    pub fn of(dir: &Path) -> Result<Report> {
        let mut report = Report::default();
        let mut hash = Sha256::new();
        for path in messages(dir)? {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let content = std::fs::read(&path)
                .with_context(|| format!("{} could not be read", path.display()))?;
            hash.update(name.as_bytes());
            hash.update([0]);
            hash.update((content.len() as u64).to_le_bytes());
            hash.update(&content);
            report.messages += 1;
            report.bytes += content.len() as u64;
            if content.contains(&0) {
                report.with_nul.push(name);
            }
        }
        report.sha256 = hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(report)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} messages, {} bytes, sha256 {}",
            self.messages, self.bytes, self.sha256
        )?;
        match self.with_nul.as_slice() {
            [] => write!(f, ", no NUL bytes"),
            names => write!(f, "\nwith NUL bytes: {}", names.join(", ")),
        }
    }
}

/// The `.eml` files of a folder, in order of names.
pub fn messages(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(dir).with_context(|| format!("{} could not be read", dir.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "eml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
