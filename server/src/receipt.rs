//! `gotthard receipt`: where an acknowledged change stands now.

use crate::cli::Receipt as Args;
use crate::client::{Client, encode};
use crate::health::NodeHealth;
use crate::print::say;
use anyhow::{Result, bail};
use gateway_http::{ReceiptRefused, ReceiptSource, ReceiptView};
use raft_api::{LogId, ShardId};
use std::collections::BTreeSet;
use std::sync::Arc;

pub struct NodeReceipts {
    pub health: Arc<NodeHealth>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parsed {
    /// The beginning of the cluster's id.
    cluster: String,
    incarnation: u32,
    shard: ShardId,
    log_id: LogId,
}

/// With angle brackets or without.
fn parse(id: &str) -> Option<Parsed> {
    let id = id.trim().trim_start_matches('<').trim_end_matches('>');
    let mut parts = id.split(':');
    let (cluster, incarnation) = parts.next()?.rsplit_once('.')?;
    let mut number = || parts.next()?.parse::<u64>().ok();
    let (shard, term, index) = (number()?, number()?, number()?);
    let shard = ShardId(u32::try_from(shard).ok()?);
    let parsed = Parsed {
        cluster: cluster.to_owned(),
        incarnation: incarnation.parse().ok()?,
        shard,
        log_id: LogId::new(term, index),
    };
    parts.next().is_none().then_some(parsed)
}

#[async_trait::async_trait]
impl ReceiptSource for NodeReceipts {
    async fn receipt(&self, id: &str) -> Result<ReceiptView, ReceiptRefused> {
        let parsed = parse(id).ok_or(ReceiptRefused::Malformed)?;
        let Parsed { shard, log_id, .. } = parsed;
        let health = &self.health;
        if parsed.cluster.is_empty() || !health.cluster_id.starts_with(&parsed.cluster) {
            let own = &health.cluster_id[..8.min(health.cluster_id.len())];
            let why = format!(
                "it is a receipt of cluster {}, and this is {own}",
                parsed.cluster
            );
            return Err(ReceiptRefused::NotOurs(why));
        }
        let (_, shards) = health.all_shards().await;
        let Some(standing) = shards.iter().find(|s| s.shard == shard.0) else {
            let why = format!("shard {shard} is not on this node");
            return Err(ReceiptRefused::NotOurs(why));
        };
        let found = health.journal.log_id_at(shard, log_id.index);
        let held = found == Some(log_id);
        let index = log_id.index.0;
        let holding = standing.replicas.iter();
        let holding: Vec<_> = holding
            .filter(|r| held && r.durable >= Some(index))
            .collect();
        let sites: BTreeSet<String> = holding.iter().map(|r| r.site.clone()).collect();
        let text = match (found, held) {
            (_, true) => "it is held".to_owned(),
            (Some(other), _) => format!(
                "another change stands at its place, of term {}: it was lost with a site before incarnation {}, or never acknowledged",
                other.term.0, health.incarnation
            ),
            (None, _) => "this node's log has no entry at its place: it lies ahead, or came in a snapshot and holds nothing that is still needed".to_owned(),
        };
        Ok(ReceiptView {
            receipt: format!("<{}>", id.trim().trim_matches(['<', '>'])),
            shard: shard.0,
            term: log_id.term.0,
            index,
            held,
            visible: held && standing.visible >= Some(index),
            sites: sites.into_iter().collect(),
            nodes: holding.iter().map(|replica| replica.node).collect(),
            text,
        })
    }
}

pub fn run(args: &Args) -> Result<()> {
    let client = Client::new(&args.server)?;
    let path = format!("/admin/receipt?id={}", encode(&args.id));
    let view = client.json("GET", &path, None)?;
    if args.server.json {
        say!("{view}");
    } else {
        let place = format!(
            "{}: shard {}, entry {} of term {}",
            view["receipt"].as_str().unwrap_or_default(),
            view["shard"],
            view["index"],
            view["term"]
        );
        say!("{place}");
    }
    if view["held"] != true {
        bail!("{}", view["text"].as_str().unwrap_or("it is not held"));
    }
    if !args.server.json {
        let list = |key: &str| {
            let items = view[key].as_array().into_iter().flatten();
            let items: Vec<String> = items
                .map(|item| {
                    item.as_str()
                        .map_or_else(|| item.to_string(), str::to_owned)
                })
                .collect();
            items.join(", ")
        };
        say!(
            "On stable storage in sites {} (nodes {}).",
            list("sites"),
            list("nodes")
        );
        say!(
            "{}",
            match view["visible"] == true {
                true => "Visible to clients.",
                false => "Not visible yet: it waits for a second site.",
            }
        );
        say!(
            "What became of it: gotthard trace '{}'",
            view["receipt"].as_str().unwrap_or_default()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn receipts() {
        let check = |text: &str, expect: Option<(&str, u32, u32, u64, u64)>| {
            let parsed = parse(text);
            let parts = parsed.as_ref().map(|p| {
                let (term, index) = (p.log_id.term.0, p.log_id.index.0);
                (p.cluster.as_str(), p.incarnation, p.shard.0, term, index)
            });
            assert_eq!(parts, expect, "{text}");
        };
        check("<0a1b2c3d.1:5:7:99>", Some(("0a1b2c3d", 1, 5, 7, 99)));
        check("0a1b2c3d.12:0:1:0", Some(("0a1b2c3d", 12, 0, 1, 0)));
        check("<0a1b2c3d.1:5:7>", None);
        check("<0a1b2c3d.1:5:7:99:3>", None);
        check("<0a1b2c3d:5:7:99>", None);
        check("<x.1:5:-7:99>", None);
        check("", None);
    }
}
