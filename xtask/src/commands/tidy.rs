//! `tidy`: the rules of the house, on the tree as it is.

use std::path::Path;

use anyhow::{Result, bail};

use crate::tidy;

pub fn run(root: &Path) -> Result<()> {
    let findings = tidy::run(root)?;
    for finding in &findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        1 => bail!("tidy found one thing"),
        count => bail!("tidy found {count} things"),
    }
}
