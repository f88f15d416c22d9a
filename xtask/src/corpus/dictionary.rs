//! Trains the default zstd dictionary on a seeded half of the corpus, and measures it on the other half alone.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::report::messages;
use crate::ground;
use crate::limits::DICTIONARY_BYTES;

/// Part of the selection rule, so part of what `default-v1` means.
const SEED: &str = "gotthard dictionary default-v1";

/// The best of eleven that were tried; all lie within 2 % of each other.
const TRAINING: &str = "--train-cover=k=256,d=8";

/// The level that bodies are stored with.
const LEVEL: &str = "-3";

/// Writes the dictionary to `target`, and prints what it is worth.
pub fn run(corpus: &Path, target: &Path) -> Result<()> {
    ground::ensure(&ground::DICTIONARY)?;
    let all = messages(corpus).context("run `cargo xtask corpus` first")?;
    let (training, measured): (Vec<PathBuf>, Vec<PathBuf>) =
        all.into_iter().partition(|path| is_trained_on(path));
    if training.is_empty() || measured.is_empty() {
        bail!("{} holds too few messages", corpus.display());
    }
    println!(
        "trained on {} messages, {} bytes",
        training.len(),
        bytes(&training)?
    );
    let limit = format!("--maxdict={DICTIONARY_BYTES}");
    zstd(
        [
            TRAINING.as_ref(),
            limit.as_ref(),
            "-o".as_ref(),
            target.as_os_str(),
        ],
        &training,
    )?;
    let dictionary = fs::read(target)?;
    let hash: String = Sha256::digest(&dictionary)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    println!(
        "{}: {} bytes, sha256 {hash}",
        target.display(),
        dictionary.len()
    );

    let work = std::env::temp_dir().join(format!("gotthard-dictionary-{}", std::process::id()));
    let table = measure(&measured, target, &work);
    fs::remove_dir_all(&work).context("the folder for the measurement could not be removed")?;
    println!("{}", table?);
    Ok(())
}

/// The selection rule: by name alone, so not by order, chance or machine.
fn is_trained_on(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Sha256::digest(format!("{SEED}\n{name}"))[0].is_multiple_of(2)
}

#[derive(Default)]
struct Row {
    messages: u64,
    original: u64,
    plain: u64,
    with_dictionary: u64,
}

/// Stored/original for each group of the corpus, a frame for each message.
fn measure(measured: &[PathBuf], dictionary: &Path, work: &Path) -> Result<String> {
    let (plain, with) = (work.join("plain"), work.join("with"));
    for (dir, extra) in [(&plain, None), (&with, Some(dictionary))] {
        fs::create_dir_all(dir)?;
        let dictionary = extra
            .into_iter()
            .flat_map(|path| [OsStr::new("-D"), path.as_os_str()]);
        let fixed = [LEVEL, "--no-check", "--output-dir-flat"].map(OsStr::new);
        zstd(dictionary.chain(fixed).chain([dir.as_os_str()]), measured)?;
    }
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for path in measured {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let group = name
            .rsplit_once('-')
            .map_or(name.as_str(), |(group, _)| group)
            .to_owned();
        let stored = |dir: &Path| {
            fs::metadata(dir.join(format!("{name}.zst"))).map(|metadata| metadata.len())
        };
        let (original, plain, with_dictionary) =
            (fs::metadata(path)?.len(), stored(&plain)?, stored(&with)?);
        for key in [group, "all".to_owned()] {
            let row = rows.entry(key).or_default();
            row.messages += 1;
            row.original += original;
            row.plain += plain;
            row.with_dictionary += with_dictionary;
        }
    }
    let mut table =
        "| group | messages | bytes | without | with |\n|---|---|---|---|---|\n".to_owned();
    for (group, row) in rows {
        let ratio = |stored: u64| stored as f64 / row.original.max(1) as f64;
        let (plain, with) = (ratio(row.plain), ratio(row.with_dictionary));
        table += &format!(
            "| {group} | {} | {} | {plain:.3} | {with:.3} |\n",
            row.messages, row.original
        );
    }
    Ok(table)
}

fn zstd<'a>(arguments: impl IntoIterator<Item = &'a OsStr>, files: &[PathBuf]) -> Result<()> {
    let output = Command::new("zstd")
        .args(["-q", "-f"])
        .args(arguments)
        .args(files)
        .output();
    let output = output.context("zstd could not be started")?;
    if !output.status.success() {
        bail!(
            "zstd failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

fn bytes(files: &[PathBuf]) -> Result<u64> {
    files.iter().map(|file| Ok(fs::metadata(file)?.len())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_halves_are_fixed() {
        let half: Vec<u32> = (1..=20)
            .filter(|n| is_trained_on(Path::new(&format!("x/spam-1-{n:05}.eml"))))
            .collect();
        assert_eq!(
            half,
            [1, 5, 6, 10, 11, 12, 13, 14, 16, 17, 19, 20],
            "the rule decides what `default-v1` was measured on"
        );
        assert!(
            is_trained_on(Path::new("a/spam-1-00001.eml"))
                == is_trained_on(Path::new("b/spam-1-00001.eml"))
        );
    }
}
