//! Looks at the health of all nodes while the trial runs: leaders and modes, as they change.

use crate::clients::http;
use crate::cluster::Endpoints;
use crate::history::Recorder;
use crate::limits::{IN_SYNC_FOR, WATCH_EVERY};
use crate::stop::Stop;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What a node said of a shard, from a time on.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub time_ns: u64,
    pub shard: u64,
    pub leader: Option<u64>,
    pub term: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ModeSample {
    pub time_ns: u64,
    pub mode: String,
    pub status: String,
}

#[derive(Default)]
pub struct Seen {
    pub leaders: Vec<Sample>,
    pub modes: Vec<ModeSample>,
}

#[derive(Default)]
pub struct Watch {
    seen: Mutex<Seen>,
}

impl Watch {
    pub fn run(&self, endpoints: &Endpoints, recorder: &Recorder, stop: &Stop) {
        while !stop.wait(WATCH_EVERY) {
            for node in endpoints.nodes() {
                if let Ok((_, health)) = http::health(endpoints.http(node)) {
                    self.learn(&health, recorder.now_ns());
                }
            }
        }
    }

    fn learn(&self, health: &Value, time_ns: u64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
        let (mode, status) = (text(&health["mode"]), text(&health["status"]));
        let last = seen.modes.last();
        if last.is_none_or(|last| last.mode != mode || last.status != status) {
            seen.modes.push(ModeSample {
                time_ns,
                mode,
                status,
            });
        }
        for shard in health["shards"].as_array().into_iter().flatten() {
            let sample = Sample {
                time_ns,
                shard: shard["shard"].as_u64().unwrap_or(0),
                leader: shard["leader"].as_u64(),
                term: shard["term"].as_u64().unwrap_or(0),
            };
            let known = seen
                .leaders
                .iter()
                .rev()
                .find(|known| known.shard == sample.shard);
            // A node that is cut off tells of older terms.
            let is_new =
                known.is_none_or(|known| (sample.term, sample.leader) > (known.term, known.leader));
            if sample.leader.is_some() && is_new {
                seen.leaders.push(sample);
            }
        }
    }

    /// Whether the last that was seen is a cluster in sync, for some looks already.
    pub fn is_in_sync(&self, now_ns: u64) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let since = IN_SYNC_FOR.as_nanos() as u64;
        seen.modes.last().is_some_and(|last| {
            (last.mode.as_str(), last.status.as_str()) == ("in_sync", "ok")
                && last.time_ns + since < now_ns
        })
    }

    /// The node that leads most shards.
    pub fn leader(&self) -> Option<u64> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut by_shard: BTreeMap<u64, u64> = BTreeMap::new();
        for sample in &seen.leaders {
            by_shard.extend(sample.leader.map(|leader| (sample.shard, leader)));
        }
        let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
        for leader in by_shard.values() {
            *counts.entry(*leader).or_default() += 1;
        }
        counts
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .map(|(leader, _)| leader)
    }

    pub fn take(&self) -> Seen {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut seen)
    }
}
