//! The rules of the house that no compiler holds: arrows, heads, bans, leftovers, dead files, names, links, ratchets.
//!
//! A rule is a file here with one `check` from values to findings, and a table of clean inputs and broken twins below
//! it. Nothing here writes; `ratchets::lower` (for `cargo xtask fix`) is the exception and says so.

mod arrows;
mod bans;
mod declarations;
mod heads;
mod leftovers;
mod links;
mod modules;
mod names;
pub mod ratchets;
mod rules;
mod source;
mod text;
mod tree;

use std::fmt;
use std::path::Path;

use anyhow::Result;

use crate::workspace::Metadata;

/// One thing to change, where, and how.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    pub file: String,
    /// From 1; 0 where the whole file is meant.
    pub line: usize,
    pub text: String,
}

impl Finding {
    fn new(file: &str, line: usize, text: impl Into<String>) -> Finding {
        Finding {
            file: file.to_owned(),
            line,
            text: text.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.text),
            line => write!(f, "{}:{line}: {}", self.file, self.text),
        }
    }
}

/// All findings in the tree below `root`, sorted by place.
pub fn run(root: &Path) -> Result<Vec<Finding>> {
    let rules = rules::Rules::load(root)?;
    let members = Metadata::load(root)?.members;
    let tree = tree::Tree::load(root)?;
    let reach = modules::Reach::walk(&tree, &members);

    let mut findings = arrows::check(&members, &rules.arrows);
    findings.extend(heads::check(&tree, &members));
    findings.extend(modules::check(&tree, &reach));
    findings.extend(bans::check(&tree, &reach, &members, &rules.house.banned));
    findings.extend(leftovers::check(&tree, &rules.house));
    findings.extend(names::check(&tree, &rules.house.empty_names));
    findings.extend(text::check(&tree, &rules.house.machine_folders));
    findings.extend(links::check(&tree));
    findings.extend(ratchets::check(
        &ratchets::count(&tree, &reach, &members),
        &rules.ratchets,
    ));
    findings.sort();
    findings.dedup();
    Ok(findings)
}
