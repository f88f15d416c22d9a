//! Wall clocks of nodes, by libfaketime: each node reads how far its clock is off from a file of its own. The monotonic
//! clock stays as it is, as it does when a machine's time is set.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Where Debian, on each of its architectures, and others put it.
const FOLDERS: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime",
    "/usr/lib/aarch64-linux-gnu/faketime",
    "/usr/lib/faketime",
    "/usr/lib64/faketime",
];

/// For programs of many threads.
const LIBRARY: &str = "libfaketimeMT.so.1";

pub struct Clocks {
    library: PathBuf,
    folder: PathBuf,
}

pub fn library() -> Option<PathBuf> {
    let mut paths = FOLDERS.iter().map(|folder| Path::new(folder).join(LIBRARY));
    paths.find(|path| path.exists())
}

impl Clocks {
    /// `None` where there is no libfaketime.
    pub fn new(folder: &Path) -> Option<Clocks> {
        Some(Clocks {
            library: library()?,
            folder: folder.to_owned(),
        })
    }

    fn file(&self, node: u64) -> PathBuf {
        self.folder.join(format!("node-{node}.clock"))
    }

    /// From the next second on.
    pub fn set(&self, node: u64, seconds: i64) -> Result<()> {
        let file = self.file(node);
        // A file that is half written would be no time at all.
        let new = file.with_extension("new");
        fs::write(&new, format!("{seconds:+}s\n"))?;
        fs::rename(&new, &file).with_context(|| format!("cannot write {}", file.display()))
    }

    /// What a node is started with.
    pub fn environment(&self, node: u64) -> Vec<(String, String)> {
        let text = |path: PathBuf| path.display().to_string();
        let of = |name: &str, value: String| (name.to_owned(), value);
        vec![
            of("LD_PRELOAD", text(self.library.clone())),
            of("FAKETIME_TIMESTAMP_FILE", text(self.file(node))),
            of("FAKETIME_CACHE_DURATION", "1".to_owned()),
            of("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }
}
