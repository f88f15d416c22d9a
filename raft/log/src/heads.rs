//! The heads of all segments: whose journal it is, before anything else of it is believed.

use crate::format::{HEAD_AREA_BYTES, HeadCopies, SegmentHead, segment_name};
use crate::{Disk, DiskFile, OpenError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) struct HeadRead {
    pub sequence: u64,
    pub path: PathBuf,
    pub file: Arc<dyn DiskFile>,
    pub bytes: u64,
    pub copies: HeadCopies,
}

impl HeadRead {
    /// `None`: both.
    pub fn damaged_copies(&self) -> Option<[bool; 2]> {
        match self.copies {
            HeadCopies::Sound(_, copies) => Some(copies),
            HeadCopies::Damaged | HeadCopies::Newer => None,
        }
    }
}

pub(crate) fn read_heads(
    disk: &dyn Disk,
    dir: &Path,
    sequences: &[u64],
) -> Result<Vec<HeadRead>, OpenError> {
    let mut heads = Vec::new();
    for &sequence in sequences {
        let path = dir.join(segment_name(sequence));
        let file = disk
            .open_to_read(&path)
            .map_err(|e| OpenError::io("open", &path, &e))?;
        let bytes = file.len().map_err(|e| OpenError::io("length", &path, &e))?;
        let mut area = vec![0; HEAD_AREA_BYTES.min(bytes) as usize];
        file.read_at(0, &mut area)
            .map_err(|e| OpenError::io("read", &path, &e))?;
        let copies = match SegmentHead::decode(&area) {
            HeadCopies::Newer => {
                return Err(OpenError::Newer {
                    file: segment_name(sequence),
                    offset: 0,
                    what: "segment format",
                });
            }
            // A file under another one's name: its frames do not pass as this one's.
            HeadCopies::Sound(head, _) if head.sequence != sequence => HeadCopies::Damaged,
            copies => copies,
        };
        heads.push(HeadRead {
            sequence,
            path,
            file,
            bytes,
            copies,
        });
    }
    Ok(heads)
}
