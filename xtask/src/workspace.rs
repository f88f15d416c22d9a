//! What `cargo metadata` says about the workspace, reduced to what the checks ask for.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The folder of the workspace: the parent of `xtask`, known when this was compiled.
pub fn root() -> PathBuf {
    let manifest_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest_dir.parent().unwrap_or(manifest_dir).to_path_buf()
}

/// Everything that `Cargo.lock` resolves to, ours and others'.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    pub members: Vec<Package>,
    pub outside: Vec<Package>,
    pub target_dir: PathBuf,
}

#[derive(Clone, Debug, Default)]
pub struct Package {
    pub name: String,
    pub version: String,
    pub license: Option<String>,
    /// `None` for a path, otherwise where it comes from, as cargo prints it.
    pub source: Option<String>,
    /// The folder of the manifest: relative to the workspace for members, absolute for others.
    pub dir: PathBuf,
    pub dependencies: Vec<Dependency>,
    pub targets: Vec<Target>,
}

#[derive(Clone, Debug)]
pub struct Dependency {
    pub name: String,
    pub kind: DependencyKind,
    /// One of our own crates, named by path.
    pub ours: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DependencyKind {
    Normal,
    Dev,
    Build,
}

#[derive(Clone, Debug)]
pub struct Target {
    /// `lib`, `bin`, `test`, `bench`, `example`, `custom-build` …
    pub kind: String,
    /// Relative to the workspace for members.
    pub root_file: PathBuf,
}

impl Metadata {
    /// Asks cargo; `Cargo.lock` is not changed.
    pub fn load(root: &Path) -> Result<Metadata> {
        let output = Command::new(crate::cargo::program())
            .args(["metadata", "--format-version", "1", "--locked"])
            .current_dir(root)
            .output()
            .context("cargo metadata could not be started")?;
        if !output.status.success() {
            bail!(
                "cargo metadata failed:\n{}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Self::parse(&output.stdout, root)
    }

    fn parse(json: &[u8], root: &Path) -> Result<Metadata> {
        let raw: raw::Metadata =
            serde_json::from_slice(json).context("cargo metadata printed something unexpected")?;
        let mut metadata = Metadata {
            target_dir: raw.target_directory,
            ..Metadata::default()
        };
        for package in raw.packages {
            let ours = raw.workspace_members.contains(&package.id);
            let package = package.reduce(ours.then_some(root));
            if ours {
                metadata.members.push(package)
            } else {
                metadata.outside.push(package)
            }
        }
        Ok(metadata)
    }

    /// An outside package that must be in the lock file, such as `librocksdb-sys`.
    pub fn outside(&self, name: &str) -> Result<&Package> {
        self.outside
            .iter()
            .find(|p| p.name == name)
            .with_context(|| format!("`{name}` is not in Cargo.lock"))
    }
}

/// The JSON of `cargo metadata --format-version 1`.
mod raw {
    use super::*;

    #[derive(Deserialize)]
    pub struct Metadata {
        pub packages: Vec<Package>,
        pub workspace_members: Vec<String>,
        pub target_directory: PathBuf,
    }

    #[derive(Deserialize)]
    pub struct Package {
        pub id: String,
        name: String,
        version: String,
        license: Option<String>,
        source: Option<String>,
        manifest_path: PathBuf,
        dependencies: Vec<Dependency>,
        targets: Vec<Target>,
    }

    #[derive(Deserialize)]
    struct Dependency {
        name: String,
        kind: Option<String>,
        path: Option<PathBuf>,
    }

    #[derive(Deserialize)]
    struct Target {
        kind: Vec<String>,
        src_path: PathBuf,
    }

    impl Package {
        pub fn reduce(self, relative_to: Option<&Path>) -> super::Package {
            let shorten = |path: PathBuf| match relative_to {
                Some(root) => path
                    .strip_prefix(root)
                    .map(Path::to_path_buf)
                    .unwrap_or(path),
                None => path,
            };
            let dir = self
                .manifest_path
                .parent()
                .map(Path::to_path_buf)
                .unwrap_or_default();
            super::Package {
                name: self.name,
                version: self.version,
                license: self.license,
                source: self.source,
                dir: shorten(dir),
                dependencies: self
                    .dependencies
                    .into_iter()
                    .map(Dependency::reduce)
                    .collect(),
                targets: self
                    .targets
                    .into_iter()
                    .map(|target| target.reduce(shorten))
                    .collect(),
            }
        }
    }

    impl Dependency {
        fn reduce(self) -> super::Dependency {
            let kind = match self.kind.as_deref() {
                Some("dev") => DependencyKind::Dev,
                Some("build") => DependencyKind::Build,
                _ => DependencyKind::Normal,
            };
            super::Dependency {
                name: self.name,
                kind,
                ours: self.path.is_some(),
            }
        }
    }

    impl Target {
        fn reduce(self, shorten: impl Fn(PathBuf) -> PathBuf) -> super::Target {
            super::Target {
                kind: self.kind.into_iter().next().unwrap_or_default(),
                root_file: shorten(self.src_path),
            }
        }
    }
}
