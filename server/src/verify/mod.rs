//! `gotthard verify`: reads every frame of the journal, rebuilds the views from it in memory, and compares their
//! digests with those of the views on disk. Changes nothing; the node must be stopped.

use crate::cli::Verify;
use crate::clock::SystemClock;
use crate::identity::hex;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use engine_replica::Shard;
use engine_store::{MemoryStore, RocksStore, ViewStore};
use raft_api::{Committed, LogId, LogIndex, ShardId, StateMachine};
use raft_log::{Disk, EntryKind, RealDisk, Scanned};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Entries folded in one batch.
const BATCH: usize = 256;

/// What one shard's check found.
struct Compared {
    shard: ShardId,
    position: Option<LogId>,
    agrees: bool,
    text: String,
}

pub fn run(args: &Verify) -> Result<()> {
    let journal_dir = args.data.join("journal");
    if !journal_dir.is_dir() {
        bail!(
            "{} holds no journal; give a node's data directory (a demo has node-1, node-2, node-3)",
            args.data.display()
        );
    }
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut logs: BTreeMap<ShardId, BTreeMap<LogIndex, (LogId, Bytes)>> = BTreeMap::new();
    let report = raft_log::scan(&disk, &journal_dir, |_, _, frame| match frame {
        Scanned::Entry {
            shard,
            log_id,
            kind,
            payload,
        } => {
            let payload = if kind == EntryKind::Normal {
                payload
            } else {
                Bytes::new()
            };
            let log = logs.entry(shard).or_default();
            // An entry at an index that is taken replaces it and all behind it (Raft §5.3).
            log.split_off(&log_id.index);
            log.insert(log_id.index, (log_id, payload));
        }
        Scanned::Truncate {
            shard,
            first_removed,
        } => {
            logs.entry(shard).or_default().split_off(&first_removed);
        }
        Scanned::Vote { .. }
        | Scanned::Purge { .. }
        | Scanned::Adopted { .. }
        | Scanned::CheckpointPart { .. } => {}
    })
    .context("the journal cannot be read (is the node still running?)")?;

    let mut problems: Vec<String> = report
        .damages
        .iter()
        .map(|damage| format!("damage: {damage}"))
        .collect();
    problems.extend(report.holes.iter().map(|hole| format!("hole: {hole}")));
    let compared = compare(args, &logs)?;
    problems.extend(
        compared
            .iter()
            .filter(|c| !c.agrees)
            .map(|c| format!("shard {}: {}", c.shard, c.text)),
    );
    if args.json {
        let shards: Vec<_> = compared
            .iter()
            .map(|c| json!({ "shard": c.shard.0, "position": c.position.map(|p| p.index.0), "agrees": c.agrees, "text": c.text }))
            .collect();
        let out = json!({ "frames": report.frames, "entries": report.entries, "segments": report.segments,
            "torn": report.torn.len(), "problems": problems, "shards": shards });
        println!("{out}");
    } else {
        println!(
            "{} segments, {} frames, {} entries",
            report.segments, report.frames, report.entries
        );
        for c in &compared {
            println!("shard {}: {}", c.shard, c.text);
        }
        if !report.torn.is_empty() {
            println!(
                "{} unfinished batches at the end: the next start cuts them; nothing in them was acknowledged",
                report.torn.len()
            );
        }
        for problem in &problems {
            println!("PROBLEM {problem}");
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        bail!("{} problems found", problems.len())
    }
}

fn compare(
    args: &Verify,
    logs: &BTreeMap<ShardId, BTreeMap<LogIndex, (LogId, Bytes)>>,
) -> Result<Vec<Compared>> {
    let views = args.data.join("views");
    if !views.is_dir() {
        bail!("{} holds no views", args.data.display());
    }
    let on_disk: Arc<dyn ViewStore> =
        Arc::new(RocksStore::open(&views).context("the views cannot be opened")?);
    let mut out = Vec::new();
    for (shard, log) in logs {
        let kept = Shard::open(*shard, Arc::clone(&on_disk), Arc::new(SystemClock))?;
        let Some(position) = kept.applied() else {
            out.push(Compared {
                shard: *shard,
                position: None,
                agrees: true,
                text: "the views are empty".into(),
            });
            continue;
        };
        let rebuilt = Shard::open(*shard, Arc::new(MemoryStore::new()), Arc::new(SystemClock))?;
        let entries: Vec<Committed> = log
            .range(..=position.index)
            .map(|(_, (log_id, payload))| Committed {
                log_id: *log_id,
                payload: payload.clone(),
            })
            .collect();
        let complete = entries.len() as u64 == position.index.0 + 1
            && entries.last().is_some_and(|e| e.log_id == position);
        if !complete {
            let text = format!(
                "the journal does not hold all entries up to {position}, which the views have folded"
            );
            out.push(Compared {
                shard: *shard,
                position: Some(position),
                agrees: false,
                text,
            });
            continue;
        }
        for batch in entries.chunks(BATCH) {
            rebuilt.apply(batch);
        }
        let (a, b) = (kept.digest().value, rebuilt.digest().value);
        let text = if a == b {
            format!(
                "views agree with the journal at {position}, digest {}",
                hex(&a)
            )
        } else {
            format!(
                "views differ from the journal at {position}: {} on disk, {} rebuilt",
                hex(&a),
                hex(&b)
            )
        };
        out.push(Compared {
            shard: *shard,
            position: Some(position),
            agrees: a == b,
            text,
        });
    }
    Ok(out)
}
