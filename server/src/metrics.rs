//! `/metrics`: what this node knows by itself, in the text format of Prometheus.

use crate::health::NodeHealth;
use std::fmt::Write;

/// Name without `gotthard_`, help, type, value.
type Row = (&'static str, &'static str, &'static str, u64);

pub fn text(health: &NodeHealth) -> String {
    let mut out = String::new();
    let scrub = scrub_rows(&health.journal.stats());
    for (name, help, kind, value) in rows(health).into_iter().chain(scrub) {
        let _ = writeln!(
            out,
            "# HELP gotthard_{name} {help}\n# TYPE gotthard_{name} {kind}\ngotthard_{name} {value}"
        );
    }
    let _ = writeln!(
        out,
        "# HELP gotthard_shard_visible Highest index that may be shown.\n# TYPE gotthard_shard_visible gauge"
    );
    for status in health.groups.values().map(|group| group.status()) {
        if let Some(visible) = status.visible {
            let (shard, visible) = (status.shard, visible.0);
            let _ = writeln!(out, "gotthard_shard_visible{{shard=\"{shard}\"}} {visible}");
        }
    }
    let _ = writeln!(
        out,
        "# HELP gotthard_search_lag_entries Entries of the log whose messages this node's search index may lack; they are scanned.\n# TYPE gotthard_search_lag_entries gauge"
    );
    for (shard, applied) in &health.shards {
        if *shard == raft_api::ShardId::CONTROL {
            continue;
        }
        let applied = applied.digest().position.map_or(0, |at| at.index.0);
        let indexed = health.indexes.indexed(*shard).map_or(0, |at| at.0);
        let lag = applied.saturating_sub(indexed);
        let _ = writeln!(
            out,
            "gotthard_search_lag_entries{{shard=\"{shard}\"}} {lag}"
        );
    }
    out
}

fn rows(health: &NodeHealth) -> Vec<Row> {
    let stats = health.journal.stats();
    let count = |what: usize| what as u64;
    vec![
        (
            "journal_flushes_total",
            "Flushes of journal files.",
            "counter",
            stats.flushes,
        ),
        (
            "journal_batches_total",
            "Batches written to the journal.",
            "counter",
            stats.batches,
        ),
        (
            "journal_written_bytes_total",
            "Bytes written to the journal.",
            "counter",
            stats.bytes_written,
        ),
        (
            "journal_entries_total",
            "Entries written to the journal.",
            "counter",
            stats.entries_written,
        ),
        (
            "journal_segments",
            "Segment files with frames.",
            "gauge",
            stats.segments,
        ),
        (
            "journal_disk_bytes",
            "Length of all files of the journal.",
            "gauge",
            stats.bytes_on_disk,
        ),
        (
            "sessions",
            "Open client sessions.",
            "gauge",
            count(health.sessions.list().len()),
        ),
        (
            "journal_holes",
            "Shards whose log cannot be proven complete here.",
            "gauge",
            count(health.journal.holes().len()),
        ),
        (
            "quarantined",
            "Mailboxes and accounts that take no changes, at most 20 of each shard.",
            "gauge",
            count(health.quarantined().len()),
        ),
    ]
}

/// Self-repair of the journal.
fn scrub_rows(stats: &raft_log::Stats) -> [Row; 4] {
    [
        (
            "scrub_bytes_total",
            "Bytes of sealed segments that were read again and checked.",
            "counter",
            stats.scrubbed_bytes,
        ),
        (
            "scrub_passes_total",
            "How often all sealed segments were.",
            "counter",
            stats.scrub_passes,
        ),
        (
            "scrub_damages",
            "Damages that were found in doing so since the start.",
            "counter",
            stats.scrub_damages,
        ),
        (
            "journal_mended_total",
            "Rotten frames for which a peer's copy stands in since the start.",
            "counter",
            stats.mended,
        ),
    ]
}
