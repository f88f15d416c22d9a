//! Every byte of a closed journal rots, one at a time. It is named, it is never shown as good data, the other shards
//! go on, and no vote is lost.

use super::model::{DIR, Model, Workload, close, observe, open, try_open};
use crate::faulty_disk::FaultyDisk;
use crate::{Disk, Meaning, ScanReport, scan};
use raft_api::{Entries, LogIndex};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

struct Sound {
    disk: FaultyDisk,
    model: Model,
    /// Each file with frames, and how far it is used.
    files: Vec<(PathBuf, u64)>,
}

/// Several sealed segments and one that is not, closed in good order.
fn sound(seed: u64) -> Sound {
    let disk = FaultyDisk::default();
    let (journal, mut writer, _) = open(&disk);
    let mut workload = Workload::new(seed);
    workload.run(&journal, &mut writer, 80);
    close(journal, writer);
    let (journal, writer, recovery) = open(&disk);
    assert!(
        recovery.damages.is_empty() && recovery.cuts.is_empty(),
        "{recovery:?}"
    );
    let model = observe(&journal);
    close(journal, writer);
    let segments = disk
        .paths()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ext| ext == "segment"));
    let used = |path: PathBuf| {
        let bytes = disk.bytes(&path);
        let end = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |at| at as u64 + 1);
        (path, end)
    };
    // The head area alone is a spare.
    let files: Vec<(PathBuf, u64)> = segments.map(used).filter(|(_, end)| *end > 4096).collect();
    assert!(
        files.len() >= 3,
        "the workload must fill several segments: {}",
        files.len()
    );
    Sound { disk, model, files }
}

fn scan_all(disk: &FaultyDisk) -> ScanReport {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    scan(&disk, Path::new(DIR), |_, _, _| {}).unwrap_or_else(|e| panic!("scan: {e}"))
}

/// What a journal opened on the rotten disk gives out is what was put in.
fn check(sound: &Sound, path: &Path, offset: u64, mask: u8, seen: &mut BTreeSet<&'static str>) {
    let place = format!("{} at {offset} with {mask:#x}", path.display());
    let disk = sound.disk.fork();
    disk.flip(path, offset, mask);
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .expect("a segment's name");

    let report = scan_all(&disk);
    assert!(!report.is_sound(), "{place}: not detected");
    let near = |from: u64, bytes: u64| from <= offset && offset < from + bytes.max(1);
    let named = report
        .damages
        .iter()
        .any(|damage| damage.file == name && near(damage.offset, damage.bytes))
        || report
            .torn
            .iter()
            .any(|cut| cut.file == name && near(cut.offset, cut.bytes))
        || report
            .damages
            .iter()
            .any(|damage| damage.file == name && damage.meaning == Meaning::Footer);
    assert!(
        named,
        "{place}: named elsewhere: {:?} {:?}",
        report.damages, report.torn
    );
    seen.extend(report.damages.iter().map(|damage| damage.meaning.text()));

    let (journal, writer, recovery) = try_open(&disk).unwrap_or_else(|e| panic!("{place}: {e}"));
    let holes: BTreeSet<_> = recovery.holes.iter().map(|hole| hole.shard).collect();
    assert!(
        holes.len() <= 1,
        "{place}: one byte lies in one frame: {:?}",
        recovery.holes
    );
    for (shard, expect) in &sound.model {
        let vote = journal.vote(*shard).map(|vote| vote.to_vec());
        assert_eq!(vote, expect.vote, "{place}: the vote of shard {shard}");
        if holes.contains(shard) {
            assert!(
                journal.read(*shard, 0..u64::MAX, usize::MAX).is_err(),
                "{place}: a log with a hole is not read"
            );
        } else {
            assert_eq!(
                journal.log_state(*shard).last,
                expect.last,
                "{place}: shard {shard}"
            );
            assert_eq!(
                journal.log_state(*shard).purged,
                expect.purged,
                "{place}: shard {shard}"
            );
        }
        let checkpoint = expect.checkpoint.as_ref().map(|(log_id, _)| *log_id);
        let found = journal.checkpoint(*shard).map(|found| found.log_id);
        let has_hole = holes.contains(shard);
        assert_eq!(
            found,
            checkpoint.filter(|_| !has_hole),
            "{place}: shard {shard}"
        );
        for (part, payload) in expect
            .checkpoint
            .iter()
            .flat_map(|(_, parts)| parts.iter().enumerate())
        {
            if !has_hole {
                let read = journal
                    .checkpoint_part(*shard, part)
                    .map(|read| read.to_vec());
                assert_eq!(
                    read.as_ref(),
                    Ok(payload),
                    "{place}: shard {shard}, part {part}"
                );
            }
        }
        for index in expect.entries.keys().chain(expect.adopted.keys()) {
            let payload = expect.payload(*index).expect("of either");
            match journal.payload(*shard, LogIndex(*index)) {
                // An adopted entry that is gone uncovers the log's own; the hole says that it may be another one.
                Ok(read) if has_hole && read != payload => {
                    let own = expect.entries.get(index).map(|(_, payload)| payload);
                    assert_eq!(
                        Some(&read.to_vec()),
                        own,
                        "{place}: shard {shard}, entry {index}"
                    );
                }
                Ok(read) => assert_eq!(read, payload, "{place}: shard {shard}, entry {index}"),
                Err(_) => assert!(
                    holes.contains(shard),
                    "{place}: shard {shard}, entry {index} is gone without a hole"
                ),
            }
        }
    }
    close(journal, writer);
}

/// All eight bits and a single one: a checksum must see both.
fn mask(offset: u64) -> u8 {
    if offset.is_multiple_of(2) {
        0xff
    } else {
        1 << (offset % 8)
    }
}

/// All over the journal, in steps that no frame's length divides, so that every field of a head is hit somewhere.
#[test]
fn bytes_all_over() {
    let sound = sound(21);
    let mut seen = BTreeSet::new();
    let mut flips = 0;
    for (path, end) in &sound.files {
        let mut offset = 0;
        while offset < *end {
            check(&sound, path, offset, mask(offset), &mut seen);
            flips += 1;
            offset += if offset < 4096 { 293 } else { 17 };
        }
    }
    assert!(flips > 1000, "only {flips} bytes were flipped");
    for meaning in [
        Meaning::Entry,
        Meaning::Vote,
        Meaning::Truncate,
        Meaning::Purge,
        Meaning::Adopted,
        Meaning::CheckpointPart,
        Meaning::BatchHead,
        Meaning::Seal,
        Meaning::Footer,
        Meaning::SegmentHead,
        Meaning::LostFrames,
    ] {
        assert!(seen.contains(meaning.text()), "no flip hit {meaning:?}");
    }
}

/// Each single byte of the first batches, of the end of a footer, and of the last seal.
#[test]
fn every_byte_of_some_frames() {
    let sound = sound(21);
    let mut seen = BTreeSet::new();
    let (first, first_end) = &sound.files[0];
    let (last, last_end) = &sound.files[sound.files.len() - 1];
    for (path, range) in [
        (first, 4096..4096 + 400),
        (first, first_end - 150..*first_end),
        (last, last_end - 120..*last_end),
    ] {
        for offset in range {
            check(&sound, path, offset, mask(offset), &mut seen);
        }
    }
}

/// A file that is gone altogether, and one that is cut short.
#[test]
fn a_lost_segment_is_a_hole_of_every_shard() {
    let sound = sound(22);
    for (path, _) in &sound.files[..sound.files.len() - 1] {
        let disk = sound.disk.fork();
        disk.lose_file(path);
        // The first one leaves no trace but that its shards do not begin at the beginning.
        let report = scan_all(&disk);
        assert!(
            !report.is_sound(),
            "{} is missing unnoticed",
            path.display()
        );
    }
}

/// Damage in a sealed segment that was not looked at when opening shows when it is read, and by `check_sealed`.
#[test]
fn damage_found_while_running_is_a_hole() {
    let sound = sound(23);
    let (path, _) = &sound.files[0];
    let report = scan_all(&sound.disk);
    assert!(report.is_sound());
    let mut frames = Vec::new();
    let disk: Arc<dyn Disk> = Arc::new(sound.disk.clone());
    scan(&disk, Path::new(DIR), |file, offset, frame| {
        if let crate::Scanned::Entry {
            shard,
            log_id,
            payload,
            ..
        } = frame
            && path.ends_with(file)
            && !payload.is_empty()
        {
            frames.push((shard, log_id, offset));
        }
    })
    .unwrap();
    let (shard, log_id, offset) = frames[0];
    sound.disk.flip(path, offset + 56, 1);
    let mut options = super::model::small();
    options.check_at_open_bytes = 0;
    let (journal, _writer, recovery) =
        crate::Journal::open_stepped(disk, Path::new(DIR), super::model::identity(), options)
            .unwrap();
    assert!(
        recovery.holes.is_empty(),
        "nothing was read that could show it"
    );
    let damages = journal.check_sealed().unwrap();
    assert_eq!(damages.len(), 1, "{damages:?}");
    assert_eq!(
        (damages[0].shard, damages[0].log_id, damages[0].offset),
        (Some(shard), Some(log_id), offset)
    );
    assert!(journal.has_hole(shard));
    assert_eq!(journal.holes().len(), 1, "the other shards go on");
    assert!(journal.watch_damages().borrow().gt(&0));
}
