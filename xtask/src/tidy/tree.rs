//! The files that the checks look at: what git tracks or would track.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::source::Source;

/// Text files by their path from the root, with `/`. Files that aren't UTF-8 are there by name alone.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, Option<Source>>,
}

impl Tree {
    pub fn load(root: &Path) -> Result<Tree> {
        let mut tree = Tree::default();
        for path in listed(root)? {
            // A tracked file that was deleted and not yet committed is no longer there.
            let Ok(bytes) = std::fs::read(root.join(&path)) else {
                continue;
            };
            tree.files.insert(
                path,
                String::from_utf8(bytes).ok().map(|text| Source::new(&text)),
            );
        }
        Ok(tree)
    }

    /// For tests: a tree out of thin air.
    pub fn of(files: &[(&str, &str)]) -> Tree {
        let files = files
            .iter()
            .map(|(path, text)| (path.to_string(), Some(Source::new(text))));
        Tree {
            files: files.collect(),
        }
    }

    pub fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    pub fn get(&self, path: &str) -> Option<&Source> {
        self.files.get(path)?.as_ref()
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Text files whose name ends so.
    pub fn ending<'a>(
        &'a self,
        ends: &'a [&'a str],
    ) -> impl Iterator<Item = (&'a str, &'a Source)> {
        let texts = self
            .files
            .iter()
            .filter_map(|(path, source)| Some((path.as_str(), source.as_ref()?)));
        texts.filter(move |(path, _)| ends.iter().any(|end| path.ends_with(end)))
    }

    pub fn rust(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.ending(&[".rs"])
    }
}

/// Tracked and untracked files that aren't ignored; without git (an unpacked archive) all but the known outputs.
fn listed(root: &Path) -> Result<Vec<String>> {
    let arguments = [
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ];
    let git = Command::new("git")
        .args(arguments)
        .current_dir(root)
        .output();
    match git {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            Ok(text
                .split('\0')
                .filter(|path| !path.is_empty())
                .map(str::to_owned)
                .collect())
        }
        _ => {
            let mut paths = Vec::new();
            walk(root, "", &mut paths)?;
            Ok(paths)
        }
    }
}

fn walk(root: &Path, below: &str, paths: &mut Vec<String>) -> Result<()> {
    let dir = root.join(below);
    for entry in
        std::fs::read_dir(&dir).with_context(|| format!("{} could not be read", dir.display()))?
    {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() {
            name.clone()
        } else {
            format!("{below}/{name}")
        };
        let is_output = matches!(
            path.as_str(),
            ".git" | "target" | "corpus" | "corpus-mix" | "gotthard-data"
        );
        if is_output {
            continue;
        }
        if entry.file_type()?.is_dir() {
            walk(root, &path, paths)?
        } else {
            paths.push(path)
        }
    }
    Ok(())
}
