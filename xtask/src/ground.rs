//! The ground: system packages that a build or a command stands on.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Something that must be on the machine, and the Debian package that brings it.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    pub package: &'static str,
    pub why: &'static str,
    pub met: fn() -> bool,
}

/// What compiling the workspace takes.
pub const COMPILING: [Need; 3] = [
    Need {
        package: "g++",
        why: "RocksDB is C++",
        met: || has_program("g++") || std::env::var_os("CXX").is_some(),
    },
    Need {
        package: "make",
        why: "jemalloc's own build",
        met: || has_program("make"),
    },
    Need {
        package: "libclang-dev",
        why: "bindgen reads RocksDB's C header",
        met: has_libclang,
    },
];

/// What `corpus` takes beyond that.
pub const CORPUS: [Need; 2] = [
    Need {
        package: "npm",
        why: "the corpus is an npm package",
        met: || has_program("npm"),
    },
    Need {
        package: "tar",
        why: "npm packages are tar files",
        met: || has_program("tar"),
    },
];

/// What `corpus train-dictionary` takes.
pub const DICTIONARY: [Need; 1] = [Need {
    package: "zstd",
    why: "it trains the dictionary",
    met: || has_program("zstd"),
}];

/// Installs what is missing when we are root, otherwise says which line to run.
pub fn ensure(needs: &[Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !(need.met)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for need in &missing {
        eprintln!("xtask: {} is missing ({})", need.package, need.why);
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    if !has_program("apt-get") {
        bail!(
            "install what Debian calls `{}`, and run this again",
            packages.join(" ")
        );
    }
    if !is_root() {
        bail!(
            "run this, and then the command again:\n\n    sudo apt-get install -y {}\n",
            packages.join(" ")
        );
    }
    install(&packages)?;
    match missing.iter().find(|need| !(need.met)()) {
        Some(need) => bail!("{} was installed but is still not found", need.package),
        None => Ok(()),
    }
}

fn install(packages: &[&str]) -> Result<()> {
    for arguments in [
        &["update", "-qq"][..],
        &["install", "-y", "-qq", "--no-install-recommends"],
    ] {
        let is_install = arguments[0] == "install";
        let mut command = Command::new("apt-get");
        command
            .args(arguments)
            .args(if is_install { packages } else { &[] })
            .env("DEBIAN_FRONTEND", "noninteractive");
        eprintln!("xtask: {}", crate::cargo::shown(&command));
        // stdout belongs to the command's own result (`build` prints a path there).
        let output = command.output().context("apt-get could not be started")?;
        // A stale package list may still do; a failed install doesn't.
        if is_install && !output.status.success() {
            bail!(
                "apt-get failed:\n{}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
    }
    Ok(())
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// A program of this name lies in `PATH`.
pub fn has_program(name: impl AsRef<OsStr>) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(name.as_ref()).is_file())
}

/// libclang itself and its own headers: the library alone finds no `stddef.h`.
fn has_libclang() -> bool {
    if std::env::var_os("LIBCLANG_PATH").is_some() {
        return true;
    }
    let llvm_dirs = || {
        folders("/usr/lib")
            .into_iter()
            .filter(|dir| named(dir, "llvm"))
    };
    let library_dirs = llvm_dirs()
        .map(|dir| dir.join("lib"))
        .chain(folders("/usr/lib"));
    let has_library = library_dirs
        .chain(["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from))
        .any(|dir| {
            entries(&dir)
                .iter()
                .any(|file| named(file, "libclang") && file.to_string_lossy().contains(".so"))
        });
    let has_headers = llvm_dirs()
        .map(|dir| dir.join("lib/clang"))
        .chain(["/usr/lib/clang", "/usr/lib64/clang", "/usr/local/lib/clang"].map(PathBuf::from))
        .flat_map(|dir| entries(&dir))
        .any(|version| version.join("include/stddef.h").is_file());
    has_library && has_headers
}

fn folders(dir: &str) -> Vec<PathBuf> {
    entries(Path::new(dir))
        .into_iter()
        .filter(|path| path.is_dir())
        .collect()
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let Ok(found) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    found.flatten().map(|entry| entry.path()).collect()
}

fn named(path: &Path, prefix: &str) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
}
