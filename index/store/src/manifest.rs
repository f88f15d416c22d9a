//! Which runs there are, what is deleted in them, and the log position that they are complete to: one file, replaced as a
//! whole. What it does not name does not belong to the index.

use crate::dead::{Cleaned, Dead, Death};
use crate::run::RunId;
use crate::wire::{Numbers, put, seal, unseal};
use engine_types::{AccountId, EmailId};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

const MAGIC: &[u8; 8] = b"GoSrMf\r\n";
const FORMAT: u64 = 1;
pub const NAME: &str = "manifest";
const NEW_NAME: &str = "manifest.new";

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifest {
    /// Only rises. All that the log says up to here is in the runs.
    pub position: u64,
    /// The next run's number and sequence.
    pub next_run: u64,
    /// Of deletions.
    pub next_death: u64,
    /// Oldest first.
    pub runs: Vec<(RunId, Cleaned)>,
    pub dead: Dead,
}

impl Manifest {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for number in [
            FORMAT,
            self.position,
            self.next_run,
            self.next_death,
            self.runs.len() as u64,
        ] {
            put(&mut out, number);
        }
        for (id, cleaned) in &self.runs {
            for number in [id.0, cleaned.first, cleaned.last, cleaned.number] {
                put(&mut out, number);
            }
        }
        put(&mut out, self.dead.len() as u64);
        for (account, id, death) in self.dead.iter() {
            for number in [account.0, id.0, death.number, death.upto] {
                put(&mut out, number);
            }
        }
        seal(&mut out, 0);
        out
    }

    pub fn decode(blob: &[u8]) -> Option<Self> {
        let mut numbers = Numbers(unseal(blob)?.strip_prefix(MAGIC)?);
        if numbers.number()? != FORMAT {
            return None;
        }
        let mut manifest = Self {
            position: numbers.number()?,
            next_run: numbers.number()?,
            next_death: numbers.number()?,
            ..Self::default()
        };
        for _ in 0..numbers.number()? {
            let id = RunId(numbers.number()?);
            let cleaned = Cleaned {
                first: numbers.number()?,
                last: numbers.number()?,
                number: numbers.number()?,
            };
            manifest.runs.push((id, cleaned));
        }
        for _ in 0..numbers.number()? {
            let account = AccountId(numbers.number()?);
            let id = EmailId(numbers.number()?);
            let death = Death {
                number: numbers.number()?,
                upto: numbers.number()?,
            };
            manifest.dead.insert(account, id, death);
        }
        Some(manifest)
    }

    /// `None` without a file, or with one that is not what was written: the index is then empty, at position 0.
    pub fn read(folder: &Path) -> io::Result<Option<Self>> {
        match fs::read(folder.join(NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            blob => Ok(Self::decode(&blob?)),
        }
    }

    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let new = folder.join(NEW_NAME);
        let mut file = File::create(&new)?;
        file.write_all(&self.encode())?;
        file.sync_all()?;
        fs::rename(&new, folder.join(NAME))?;
        File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_comes_back() {
        let cleaned = Cleaned {
            first: 1,
            last: 4,
            number: 2,
        };
        let mut manifest = Manifest {
            position: 900,
            next_run: 6,
            next_death: 3,
            runs: vec![(RunId(5), cleaned)],
            dead: Dead::default(),
        };
        let death = Death { number: 2, upto: 4 };
        manifest.dead.insert(AccountId(7), EmailId(8), death);
        assert_eq!(Manifest::decode(&manifest.encode()), Some(manifest.clone()));
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), None);
        manifest.write(folder.path()).unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), Some(manifest));
        fs::write(folder.path().join(NAME), b"GoSrMf").unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), None);
    }
}
