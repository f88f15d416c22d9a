//! `gotthard verify`: reads every frame of the journal, rebuilds the views from it in memory, compares their digests with
//! those of the views on disk, and looks up every entry that a row names. Changes nothing; the node must be stopped.
//!
//! The journal is read two or three times instead of being held in memory: what counts shows only at its end.

mod held;
mod rebuild;
#[cfg(test)]
mod tests;

use crate::cli::Verify;
use crate::identity::hex;
use crate::print::say;
use anyhow::{Context, Result, bail};
use engine_replica::{View, read_position};
use engine_store::{RocksStore, ViewStore};
use held::Held;
use raft_api::{LogId, ShardId};
use raft_log::{Disk, RealDisk, ScanReport};
use rebuild::Rebuild;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// References without a body that are named one by one.
const LOST_BODIES_SHOWN_MAX: usize = 100;

/// What was found, of the journal and of each shard.
struct Found {
    report: ScanReport,
    shards: Vec<ShardFound>,
}

struct ShardFound {
    shard: ShardId,
    position: Option<LogId>,
    /// References that were looked up.
    references: u64,
    text: String,
    problems: Vec<String>,
}

pub fn run(args: &Verify) -> Result<()> {
    let found = check(&args.data)?;
    let problems = problems(&found);
    if args.json {
        say!("{}", as_json(&found, &problems));
    } else {
        show(&found, &problems);
    }
    if problems.is_empty() {
        Ok(())
    } else {
        bail!("{} problems found", problems.len())
    }
}

fn check(data: &Path) -> Result<Found> {
    let journal = data.join("journal");
    if !journal.is_dir() {
        bail!(
            "{} holds no journal; give a node's data directory (a demo has node-1, node-2, node-3)",
            data.display()
        );
    }
    let views = data.join("views");
    if !views.is_dir() {
        bail!("{} holds no views", data.display());
    }
    let mut held: BTreeMap<ShardId, Held> = BTreeMap::new();
    let report = scan(&journal, |frame, scanned| {
        held::note(&mut held, frame, &scanned);
        Ok(())
    })?;
    let store = RocksStore::open(&views).context("the views cannot be opened")?;
    let mut shards = Vec::new();
    let mut rebuilds: BTreeMap<ShardId, Rebuild> = BTreeMap::new();
    for (id, held) in &held {
        let mut found = on_disk(*id, held, &store)?;
        if let Some(position) = found.position {
            match Rebuild::new(*id, held, position)? {
                Some(rebuild) => drop(rebuilds.insert(*id, rebuild)),
                // A crash between the two: not a loss.
                None if held.is_behind_checkpoint(position) => {
                    found.text = format!("views at {position} await the journal's checkpoint");
                }
                None => found.problems.push(format!(
                    "the journal does not hold all entries up to {position}, which the views have folded"
                )),
            }
        }
        shards.push(found);
    }
    if rebuilds.values().any(Rebuild::wants_parts) {
        scan(&journal, |frame, scanned| {
            rebuild::take_part(&mut rebuilds, frame, scanned)
        })?;
    }
    scan(&journal, |frame, scanned| {
        rebuild::take_entry(&mut rebuilds, &held, frame, scanned);
        Ok(())
    })?;
    for found in &mut shards {
        if let Some(rebuild) = rebuilds.get_mut(&found.shard) {
            compare(found, rebuild, &store)?;
        }
    }
    Ok(Found { report, shards })
}

/// One pass over all sound frames, numbered.
fn scan(
    journal: &Path,
    mut visit: impl FnMut(held::FrameNumber, raft_log::Scanned) -> Result<()>,
) -> Result<ScanReport> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut frame = 0;
    let mut result = Ok(());
    let report = raft_log::scan(&disk, journal, |_, _, scanned| {
        if result.is_ok() {
            result = visit(frame, scanned);
        }
        frame += 1;
    })
    .context("the journal cannot be read (is the node still running?)")?;
    result.map(|()| report)
}

/// The views as they are: where they stand, whether they are what they say, and whether all that they name is there.
fn on_disk(shard: ShardId, held: &Held, store: &dyn ViewStore) -> Result<ShardFound> {
    let mut found = ShardFound {
        shard,
        position: None,
        references: 0,
        text: "the views are empty".to_owned(),
        problems: Vec::new(),
    };
    let Some((position, digest)) = read_position(shard, store)? else {
        return Ok(found);
    };
    found.position = Some(position);
    let view = View::at_rest(shard, store);
    if view.recompute_digest()?.value != digest.to_be_bytes() {
        let text = format!("the rows on disk are not those of their own digest at {position}");
        found.problems.push(text);
    }
    let mut lost = 0;
    let (references, problems) = (&mut found.references, &mut found.problems);
    view.each_reference(&mut |named, index| {
        *references += 1;
        if !held.has_body(index) {
            lost += 1;
            if lost <= LOST_BODIES_SHOWN_MAX {
                problems.push(format!("no frame holds entry {index}, the body of {named}"));
            }
        }
    })?;
    if lost > LOST_BODIES_SHOWN_MAX {
        let more = lost - LOST_BODIES_SHOWN_MAX;
        problems.push(format!("and {more} more bodies that no frame holds"));
    }
    Ok(found)
}

fn compare(found: &mut ShardFound, rebuild: &mut Rebuild, store: &dyn ViewStore) -> Result<()> {
    if let Some(why) = rebuild.finish() {
        let text = format!("the views cannot be rebuilt from the journal: {why}");
        found.problems.push(text);
        return Ok(());
    }
    let rebuilt = rebuild.shard.digest().value;
    let Some((position, kept)) = read_position(found.shard, store)? else {
        return Ok(());
    };
    let kept = kept.to_be_bytes();
    if kept == rebuilt {
        let digest = hex(&kept);
        found.text = format!("views agree with the journal at {position}, digest {digest}");
    } else {
        found.problems.push(format!(
            "views differ from the journal at {position}: {} on disk, {} rebuilt",
            hex(&kept),
            hex(&rebuilt)
        ));
    }
    Ok(())
}

fn problems(found: &Found) -> Vec<String> {
    let report = &found.report;
    let damages = report.damages.iter().map(|d| format!("damage: {d}"));
    let holes = report.holes.iter().map(|hole| format!("hole: {hole}"));
    let of_shards = found.shards.iter().flat_map(|found| {
        let shard = found.shard;
        let texts = found.problems.iter();
        texts.map(move |text| format!("shard {shard}: {text}"))
    });
    damages.chain(holes).chain(of_shards).collect()
}

fn as_json(found: &Found, problems: &[String]) -> serde_json::Value {
    let report = &found.report;
    let shards: Vec<_> = found
        .shards
        .iter()
        .map(|found| {
            let agrees = found.problems.is_empty();
            let text = found.problems.first().unwrap_or(&found.text);
            json!({ "shard": found.shard.0, "position": found.position.map(|p| p.index.0),
                "references": found.references, "agrees": agrees, "text": text })
        })
        .collect();
    json!({ "frames": report.frames, "entries": report.entries, "segments": report.segments,
        "torn": report.torn.len(), "problems": problems, "shards": shards })
}

fn show(found: &Found, problems: &[String]) {
    let report = &found.report;
    say!(
        "{} segments, {} frames, {} entries",
        report.segments,
        report.frames,
        report.entries
    );
    for found in found.shards.iter().filter(|f| f.problems.is_empty()) {
        let references = found.references;
        say!(
            "shard {}: {}; all {references} references lead to a body",
            found.shard,
            found.text
        );
    }
    if !report.torn.is_empty() {
        say!(
            "{} unfinished batches at the end: the next start cuts them; nothing in them was acknowledged",
            report.torn.len()
        );
    }
    for problem in problems {
        say!("PROBLEM {problem}");
    }
}
