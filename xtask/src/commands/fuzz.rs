//! `fuzz`: libFuzzer on the targets in `xtask/fuzz`, built here because cargo-fuzz can't pass `--ignore-rust-version`.
//!
//! Ours is safe Rust, so coverage is asked of the stable compiler and no sanitizer is needed, nor a nightly.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::{self, Cargo};
use crate::cli::FuzzArgs;
use crate::workspace::Metadata;

const FOLDER: &str = "xtask/fuzz";

/// What makes libFuzzer see edges and compared values. Debug assertions and overflow checks stay on.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0 \
    -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks --cfg fuzzing";

/// Larger inputs than this find little and cost much.
const INPUT_BYTES_MAX: usize = 16 * 1024;

/// One input that takes longer is reported as a hang, seconds.
const INPUT_SECONDS_MAX: u32 = 10;

pub fn run(root: &Path, args: &FuzzArgs) -> Result<()> {
    let known = targets(&root.join(FOLDER).join("src/bin"))?;
    if args.list {
        known.iter().for_each(|name| println!("{name}"));
        return Ok(());
    }
    if let Some(unknown) = args.targets.iter().find(|name| !known.contains(name)) {
        bail!(
            "there is no fuzz target `{unknown}`; there are: {}",
            known.join(", ")
        );
    }
    let chosen = if args.targets.is_empty() {
        &known
    } else {
        &args.targets
    };

    let cargo = Cargo::prepare(root)?;
    let host = host_triple()?;
    let output_dir = Metadata::load(root)?.target_dir;
    let target_dir = output_dir.join("fuzz");
    // The targets share our locked versions; cargo adds libFuzzer alone, which is pinned in their manifest.
    let lock = root.join(FOLDER).join("Cargo.lock");
    fs::copy(root.join("Cargo.lock"), &lock)
        .with_context(|| format!("{} was not written", lock.display()))?;
    let mut build = Command::new(cargo::program());
    build.args([
        "build",
        "--ignore-rust-version",
        "--release",
        "--manifest-path",
        &format!("{FOLDER}/Cargo.toml"),
    ]);
    // With `--target`, build scripts and macros are compiled without the flags.
    build
        .args(["--target", &host])
        .arg("--target-dir")
        .arg(&target_dir);
    build.args(chosen.iter().flat_map(|target| ["--bin", target]));
    build
        .current_dir(root)
        .envs(cargo.env())
        .env("RUSTFLAGS", COVERAGE);
    cargo::run(&mut build)?;

    for target in chosen {
        // What it found stays, so that the next run goes on from there; inputs that broke something lie apart.
        let found = output_dir.join("fuzz-found").join(target);
        let broken = output_dir.join("fuzz-broken").join(target);
        for dir in [&found, &broken] {
            fs::create_dir_all(dir)
                .with_context(|| format!("{} could not be created", dir.display()))?;
        }
        let seeds = root.join(FOLDER).join("seeds").join(target);
        let mut fuzzer = Command::new(target_dir.join(&host).join("release").join(target));
        fuzzer.arg(&found).args(seeds.is_dir().then_some(seeds));
        fuzzer
            .arg(format!("-max_total_time={}", args.seconds))
            .arg(format!("-max_len={INPUT_BYTES_MAX}"));
        fuzzer
            .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
            .arg("-print_final_stats=1");
        fuzzer.arg(format!("-artifact_prefix={}/", broken.display()));
        let message = || format!("`{target}` broke, by an input in {}", broken.display());
        cargo::run(&mut fuzzer).with_context(message)?;
    }
    Ok(())
}

/// A target is a file: `src/bin/NAME.rs`.
fn targets(dir: &Path) -> Result<Vec<String>> {
    let entries =
        fs::read_dir(dir).with_context(|| format!("{} could not be read", dir.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if let (Some(name), true) = (
            path.file_stem(),
            path.extension().is_some_and(|end| end == "rs"),
        ) {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn host_triple() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .arg("-vV")
        .output()
        .context("rustc could not be started")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc named no host")?;
    Ok(host.to_owned())
}
