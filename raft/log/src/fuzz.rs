//! The door for fuzz targets: any bytes as a segment. Nothing may panic, and nothing may hang.

use crate::faulty_disk::FaultyDisk;
use crate::format::{BatchHead, Footer, SegmentHead, segment_name};
use crate::{Disk, EntryKind, Identity, Journal, Options, limits, scan};
use raft_api::{LogIndex, NodeId};
use std::path::Path;
use std::sync::Arc;

/// Opens and scans a journal whose only segment holds a sound head and then `bytes`.
pub fn open_any_segment(bytes: &[u8]) {
    BatchHead::decode(bytes);
    Footer::decode(bytes);
    let identity = Identity {
        cluster: [7; 16],
        incarnation: 1,
        node: NodeId(1),
    };
    let disk = FaultyDisk::default();
    let dir = Path::new("journal");
    let head = SegmentHead {
        identity,
        sequence: 1,
        capacity: limits::MIN_SEGMENT_BYTES,
    };
    let written = disk.create_dir(dir).and_then(|()| {
        let file = disk.create(&dir.join(segment_name(1)))?;
        file.preallocate(limits::MIN_SEGMENT_BYTES)?;
        file.write_at(0, &head.encode())?;
        file.write_at(head.encode().len() as u64, bytes)
    });
    assert!(written.is_ok(), "a disk in memory has room");
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let options = Options {
        segment_bytes: limits::MIN_SEGMENT_BYTES,
        reserve_bytes: 0,
        ..Options::default()
    };
    if let Ok((journal, _writer, _)) =
        Journal::open_stepped(Arc::clone(&disk), dir, identity, options)
    {
        for shard in journal.shards() {
            let _ = journal.read(shard, 0..u64::MAX, usize::MAX);
            let _ = journal.history(shard, 0..u64::MAX, usize::MAX);
            for kind in [EntryKind::Membership, EntryKind::Mode] {
                let _ = journal.newest_of(kind, shard, LogIndex(u64::MAX));
            }
            let parts = journal.checkpoint(shard).map_or(0, |found| found.parts);
            for part in 0..parts {
                let _ = journal.checkpoint_part(shard, part);
            }
        }
    }
    let _ = scan(&disk, dir, |_, _, _| {});
}
