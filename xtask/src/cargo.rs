//! How cargo is called from here: same flags, same RocksDB, same folder, always.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

use crate::ground;
use crate::rocksdb;
use crate::workspace::Metadata;

/// mail-parser declares a newer compiler than it needs, so cargo must be told to go on.
const FLAGS: [&str; 2] = ["--ignore-rust-version", "--locked"];

/// The cargo that runs us, or the one in the path.
pub fn program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Cargo in this workspace, with everything in place that our dependencies need to be built.
pub struct Cargo {
    root: PathBuf,
    rocksdb_dir: Option<PathBuf>,
}

impl Cargo {
    /// Installs or names missing system packages, and builds RocksDB if its library is not in the cache.
    pub fn prepare(root: &Path) -> Result<Cargo> {
        ground::ensure(&ground::COMPILING)?;
        let rocksdb_dir = match rocksdb::given_dir() {
            Some(dir) => Some(dir),
            None => rocksdb::ensure_library(&Metadata::load(root)?)?,
        };
        Ok(Cargo {
            root: root.to_path_buf(),
            rocksdb_dir,
        })
    }

    /// `cargo SUBCOMMAND --ignore-rust-version --locked`, ready for more arguments.
    pub fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(program());
        command
            .args(subcommand.split(' '))
            .args(FLAGS)
            .current_dir(&self.root)
            .envs(self.env());
        command
    }

    /// What other ways of calling cargo need in their environment to share our builds.
    pub fn env(&self) -> Vec<(&'static str, OsString)> {
        let Some(dir) = &self.rocksdb_dir else {
            return Vec::new();
        };
        vec![
            ("ROCKSDB_LIB_DIR", dir.clone().into()),
            ("ROCKSDB_STATIC", "1".into()),
        ]
    }
}

/// Whether `cargo NAME` exists as an installed subcommand.
pub fn has_subcommand(name: &str) -> bool {
    let probe = Command::new(program())
        .args([name, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    probe.is_ok_and(|status| status.success())
}

/// Runs to the end with our own stdin, stdout and stderr; a failure names the command.
pub fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }
    Ok(())
}

/// Says what is run, and runs it.
pub fn status(command: &mut Command) -> Result<ExitStatus> {
    let line = shown(command);
    eprintln!("xtask: {line}");
    command
        .status()
        .with_context(|| format!("`{line}` could not be started"))
}

/// The command as one would type it, without the path of the program.
pub fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
