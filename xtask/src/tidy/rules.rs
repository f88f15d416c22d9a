//! The rules as data: `arrows.toml`, `xtask/tidy.toml` and `xtask/ratchets.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Clone, Debug, Default)]
pub struct Rules {
    pub arrows: Arrows,
    pub house: House,
    pub ratchets: Ratchets,
}

/// `arrows.toml`: who may import whom.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arrows {
    /// Package → our packages that it may depend on; `*` is all.
    pub arrows: BTreeMap<String, Vec<String>>,
    /// Package (or `*`) → what it may use in tests beyond that.
    #[serde(default)]
    pub dev: BTreeMap<String, Vec<String>>,
    /// Outside package → the only packages that may name it, other than in tests.
    #[serde(default)]
    pub outside: BTreeMap<String, Vec<String>>,
}

/// `xtask/tidy.toml`: the rules about text.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct House {
    #[serde(default)]
    pub banned: Vec<Banned>,
    /// Words in comments that say that something isn't done.
    #[serde(default)]
    pub leftover_words: Vec<String>,
    /// Code that says so.
    #[serde(default)]
    pub leftover_code: Vec<String>,
    /// Module names that say nothing.
    #[serde(default)]
    pub empty_names: Vec<String>,
    /// First folders of absolute paths that hold on one machine alone, without slashes.
    #[serde(default)]
    pub machine_folders: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Banned {
    pub call: String,
    pub instead: String,
    /// Packages, or files and folders from the root, that may.
    #[serde(default)]
    pub allowed: Vec<String>,
    /// Tests may as well.
    #[serde(default)]
    pub tests_may: bool,
}

/// `xtask/ratchets.toml`: kind → package → how many there are. Numbers only fall.
pub type Ratchets = BTreeMap<String, BTreeMap<String, usize>>;

pub const RATCHETS_FILE: &str = "xtask/ratchets.toml";

impl Rules {
    pub fn load(root: &Path) -> Result<Rules> {
        Ok(Rules {
            arrows: read(root, "arrows.toml")?,
            house: read(root, "xtask/tidy.toml")?,
            ratchets: read(root, RATCHETS_FILE)?,
        })
    }
}

fn read<T: DeserializeOwned>(root: &Path, path: &str) -> Result<T> {
    let text = std::fs::read_to_string(root.join(path))
        .with_context(|| format!("{path} could not be read"))?;
    toml::from_str(&text).with_context(|| format!("{path} is not as expected"))
}
