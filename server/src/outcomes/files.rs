//! The log's files: `<Unix milliseconds of its first record, 16 digits>.jsonl`, so that names are in the order of time.

use std::io;
use std::path::{Path, PathBuf};

const SUFFIX: &str = ".jsonl";
const DIGITS: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    pub begun_ms: u64,
    pub path: PathBuf,
    pub bytes: u64,
}

pub fn path(dir: &Path, begun_ms: u64) -> PathBuf {
    dir.join(format!("{begun_ms:0DIGITS$}{SUFFIX}"))
}

/// Oldest first. Other files of the folder are left alone; a folder that is not there has none.
pub fn list(dir: &Path) -> io::Result<Vec<LogFile>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let begun = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
        let begun = begun.filter(|digits| digits.len() == DIGITS);
        if let Some(begun_ms) = begun.and_then(|digits| digits.parse().ok()) {
            files.push(LogFile {
                begun_ms,
                path: entry.path(),
                // Removed meanwhile: it counts for nothing.
                bytes: entry.metadata().map_or(0, |metadata| metadata.len()),
            });
        }
    }
    files.sort_by_key(|file| file.begun_ms);
    Ok(files)
}
