//! A second journal from one that nobody has open, made in a moment: sealed segments never change, so they are linked,
//! and only what is still written to is copied. The first one stays as it is, whatever happens to the second.

use crate::eras::Eras;
use crate::format::{parse_segment_name, segment_name};
use crate::heads::read_heads;
use crate::recover::{LOCK_NAME, lock};
use crate::sealed::read_footer;
use crate::{Disk, DiskLock, Identity, OpenError};
use std::fs;
use std::path::Path;

/// Keeps everybody else from opening the journal for as long as the answer lives.
pub fn hold(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn DiskLock>, OpenError> {
    lock(disk, dir)
}

/// Copies the journal in `from`, which the caller holds, to the empty folder `to`. Where links are impossible (another
/// file system), all is copied. `copied` is told the octets of each file that is done.
pub fn copy(
    disk: &dyn Disk,
    from: &Path,
    to: &Path,
    mut copied: impl FnMut(u64),
) -> Result<(), OpenError> {
    let names = disk
        .list(from)
        .map_err(|e| OpenError::io("list", from, &e))?;
    let mut sequences: Vec<u64> = names
        .iter()
        .filter(|name| *name != LOCK_NAME)
        .filter_map(|name| parse_segment_name(name))
        .collect();
    sequences.sort_unstable();
    let heads = read_heads(disk, from, &sequences)?;
    let eras = Eras::agree(from, &heads, None)?;
    for head in heads {
        let target = to.join(segment_name(head.sequence));
        let seed = eras.seed(head.sequence);
        let is_sealed = read_footer(&*head.file, head.bytes, seed).is_some();
        if !(is_sealed && fs::hard_link(&head.path, &target).is_ok()) {
            fs::copy(&head.path, &target).map_err(|e| OpenError::io("copy", &head.path, &e))?;
            let file = fs::File::open(&target);
            let flushed = file.and_then(|file| file.sync_all());
            flushed.map_err(|e| OpenError::io("flush", &target, &e))?;
        }
        copied(head.bytes);
    }
    disk.flush_dir(to)
        .map_err(|e| OpenError::io("flush", to, &e))
}

/// Whose journal it is, by its newest segment.
pub fn owner(disk: &dyn Disk, dir: &Path) -> Result<Identity, OpenError> {
    let names = disk.list(dir).map_err(|e| OpenError::io("list", dir, &e))?;
    let sequences = names.iter().filter_map(|name| parse_segment_name(name));
    let mut sequences: Vec<u64> = sequences.collect();
    sequences.sort_unstable();
    let heads = read_heads(disk, dir, &sequences)?;
    Ok(Eras::agree(dir, &heads, None)?.owner())
}
