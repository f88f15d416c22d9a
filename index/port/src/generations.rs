//! Where a shard's index lies: `shard-NNNN/gen-NNNN`, and a file `current` that names the one in use. A rebuild fills the
//! next one beside it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub struct Generations {
    folder: PathBuf,
    pub current: u64,
}

impl Generations {
    /// Removes what a rebuild that was cut short left.
    pub fn open(folder: PathBuf) -> io::Result<Generations> {
        fs::create_dir_all(&folder)?;
        let named = fs::read_to_string(folder.join("current")).unwrap_or_default();
        let generations = Generations {
            current: named.trim().parse().unwrap_or(1),
            folder,
        };
        generations.remove_others()?;
        Ok(generations)
    }

    pub fn path(&self, generation: u64) -> PathBuf {
        self.folder.join(format!("gen-{generation:04}"))
    }

    /// From now on, also after a crash.
    pub fn switch(&mut self, generation: u64) -> io::Result<()> {
        let new = self.folder.join("current.new");
        let mut file = File::create(&new)?;
        writeln!(file, "{generation}")?;
        file.sync_all()?;
        fs::rename(&new, self.folder.join("current"))?;
        File::open(&self.folder)?.sync_all()?;
        self.current = generation;
        self.remove_others()
    }

    fn remove_others(&self) -> io::Result<()> {
        let keep = self.path(self.current);
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let is_generation = is_named(&path, "gen-");
            if is_generation && path != keep {
                fs::remove_dir_all(path)?;
            }
        }
        Ok(())
    }
}

fn is_named(path: &Path, start: &str) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(start))
}
