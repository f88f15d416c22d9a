//! RocksDB, compiled once for all profiles, outside `target`: its own source list in unity chunks.
//!
//! Defines and includes are those of librocksdb-sys' build script with the features `lz4` and `zstd`. The
//! library holds no zstd and no lz4: those come from zstd-sys and lz4-sys, which the binding links anyway.

mod jobs;
mod units;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use self::units::{Unit, chunks};
use crate::limits::{ROCKSDB_CHUNKS, SHOWN_ERROR_LINES};
use crate::workspace::Metadata;

const ARCHIVE: &str = "librocksdb.a";

/// Replaced by a file beside the list, as the build script does.
const GENERATED_SOURCE: &str = "util/build_version.cc";

const DEFINES: [&str; 12] = [
    "LZ4=1",
    "ZSTD=1",
    "NDEBUG=1",
    "HAVE_ALIGNED_NEW",
    "HAVE_UINT128_EXTENSION",
    "OS_LINUX",
    "ROCKSDB_PLATFORM_POSIX",
    "ROCKSDB_LIB_IO_POSIX",
    "ROCKSDB_SCHED_GETCPU_PRESENT",
    "ROCKSDB_AUXV_GETAUXVAL_PRESENT",
    "ROCKSDB_FALLOCATE_PRESENT",
    "ROCKSDB_RANGESYNC_PRESENT",
];

/// Language, optimisation and sections as the build script has them; warnings are not ours to act on.
const FLAGS: [&str; 8] = [
    "-std=c++20",
    "-O2",
    "-fPIC",
    "-ffunction-sections",
    "-fdata-sections",
    "-w",
    "-include",
    "cstdint",
];

/// Hardware checksums, without asking for more than every machine of the last twelve years has.
const ARCHITECTURE_FLAGS: &[&str] = if cfg!(target_arch = "x86_64") {
    &["-m64", "-march=x86-64-v2"]
} else if cfg!(target_arch = "aarch64") {
    &["-march=armv8-a+crc+crypto"]
} else {
    &[]
};

/// The folder that the caller chose by `ROCKSDB_LIB_DIR`, if the library is in it.
pub fn given_dir() -> Option<PathBuf> {
    let dir = PathBuf::from(std::env::var_os("ROCKSDB_LIB_DIR")?);
    dir.join(ARCHIVE).is_file().then_some(dir)
}

/// The folder with `librocksdb.a`, built now if it isn't there. `None` where this recipe doesn't hold: the binding
/// then builds RocksDB itself.
pub fn ensure_library(metadata: &Metadata) -> Result<Option<PathBuf>> {
    if !cfg!(target_os = "linux") {
        eprintln!("xtask: not Linux, so RocksDB is left to its own build script (slow)");
        return Ok(None);
    }
    let recipe = Recipe::new(metadata)?;
    let dir = cache_dir()?.join(format!("rocksdb-{}-{}", recipe.version, recipe.hash()));
    if dir.join(ARCHIVE).is_file() {
        return Ok(Some(dir));
    }
    fs::create_dir_all(&dir).with_context(|| format!("{} could not be created", dir.display()))?;
    // Two builds at once would each take all cores and memory; the second finds the work done.
    let lock = File::create(dir.join("lock"))?;
    lock.lock()
        .context("the cache of RocksDB could not be locked")?;
    if !dir.join(ARCHIVE).is_file() {
        recipe.build(&dir)?;
    }
    Ok(Some(dir))
}

/// `$GOTTHARD_CACHE`, or `~/.cache/gotthard`.
pub fn cache_dir() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("GOTTHARD_CACHE") {
        return Ok(dir.into());
    }
    let home = std::env::var_os("HOME").context("neither GOTTHARD_CACHE nor HOME is set")?;
    Ok(Path::new(&home).join(".cache/gotthard"))
}

struct Recipe {
    version: String,
    compiler: String,
    compiler_version: String,
    sys_dir: PathBuf,
    include_dirs: Vec<PathBuf>,
}

impl Recipe {
    fn new(metadata: &Metadata) -> Result<Recipe> {
        let sys = metadata.outside("librocksdb-sys")?;
        let lz4 = metadata.outside("lz4-sys")?.dir.join("liblz4/lib");
        let zstd = metadata.outside("zstd-sys")?.dir.join("zstd/lib");
        let rocksdb = sys.dir.join("rocksdb");
        let gtest = rocksdb.join("third-party/gtest-1.8.1/fused-src");
        let include_dirs = vec![
            rocksdb.join("include"),
            rocksdb,
            gtest,
            lz4,
            zstd,
            sys.dir.clone(),
        ];
        let compiler = std::env::var("CXX").unwrap_or_else(|_| "g++".to_owned());
        let version = Command::new(&compiler).arg("--version").output();
        let version = version
            .with_context(|| format!("the C++ compiler `{compiler}` could not be started"))?;
        Ok(Recipe {
            version: sys.version.clone(),
            compiler_version: String::from_utf8_lossy(&version.stdout)
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned(),
            compiler,
            sys_dir: sys.dir.clone(),
            include_dirs,
        })
    }

    /// Names the folder in the cache: other flags, defines or compiler, other library.
    fn hash(&self) -> String {
        let mut hash = Sha256::new();
        let words = FLAGS
            .iter()
            .chain(ARCHITECTURE_FLAGS)
            .chain(&DEFINES)
            .copied();
        for word in words.chain([self.compiler.as_str(), self.compiler_version.as_str()]) {
            hash.update(word.as_bytes());
            hash.update([0]);
        }
        hash.finalize()
            .iter()
            .take(6)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    fn build(&self, dir: &Path) -> Result<()> {
        let work = dir.join("work");
        fs::create_dir_all(&work)?;
        let units = self.units()?;
        let jobs = jobs::at_once().min(units.len());
        eprintln!(
            "xtask: RocksDB {} is compiled once, in {} units by {jobs} jobs,",
            self.version,
            units.len()
        );
        eprintln!(
            "xtask: into {} (on two idle cores about three minutes)",
            dir.display()
        );
        let started = Instant::now();
        let objects = self.compile_all(&units, &work, jobs, started)?;

        let archive = work.join(ARCHIVE);
        let _ = fs::remove_file(&archive);
        let mut ar = Command::new(std::env::var_os("AR").unwrap_or_else(|| "ar".into()));
        let output = ar
            .arg("crs")
            .arg(&archive)
            .args(&objects)
            .output()
            .context("`ar` could not be started")?;
        if !output.status.success() {
            bail!(
                "`ar` failed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        // The name appears only when the file is whole, so an interrupted build is never taken for one.
        fs::rename(&archive, dir.join(ARCHIVE))?;
        fs::remove_dir_all(&work)?;
        eprintln!("xtask: RocksDB done in {} s", started.elapsed().as_secs());
        Ok(())
    }

    /// The list cut into chunks of about equal size, largest first, so that no core idles long at the end.
    fn units(&self) -> Result<Vec<Unit>> {
        let list = self.sys_dir.join("rocksdb_lib_sources.txt");
        let list = fs::read_to_string(&list)
            .with_context(|| format!("{} could not be read", list.display()))?;
        let mut sources = Vec::new();
        for line in list
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && *line != GENERATED_SOURCE)
        {
            let path = self.sys_dir.join("rocksdb").join(line);
            let bytes = fs::metadata(&path)
                .with_context(|| format!("{} is missing", path.display()))?
                .len();
            sources.push((path, bytes));
        }
        let mut units = chunks(sources, ROCKSDB_CHUNKS);
        units.sort_by_key(|unit| std::cmp::Reverse(unit.bytes));
        let version = self.sys_dir.join("build_version.cc");
        units.push(Unit {
            name: "build_version".to_owned(),
            sources: vec![version],
            bytes: 0,
        });
        Ok(units)
    }

    fn compile_all(
        &self,
        units: &[Unit],
        work: &Path,
        jobs: usize,
        started: Instant,
    ) -> Result<Vec<PathBuf>> {
        let next = AtomicUsize::new(0);
        let done = AtomicUsize::new(0);
        let worker = || -> Result<Vec<PathBuf>> {
            let mut objects = Vec::new();
            while let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) {
                let compiled = self.compile_or_split(unit, work);
                if compiled.is_err() {
                    next.store(units.len(), Ordering::Relaxed); // the other workers start nothing more
                }
                objects.extend(compiled?);
                let count = done.fetch_add(1, Ordering::Relaxed) + 1;
                eprintln!(
                    "xtask: RocksDB {count} of {} units, {} s",
                    units.len(),
                    started.elapsed().as_secs()
                );
            }
            Ok(objects)
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(worker)).collect();
            let mut objects = Vec::new();
            for worker in workers {
                objects.extend(
                    worker
                        .join()
                        .map_err(|_| anyhow::anyhow!("a compile job panicked"))??,
                );
            }
            objects.sort();
            Ok(objects)
        })
    }

    /// Another compiler may find two files that can't share a unit: then each is compiled alone.
    fn compile_or_split(&self, unit: &Unit, work: &Path) -> Result<Vec<PathBuf>> {
        match self.compile(unit, work) {
            Ok(object) => Ok(vec![object]),
            Err(error) if unit.sources.len() == 1 => Err(error),
            Err(_) => {
                eprintln!(
                    "xtask: RocksDB unit {} does not compile as one, so file by file (slow)",
                    unit.name
                );
                let singles = unit.sources.iter().enumerate().map(|(number, source)| {
                    let name = format!("{}-{number}", unit.name);
                    self.compile(
                        &Unit {
                            name,
                            sources: vec![source.clone()],
                            bytes: 0,
                        },
                        work,
                    )
                });
                singles.collect()
            }
        }
    }

    fn compile(&self, unit: &Unit, work: &Path) -> Result<PathBuf> {
        let file = work.join(format!("{}.cc", unit.name));
        let object = work.join(format!("{}.o", unit.name));
        let text: String = unit
            .sources
            .iter()
            .map(|s| format!("#include \"{}\"\n", s.display()))
            .collect();
        fs::write(&file, text)?;
        let mut command = Command::new(&self.compiler);
        command
            .args(FLAGS)
            .args(ARCHITECTURE_FLAGS)
            .args(DEFINES.iter().map(|define| format!("-D{define}")));
        for dir in &self.include_dirs {
            command.arg("-I").arg(dir);
        }
        command.arg("-c").arg(&file).arg("-o").arg(&object);
        let output = command
            .output()
            .with_context(|| format!("`{}` could not be started", self.compiler))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            let head: Vec<&str> = text.lines().take(SHOWN_ERROR_LINES).collect();
            bail!(
                "RocksDB unit {} does not compile ({}):\n{}",
                unit.name,
                output.status,
                head.join("\n")
            );
        }
        Ok(object)
    }
}
