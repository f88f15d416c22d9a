//! Whether all nodes are well and say the same, by their health pages.

use super::machine::Cluster;
use crate::clients::http;
use anyhow::{Result, bail};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Well,
    /// And nothing changes any more: digests are of the same position, and equal.
    Same,
}

impl Cluster {
    /// `Err`: what was missing to the last. Every node says that all is well, and all say the same.
    pub fn settled(&self, within: Duration) -> Result<Result<Duration, String>> {
        self.comes_to(Wanted::Same, within)
    }

    /// The same while clients are at work: each node says that all is well.
    pub fn well(&self, within: Duration) -> Result<Result<Duration, String>> {
        self.comes_to(Wanted::Well, within)
    }

    fn comes_to(&self, wanted: Wanted, within: Duration) -> Result<Result<Duration, String>> {
        let begun = Instant::now();
        loop {
            let text = match self.disagreement(wanted) {
                None => return Ok(Ok(begun.elapsed())),
                Some(text) => text,
            };
            if begun.elapsed() > within {
                return Ok(Err(text));
            }
            if self.stop.wait(Duration::from_millis(200)) {
                bail!("interrupted");
            }
        }
    }

    fn disagreement(&self, wanted: Wanted) -> Option<String> {
        let mut first: Option<Vec<serde_json::Value>> = None;
        let count = self.nodes.len() as u64;
        for id in self.ids() {
            let health = match http::health(self.wires.endpoints.http(id)) {
                Ok((_, health)) => health,
                Err(error) => return Some(format!("node {id} has no health: {error}")),
            };
            if health["status"] != "ok"
                || !is_empty(&health["problems"])
                || health["cluster"]["nodes"] != count
            {
                return Some(format!(
                    "node {id}: {}, {} nodes, {}",
                    health["status"], health["cluster"]["nodes"], health["problems"]
                ));
            }
            let shards = health["shards"].as_array().into_iter().flatten();
            let digests: Vec<_> = shards.map(|shard| shard["digest"].clone()).collect();
            if digests.is_empty() || digests.iter().any(|digest| digest["agrees"] != true) {
                return Some(format!("node {id}: digests {digests:?}"));
            }
            let differs = first.as_ref().is_some_and(|first| *first != digests);
            if wanted == Wanted::Same && differs {
                return Some(format!(
                    "node {id}: other digests than the first node: {digests:?}, {first:?}"
                ));
            }
            first = Some(digests);
        }
        None
    }

    pub fn until(
        &self,
        what: &str,
        within: Duration,
        check: impl Fn(&Cluster) -> Result<bool>,
    ) -> Result<()> {
        let end = Instant::now() + within;
        while !check(self)? {
            if Instant::now() > end {
                bail!("{what}: not within {} s", within.as_secs());
            }
            if self.stop.wait(Duration::from_millis(50)) {
                bail!("interrupted");
            }
        }
        Ok(())
    }
}

fn is_empty(value: &serde_json::Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}
