//! The n-th write or flush fails, for each n, until a run passes clean. The journal breaks at once: every waiter gets
//! the error, nothing is retried, and what had completed is there after the restart.

use super::model::{Workload, find, observe, try_open};
use crate::faulty_disk::FaultyDisk;
use crate::{AppendError, Step};
use raft_api::ShardId;
use std::time::Duration;

#[test]
fn every_operation_fails_once() {
    for seed in [31, 32] {
        let mut broke = 0;
        for number in 0.. {
            let disk = FaultyDisk::default();
            disk.fail_operation(number);
            let mut workload = Workload::new(seed);
            let Ok((journal, mut writer, _)) = try_open(&disk) else {
                // It failed while opening, and said so.
                continue;
            };
            workload.run(&journal, &mut writer, 40);
            let is_broken = journal.broken().borrow().is_some();
            if !is_broken {
                if disk.operations() > number {
                    panic!("seed {seed}: operation {number} failed, and nobody noticed");
                }
                assert!(broke > 50, "only {broke} failures");
                break;
            }
            broke += 1;
            assert_eq!(writer.step(Duration::ZERO), Step::Stopped);
            let after = disk.operations();
            let refused = journal.save_vote(
                ShardId(0),
                "vote".into(),
                Box::new(|_| panic!("refused, yet called")),
            );
            assert!(
                matches!(refused, Err(AppendError::Broken(_))),
                "{refused:?}"
            );
            assert_eq!(writer.step(Duration::from_secs(1)), Step::Stopped);
            assert_eq!(
                disk.operations(),
                after,
                "seed {seed}, {number}: something was tried after the failure"
            );
            assert_eq!(
                workload.pending(),
                0,
                "seed {seed}, {number}: somebody still waits"
            );
            drop((journal, writer));
            disk.kill_process();
            let (journal, _writer, recovery) =
                try_open(&disk).unwrap_or_else(|e| panic!("seed {seed}, {number}: {e}"));
            find(&workload, &observe(&journal), &recovery)
                .unwrap_or_else(|e| panic!("seed {seed}, {number}: {e}"));
        }
    }
}
