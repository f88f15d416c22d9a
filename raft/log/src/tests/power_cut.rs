//! Power goes at every write and every flush; any subset of the unflushed pages survives. Nothing that completed is
//! lost, nothing half is shown, nothing sound is called corrupt.

use super::model::{
    DIR, Life, Workload, close, find, ignore, live, observe, open, settle, try_open,
};
use crate::faulty_disk::{Chance, FaultyDisk};
use crate::format::HEAD_AREA_BYTES;
use crate::{CheckpointPart, Disk, EntryKind, Journal, JournalBroken, NewEntry, Step, Twin, scan};
use raft_api::{Entries, LogId, LogIndex, ShardId};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const CHANGES: usize = 45;

/// Opens, compares, and returns the state it holds.
fn recover(disk: &FaultyDisk, workload: &Workload) -> Result<usize, String> {
    let (journal, writer, recovery) = try_open(disk).map_err(|e| format!("does not open: {e}"))?;
    let at = find(workload, &observe(&journal), &recovery)?;
    close(journal, writer);
    Ok(at)
}

/// Comes back, works on, closes, and is sound.
fn fate_power(life: &Life, chance: &mut Chance) -> Result<(), String> {
    let disk = life.disk.fork();
    disk.power_on(chance);
    let (journal, mut writer, recovery) =
        try_open(&disk).map_err(|e| format!("does not open: {e}"))?;
    let at = find(&life.workload, &observe(&journal), &recovery)?;
    let mut workload = Workload::new(chance.draw());
    workload.history.clone_from(&life.workload.history);
    workload.go_on_from(at);
    workload.run(&journal, &mut writer, 8);
    close(journal, writer);
    if workload.completed() + 1 != workload.history.len() {
        return Err("close leaves something behind".to_string());
    }
    let disk_arc: Arc<dyn Disk> = Arc::new(disk.clone());
    let report = scan(&disk_arc, Path::new(DIR), |_, _, _| {}).map_err(|e| format!("scan: {e}"))?;
    if !report.is_sound() {
        return Err(format!(
            "scan finds damage: {:?} {:?}",
            report.damages, report.torn
        ));
    }
    recover(&disk, &workload).map(|_| ())
}

/// The process is killed, comes back, reports; then power goes at once. What was reported must still be there.
fn fate_kill(life: &Life, chance: &mut Chance) -> Result<(), String> {
    let disk = life.disk.fork();
    disk.kill_process();
    let (journal, writer, recovery) = try_open(&disk).map_err(|e| format!("does not open: {e}"))?;
    let reported = find(&life.workload, &observe(&journal), &recovery)?;
    disk.power_on(chance);
    drop((journal, writer));
    let (journal, writer, recovery) =
        try_open(&disk).map_err(|e| format!("does not open again: {e}"))?;
    let again = find(&life.workload, &observe(&journal), &recovery)?;
    close(journal, writer);
    if life.workload.history[again] == life.workload.history[reported] {
        Ok(())
    } else {
        Err(format!(
            "reported state {reported} after a kill, holds {again} after a power cut"
        ))
    }
}

/// Power goes again while recovery runs.
fn fate_twice(life: &Life, chance: &mut Chance) -> Result<(), String> {
    let disk = life.disk.fork();
    disk.power_on(chance);
    disk.cut_power_at(disk.operations() + chance.below(10));
    let first = try_open(&disk);
    let reported = match first {
        Ok((journal, _writer, recovery)) if !disk.is_off() => {
            find(&life.workload, &observe(&journal), &recovery)?
        }
        _ => life.workload.completed(),
    };
    disk.power_on(chance);
    let again = recover(&disk, &life.workload)?;
    if again >= reported {
        Ok(())
    } else {
        Err(format!("reported {reported}, holds {again}"))
    }
}

/// All cuts of one seed. Returns the first thing that is wrong.
fn check(seed: u64, page_bytes: usize, twin: Option<Twin>) -> Result<(), String> {
    let mut chance = Chance(seed ^ 0xfa7e);
    for cut_at in 0.. {
        let life = live(seed, page_bytes, CHANGES, Some(cut_at), twin);
        if !life.was_cut {
            return if cut_at > 100 {
                Ok(())
            } else {
                Err(format!(
                    "only {cut_at} operations: the workload is too small"
                ))
            };
        }
        for fate in [fate_power, fate_power, fate_kill, fate_twice] {
            fate(&life, &mut chance)
                .map_err(|e| format!("seed {seed}, pages of {page_bytes}, cut at {cut_at}: {e}"))?;
        }
    }
    Ok(())
}

#[test]
fn nothing_completed_is_lost() {
    for (seed, page_bytes) in [
        (1, 4096),
        (2, 4096),
        (3, 512),
        (4, 4096),
        (5, 512),
        (6, 4096),
    ] {
        check(seed, page_bytes, None).unwrap_or_else(|e| panic!("{e}"));
    }
}

fn check_twin(twin: Twin, expect: &str) {
    let caught = (1..20).find_map(|seed| check(seed, 4096, Some(twin)).err());
    let caught = caught.unwrap_or_else(|| panic!("{twin:?} is not caught"));
    assert!(
        caught.contains(expect),
        "{twin:?} is caught for another reason: {caught}"
    );
}

#[test]
fn twin_that_acknowledges_before_the_flush_is_caught() {
    check_twin(Twin::AckBeforeFlush, "lost: holds state");
}

#[test]
fn twin_that_never_flushes_is_caught() {
    check_twin(Twin::NeverFlush, "");
}

#[test]
fn a_torn_batch_is_cut_and_named() {
    let disk = FaultyDisk::default();
    let (journal, mut writer, _) = open(&disk);
    let entries = (0..3).map(|index| NewEntry {
        log_id: LogId::new(1, index),
        kind: EntryKind::Normal,
        payload: vec![index as u8 + 1; 3000].into(),
    });
    journal
        .append(ShardId(1), entries.collect(), ignore())
        .unwrap();
    // The write goes through, the flush does not.
    disk.cut_power_at(disk.operations() + 1);
    assert_eq!(writer.step(Duration::ZERO), Step::Stopped);
    let mut seen = BTreeSet::new();
    for seed in 0..16 {
        let fork = disk.fork();
        fork.power_on(&mut Chance(seed));
        let (journal, _writer, recovery) = open(&fork);
        assert!(
            recovery.damages.is_empty(),
            "a torn batch is no damage: {:?}",
            recovery.damages
        );
        let entries = journal.read(ShardId(1), 0..3, usize::MAX).unwrap().len();
        let offsets: Vec<u64> = recovery.cuts.iter().map(|cut| cut.offset).collect();
        assert!(
            offsets.iter().all(|offset| *offset == HEAD_AREA_BYTES),
            "cut in the middle of a batch: {offsets:?}"
        );
        seen.insert((entries, recovery.cuts.len()));
    }
    // Nothing of it survived; part of it did and was cut; all of it did.
    assert_eq!(seen, BTreeSet::from([(0, 0), (0, 1), (3, 0)]));
}

/// A vote is acknowledged, power goes at any moment after that, and any one byte of the journal rots.
fn check_votes(twin: Option<Twin>) -> Result<(), String> {
    const SHARD: ShardId = ShardId(1);
    for cut in 0.. {
        let disk = FaultyDisk::default();
        let (journal, mut writer, _) = open(&disk);
        if let Some(twin) = twin {
            writer.break_on_purpose(twin);
        }
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let mut now = Duration::ZERO;
        disk.cut_power_at(disk.operations() + cut);
        for number in 1..4 {
            let acknowledged = Arc::clone(&acknowledged);
            let done = move |result: Result<(), JournalBroken>| {
                if result.is_ok() {
                    acknowledged.store(number, Ordering::SeqCst);
                }
            };
            if journal
                .save_vote(SHARD, format!("vote {number}").into(), Box::new(done))
                .is_ok()
            {
                settle(&mut writer, &mut now);
            }
        }
        let acknowledged = acknowledged.load(Ordering::SeqCst);
        if !disk.is_off() {
            return if acknowledged == 3 {
                Ok(())
            } else {
                Err("never completes".to_string())
            };
        }
        disk.power_on(&mut Chance(cut));
        for path in disk
            .paths()
            .into_iter()
            .filter(|path| path.extension().is_some())
        {
            for offset in (HEAD_AREA_BYTES..5200).step_by(5) {
                let fork = disk.fork();
                fork.flip(&path, offset, 0x10);
                let (journal, _writer, _) = try_open(&fork).map_err(|e| e.to_string())?;
                let vote = journal
                    .vote(SHARD)
                    .map_or(0, |vote| usize::from(vote[5] - b'0'));
                if vote < acknowledged {
                    return Err(format!(
                        "vote {acknowledged} was acknowledged, {vote} is left: {} at {offset}",
                        path.display()
                    ));
                }
            }
        }
    }
    Ok(())
}

#[test]
fn no_rotten_byte_loses_a_vote() {
    check_votes(None).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn twin_that_keeps_votes_once_is_caught() {
    let caught = check_votes(Some(Twin::AckVoteAfterOneCopy)).expect_err("the twin is not caught");
    assert!(caught.contains("is left"), "{caught}");
}

/// A checkpoint of three parts at `number`, with an entry that its rows name.
fn save_checkpoint(journal: &Journal, number: u64) {
    let at = LogId::new(1, number);
    let entry = NewEntry {
        log_id: at,
        kind: EntryKind::Normal,
        payload: vec![number as u8; 700].into(),
    };
    // Refused once the power is off.
    let _ = journal.adopt(CHECKPOINTED, vec![entry], ignore());
    for part in 0..3 {
        let place = CheckpointPart {
            is_first: part == 0,
            is_last: part == 2,
        };
        let payload = part_of(number, part).into();
        let _ = journal.save_checkpoint_part(CHECKPOINTED, at, place, payload, ignore());
    }
}

fn part_of(number: u64, part: usize) -> Vec<u8> {
    vec![(number * 10) as u8 + part as u8; 2000]
}

const CHECKPOINTED: ShardId = ShardId(1);

/// The position of the newest checkpoint, 0 if there is none; all of it must be readable.
fn newest_checkpoint(journal: &Journal) -> Result<u64, String> {
    let Some(found) = journal.checkpoint(CHECKPOINTED) else {
        return Ok(0);
    };
    let number = found.log_id.index.0;
    if found.parts != 3 {
        return Err(format!("checkpoint {number} has {} parts", found.parts));
    }
    for part in 0..3 {
        let read = journal.checkpoint_part(CHECKPOINTED, part);
        if read.map_err(|e| e.to_string())? != part_of(number, part) {
            return Err(format!("part {part} of checkpoint {number} is another one"));
        }
    }
    let named = journal.payload(CHECKPOINTED, LogIndex(number));
    match named.map_err(|e| e.to_string())?.len() {
        700 => Ok(number),
        bytes => Err(format!("{bytes} bytes of what checkpoint {number} names")),
    }
}

/// Power goes at any operation. Whatever checkpoint was seen before, that one or a newer one is seen after.
fn check_checkpoints(twin: Option<Twin>) -> Result<(), String> {
    for cut in 0.. {
        let disk = FaultyDisk::new(512);
        let (journal, mut writer, _) = open(&disk);
        if let Some(twin) = twin {
            writer.break_on_purpose(twin);
        }
        disk.cut_power_at(disk.operations() + cut);
        let mut seen = 0;
        for number in 1..6 {
            save_checkpoint(&journal, number);
            settle(&mut writer, &mut Duration::from_secs(number));
            let found = journal.checkpoint(CHECKPOINTED);
            seen = found.map_or(0, |found| found.log_id.index.0);
        }
        if !disk.is_off() {
            return match (seen, cut > 20) {
                (5, true) => Ok(()),
                _ => Err(format!("checkpoint {seen} after {cut} operations")),
            };
        }
        drop((journal, writer));
        for seed in 0..6 {
            let fork = disk.fork();
            fork.power_on(&mut Chance(seed));
            let (journal, _writer, recovery) = try_open(&fork).map_err(|e| e.to_string())?;
            if !recovery.damages.is_empty() {
                return Err(format!("called corrupt: {:?}", recovery.damages));
            }
            let found = newest_checkpoint(&journal).map_err(|e| format!("cut at {cut}: {e}"))?;
            if found < seen {
                return Err(format!(
                    "cut at {cut}: {seen} was believed, {found} is left"
                ));
            }
        }
    }
    Ok(())
}

#[test]
fn a_checkpoint_that_was_seen_stays() {
    check_checkpoints(None).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn twin_that_believes_an_unflushed_checkpoint_is_caught() {
    let twin = Twin::BelieveUnflushedCheckpoint;
    let caught = check_checkpoints(Some(twin)).expect_err("the twin is not caught");
    assert!(caught.contains("was believed"), "{caught}");
}
