//! The source list cut into units that are compiled as one file each.

use std::path::PathBuf;

/// One call of the compiler: its file includes many of RocksDB's.
pub struct Unit {
    pub name: String,
    pub sources: Vec<PathBuf>,
    pub bytes: u64,
}

/// Cuts at equal shares of the bytes and keeps the order of the list: neighbours share most headers.
pub fn chunks(sources: Vec<(PathBuf, u64)>, count: usize) -> Vec<Unit> {
    let total: u64 = sources.iter().map(|(_, bytes)| bytes).sum();
    let mut units: Vec<Unit> = Vec::new();
    let mut before = 0;
    for (path, bytes) in sources {
        let share = before * count as u64 / total.max(1);
        if units.len() as u64 <= share {
            units.push(Unit {
                name: format!("chunk-{}", units.len()),
                sources: Vec::new(),
                bytes: 0,
            });
        }
        if let Some(unit) = units.last_mut() {
            unit.sources.push(path);
            unit.bytes += bytes;
        }
        before += bytes;
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_keep_every_file_once_in_order() {
        let check = |sizes: &[u64], count: usize, expect: &[usize]| {
            let sources = sizes
                .iter()
                .enumerate()
                .map(|(i, bytes)| (PathBuf::from(format!("{i}.cc")), *bytes));
            let units = chunks(sources.collect(), count);
            assert_eq!(
                units.iter().map(|u| u.sources.len()).collect::<Vec<_>>(),
                expect,
                "{sizes:?}"
            );
            let names: Vec<_> = units
                .iter()
                .flat_map(|u| &u.sources)
                .map(|p| p.display().to_string())
                .collect();
            let all: Vec<_> = (0..sizes.len()).map(|i| format!("{i}.cc")).collect();
            assert_eq!(names, all);
        };
        check(&[], 8, &[]);
        check(&[5], 8, &[1]);
        check(&[1, 1, 1, 1], 2, &[2, 2]);
        check(&[100, 1, 1, 1], 2, &[1, 3]);
        check(&[1, 1, 1, 100], 2, &[4]);
    }
}
