//! `rocksdb`: the library alone, for CI caches and for those who call cargo themselves.

use std::path::Path;

use anyhow::Result;

use crate::ground;
use crate::rocksdb;
use crate::workspace::Metadata;

pub fn run(root: &Path) -> Result<()> {
    ground::ensure(&ground::COMPILING)?;
    if let Some(dir) = rocksdb::ensure_library(&Metadata::load(root)?)? {
        println!("{}", dir.display());
    }
    Ok(())
}
