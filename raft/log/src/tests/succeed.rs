//! A journal that goes on under another identity, after a recovery from a lost site.

use super::model::{DIR, close, identity, ignore, open, settle, small};
use crate::faulty_disk::{Chance, FaultyDisk};
use crate::{Disk, EntryKind, Identity, Journal, NewEntry, OpenError, Writer, scan, succeed};
use raft_api::{LogId, NodeId, ShardId};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const SHARD: ShardId = ShardId(3);

fn successor() -> Identity {
    Identity {
        incarnation: identity().incarnation + 1,
        node: NodeId(identity().node.0 + 1),
        ..identity()
    }
}

fn append(journal: &Journal, writer: &mut Writer, indexes: std::ops::Range<u64>) {
    let entries = indexes.map(|index| NewEntry {
        log_id: LogId::new(2, index),
        kind: EntryKind::Normal,
        payload: format!("entry {index}").repeat(40).into(),
    });
    journal.append(SHARD, entries.collect(), ignore()).unwrap();
    settle(writer, &mut Duration::default());
}

fn open_as(disk: &FaultyDisk, who: Identity) -> Result<(Journal, Writer), OpenError> {
    let disk = Arc::new(disk.clone());
    let opened = Journal::open_stepped(disk, Path::new(DIR), who, small());
    opened.map(|(journal, writer, recovery)| {
        assert!(
            recovery.holes.is_empty() && recovery.damages.is_empty(),
            "{recovery:?}"
        );
        (journal, writer)
    })
}

fn take_over(disk: &FaultyDisk) -> Result<(), OpenError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    succeed(&disk, Path::new(DIR), identity(), successor(), &small())
}

fn count(journal: &Journal) -> usize {
    journal.read(SHARD, 1..u64::MAX, usize::MAX).unwrap().len()
}

#[test]
fn a_journal_goes_on_under_another_identity() {
    let disk = FaultyDisk::default();
    let (journal, mut writer, _) = open(&disk);
    append(&journal, &mut writer, 1..40);
    journal.save_vote(SHARD, "a vote".into(), ignore()).unwrap();
    settle(&mut writer, &mut Duration::default());
    close(journal, writer);
    take_over(&disk).unwrap();
    let old = open_as(&disk, identity());
    assert!(
        matches!(old, Err(OpenError::OtherIdentity { .. })),
        "the old owner"
    );
    for (from, to) in [(40, 60), (60, 90)] {
        let (journal, mut writer) = open_as(&disk, successor()).unwrap();
        assert_eq!(journal.vote(SHARD).as_deref(), Some(&b"a vote"[..]));
        append(&journal, &mut writer, from..to);
        assert_eq!(count(&journal), to as usize - 1);
        assert_eq!(journal.check_sealed().unwrap(), []);
        close(journal, writer);
    }
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let report = scan(&disk, Path::new(DIR), |_, _, _| {}).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.identity, successor());
    assert_eq!(report.entries, 89);
}

/// Whenever the power goes: one of the two owns it, and nothing is lost.
#[test]
fn a_power_cut_leaves_it_to_one_of_both() {
    let whole = FaultyDisk::default();
    let (journal, mut writer, _) = open(&whole);
    append(&journal, &mut writer, 1..40);
    close(journal, writer);
    let operations = {
        let disk = whole.fork();
        let before = disk.operations();
        take_over(&disk).unwrap();
        disk.operations() - before
    };
    let mut owners = [0, 0];
    for cut in 1..=operations {
        let disk = whole.fork();
        disk.cut_power_at(disk.operations() + cut);
        let _ = take_over(&disk);
        disk.power_on(&mut Chance(cut));
        let (owner, opened) = match open_as(&disk, identity()) {
            Ok(opened) => (0, opened),
            Err(_) => (1, open_as(&disk, successor()).unwrap()),
        };
        owners[owner] += 1;
        assert_eq!(count(&opened.0), 39, "cut at {cut}");
        close(opened.0, opened.1);
        if owner == 0 {
            take_over(&disk).unwrap();
            assert_eq!(count(&open_as(&disk, successor()).unwrap().0), 39);
        }
    }
    assert!(owners[0] > 1, "{owners:?}");
}

#[test]
fn only_a_successor_takes_over() {
    let disk = FaultyDisk::default();
    let (journal, writer, _) = open(&disk);
    close(journal, writer);
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let stranger = Identity {
        cluster: [7; 16],
        ..successor()
    };
    for (old, new) in [
        (identity(), identity()),
        (identity(), stranger),
        (successor(), identity()),
        (
            successor(),
            Identity {
                incarnation: 9,
                ..successor()
            },
        ),
    ] {
        let refused = succeed(&disk, Path::new(DIR), old, new, &small());
        assert!(
            matches!(refused, Err(OpenError::OtherIdentity { .. })),
            "{old:?} to {new:?}"
        );
    }
}
