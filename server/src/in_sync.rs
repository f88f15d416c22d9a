//! `in-sync.json` in the data directory: until when this node, outside its leaders' site, knew that nothing was
//! acknowledged without its site. What `cluster recover-site` can promise of a lost site rests on it.
//!
//! Written while it moves, once a second, and not flushed: an older one promises less and is as true.

use raft_api::{Group, ShardId};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

const FILE: &str = "in-sync.json";
const EVERY: Duration = Duration::from_secs(1);

/// Shard to Unix milliseconds, by this node's clock.
pub type InSync = BTreeMap<u32, u64>;

/// What the file says; nothing where there is none or it cannot be read: then nothing is promised by it.
pub fn read(data: &Path) -> InSync {
    let text = fs::read(data.join(FILE)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn write(data: &Path, now: &InSync) -> std::io::Result<()> {
    let unfinished = data.join(format!("{FILE}.unfinished"));
    fs::write(&unfinished, serde_json::to_vec(now)?)?;
    fs::rename(unfinished, data.join(FILE))
}

pub async fn keep(data: std::path::PathBuf, groups: HashMap<ShardId, Arc<dyn Group>>) {
    let mut kept = read(&data);
    let mut tick = tokio::time::interval(EVERY);
    loop {
        tick.tick().await;
        let mut now = kept.clone();
        for (shard, group) in &groups {
            let until = group.status().in_sync_until;
            let until = until.and_then(|until| until.duration_since(UNIX_EPOCH).ok());
            if let Some(until) = until {
                let at = now.entry(shard.0).or_default();
                *at = (*at).max(until.as_millis() as u64);
            }
        }
        if now == kept {
            continue;
        }
        match write(&data, &now) {
            Ok(()) => kept = now,
            Err(error) => tracing::warn!(%error, "in-sync.json cannot be written"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()), InSync::new());
        let now = InSync::from([(0, 17), (3, 1_800_000_000_123)]);
        write(dir.path(), &now).unwrap();
        assert_eq!(read(dir.path()), now);
        fs::write(dir.path().join(FILE), "{").unwrap();
        assert_eq!(read(dir.path()), InSync::new());
    }
}
