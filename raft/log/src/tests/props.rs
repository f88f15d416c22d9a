//! Whatever bytes a segment holds, reading it neither panics nor shows what was not written.

use super::model::{DIR, Workload, close, identity, observe, open, settle, small};
use crate::faulty_disk::FaultyDisk;
use crate::format::Seed;
use crate::judge::{Around, judge};
use crate::walk::walk;
use crate::{Disk, Journal, scan};
use proptest::prelude::*;
use raft_api::{Entries, LogIndex};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_can_be_judged(bytes in proptest::collection::vec(any::<u8>(), 0..6000)) {
        let walked = walk(&bytes, Seed::new(&identity(), 1)).expect("no frame of a newer version by chance");
        judge("file", &bytes, &walked, Around::default());
        crate::fuzz::open_any_segment(&bytes);
    }

    /// Stretches of a sound journal are overwritten, exchanged or zeroed. It opens or says why not; every payload that
    /// it gives out is one that was appended under that index.
    #[test]
    fn a_mangled_journal_shows_only_what_was_written(
        seed in 0_u64..8,
        mangles in proptest::collection::vec((any::<u16>(), any::<u32>(), 1_usize..300, 0_u8..3), 1..4),
    ) {
        let disk = FaultyDisk::default();
        let (journal, mut writer, _) = open(&disk);
        let mut workload = Workload::new(seed);
        workload.run(&journal, &mut writer, 40);
        close(journal, writer);
        let segments: Vec<_> = disk.paths().into_iter().filter(|path| path.extension().is_some()).collect();
        for (file, at, length, how) in mangles {
            let path = &segments[file as usize % segments.len()];
            let bytes = disk.bytes(path);
            for offset in (at as usize % bytes.len()..bytes.len()).take(length) {
                let other = bytes[(offset + 512) % bytes.len()];
                let wanted = match how { 0 => 0, 1 => other, _ => bytes[offset] ^ 0x55 };
                disk.flip(path, offset as u64, bytes[offset] ^ wanted);
            }
        }
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        if let Ok(report) = scan(&shared, Path::new(DIR), |_, _, _| {}) {
            prop_assert!(report.segments as usize <= segments.len());
        }
        let Ok((journal, _writer, _)) = Journal::open_stepped(shared, Path::new(DIR), identity(), small()) else { return Ok(()) };
        for shard in journal.shards() {
            for index in 0..200 {
                let Ok(payload) = journal.payload(shard, LogIndex(index)) else { continue };
                let written = workload.history.iter().any(|model| {
                    model.get(&shard).is_some_and(|s| s.entries.get(&index).is_some_and(|(_, p)| *p == payload)
                        || s.adopted.get(&index).is_some_and(|(_, p)| *p == payload))
                });
                prop_assert!(written, "shard {shard}, entry {index} was never written");
            }
            if !journal.has_hole(shard) {
                prop_assert!(journal.read(shard, 0..u64::MAX, usize::MAX).is_ok());
            }
        }
    }

    /// The in-memory log and the disk agree, whatever is done: closing and opening changes nothing.
    #[test]
    fn reopening_changes_nothing(seed in any::<u64>(), changes in 1_usize..80) {
        let disk = FaultyDisk::default();
        let (journal, mut writer, _) = open(&disk);
        let mut workload = Workload::new(seed);
        workload.run(&journal, &mut writer, changes);
        // What comes with a snapshot shows once it is flushed.
        settle(&mut writer, &mut Duration::default());
        let before = observe(&journal);
        close(journal, writer);
        let (journal, _writer, recovery) = open(&disk);
        prop_assert!(recovery.damages.is_empty() && recovery.cuts.is_empty());
        prop_assert_eq!(observe(&journal), before);
    }
}
