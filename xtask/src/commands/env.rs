//! `env`: what a shell needs so that plain cargo finds our RocksDB.

use std::path::Path;

use anyhow::Result;

use crate::cargo::Cargo;

pub fn run(root: &Path) -> Result<()> {
    for (name, value) in Cargo::prepare(root)?.env() {
        println!(
            "export {name}='{}'",
            value.to_string_lossy().replace('\'', "'\\''")
        );
    }
    Ok(())
}
