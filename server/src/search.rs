//! `gotthard search` and `gotthard index`: the index of this node behind the admin listener, and the commands.

use crate::cli::{Index, IndexAction, Search};
use crate::client::{Client, encode};
use crate::print::say;
use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use engine_replica::Shard;
use engine_service::{Administration, Service};
use gateway_http::{IndexSource, IndexVerdict, IndexView};
use index_port::{Feeder, Indexes};
use raft_api::{Entries, ShardId};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SearchConfig {
    /// False: this node keeps no search index, and a search here reads and looks through each message.
    pub index: bool,
}

impl Default for SearchConfig {
    fn default() -> SearchConfig {
        SearchConfig { index: true }
    }
}

/// The index of the shards that this node holds, and what keeps it level with them.
pub fn open(
    config: &SearchConfig,
    data: &Path,
    shards: &HashMap<ShardId, Arc<Shard>>,
    entries: &Arc<dyn Entries>,
) -> Result<(Arc<Indexes>, Arc<Feeder>)> {
    let none = HashMap::new();
    let shards = if config.index { shards } else { &none };
    let indexes = Indexes::open(&data.join("search"), shards).context("the search index")?;
    let feeder = Feeder::start(indexes.clone(), entries.clone()).context("the search index")?;
    Ok((indexes, Arc::new(feeder)))
}

pub struct NodeIndex {
    pub service: Arc<Service>,
    pub indexes: Arc<Indexes>,
    pub feeder: Arc<Feeder>,
    pub entries: Arc<dyn Entries>,
}

#[async_trait]
impl IndexSource for NodeIndex {
    fn states(&self) -> Vec<IndexView> {
        let states = self.indexes.states().into_iter();
        let views = states.map(|state| IndexView {
            shard: state.shard.0,
            indexed: state.indexed.map(|at| at.0),
            applied: state.applied.map(|at| at.0),
            state: match (state.rebuilding, state.levelling) {
                (true, looked) => format!("made anew, {} messages looked at", looked.unwrap_or(0)),
                (false, Some(looked)) => format!("brought level, {looked} messages looked at"),
                (false, None) if state.damage.is_some() => "damaged".to_owned(),
                (false, None) => "level".to_owned(),
            },
            damage: state.damage,
            messages: state.messages,
            text_bytes: state.text_bytes,
            file_bytes: state.file_bytes,
            runs: state.runs,
        });
        views.collect()
    }

    fn rebuild(&self, shard: u32) -> bool {
        self.feeder.rebuild(ShardId(shard))
    }

    async fn verify(&self, address: &str, queries: usize) -> Result<IndexVerdict, String> {
        let who = self.service.principal(address).await;
        let who = who.map_err(|refusal| refusal.to_string())?;
        let home = self.service.position(&who);
        let (shard, account, _) = home.ok_or("the account's shard is not on this node")?;
        let (feeder, entries) = (self.feeder.clone(), self.entries.clone());
        let checking = tokio::task::spawn_blocking(move || {
            feeder.verify(entries.as_ref(), shard, account, queries)
        });
        let verdict = checking.await.map_err(|error| error.to_string())?;
        let verdict = verdict.ok_or("the account's shard has no search index here")?;
        let verdict = verdict.map_err(|error| error.to_string())?;
        Ok(IndexVerdict {
            messages: verdict.messages,
            queries: verdict.queries,
            scanned: verdict.scanned,
            differences: verdict.differences,
        })
    }

    async fn position(&self, address: &str) -> Option<String> {
        let who = self.service.principal(address).await.ok()?;
        let (shard, _, at) = self.service.position(&who)?;
        Some(format!("{shard}:{}", at.0))
    }
}

pub fn run(args: &Search) -> Result<()> {
    let client = Client::new(&args.server)?;
    let mut path = format!(
        "/admin/search/{}?q={}&key={}&limit={}",
        encode(&args.account),
        encode(&args.text),
        encode(&args.key),
        args.limit
    );
    if args.ranked {
        path += &format!(
            "&mode=ranked&languages={}&facets={}",
            encode(&args.languages),
            args.facets
        );
    }
    if let Some(mailbox) = &args.mailbox {
        path += &format!("&mailbox={}", encode(mailbox));
    }
    let found = client.json("GET", &path, None)?;
    if args.server.json {
        say!("{found}");
        return Ok(());
    }
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    for row in found["messages"].as_array().into_iter().flatten() {
        let (mailbox, from, subject) = (
            text(row, "mailbox"),
            text(row, "from"),
            text(row, "subject"),
        );
        match row["score"].as_f64() {
            Some(score) => say!("{score:.2} {mailbox} {} {from} {subject}", row["uid"]),
            None => say!("{mailbox} {} {from} {subject}", row["uid"]),
        }
        if let Some(snippet) = row["snippet"]["text"].as_str() {
            say!(
                "    {}",
                highlighted(snippet, &row["snippet"]["highlights"])
            );
        }
    }
    for (kind, values) in found["facets"].as_object().into_iter().flatten() {
        for value in values.as_array().into_iter().flatten() {
            say!("{kind} {}: {}", text(value, "value"), value["messages"]);
        }
    }
    say!(
        "{} found, complete to {} of the log",
        found["count"],
        text(&found, "position")
    );
    Ok(())
}

/// Words that were found, between asterisks.
fn highlighted(text: &str, marks: &Value) -> String {
    let mut shown = text.to_owned();
    for mark in marks.as_array().into_iter().flatten().rev() {
        for at in [&mark[1], &mark[0]] {
            let at = at.as_u64().and_then(|at| usize::try_from(at).ok());
            if let Some(at) = at.filter(|at| shown.is_char_boundary(*at)) {
                shown.insert(at, '*');
            }
        }
    }
    shown
}

pub fn run_index(args: &Index) -> Result<()> {
    let client = Client::new(&args.server)?;
    match &args.action {
        IndexAction::Status => {
            let status = client.json("GET", "/admin/index", None)?;
            if args.server.json {
                say!("{status}");
                return Ok(());
            }
            say!("shard  indexed  applied  messages  text MB  files MB  runs  state");
            for shard in status["shards"].as_array().into_iter().flatten() {
                let megabytes = |key: &str| shard[key].as_f64().unwrap_or(0.0) / 1e6;
                say!(
                    "{:>5}  {:>7}  {:>7}  {:>8}  {:>7.1}  {:>8.1}  {:>4}  {}{}",
                    shard["shard"],
                    shard["indexed"],
                    shard["applied"],
                    shard["messages"],
                    megabytes("text_bytes"),
                    megabytes("file_bytes"),
                    shard["runs"],
                    shard["state"].as_str().unwrap_or_default(),
                    shard["damage"]
                        .as_str()
                        .map_or_else(String::new, |why| format!(": {why}"))
                );
            }
        }
        IndexAction::Rebuild { shard } => {
            let shards = match shard {
                Some(shard) => vec![u64::from(*shard)],
                None => all_shards(&client)?,
            };
            for shard in &shards {
                client.json("POST", &format!("/admin/index/{shard}/rebuild"), None)?;
            }
            say!(
                "{} shards are made anew beside what there is; gotthard index status tells how far they are",
                shards.len()
            );
        }
        IndexAction::Verify { account, queries } => {
            let path = format!("/admin/index/verify/{}?queries={queries}", encode(account));
            let verdict = client.json("GET", &path, None)?;
            let differences = verdict["differences"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            if args.server.json {
                say!("{verdict}");
            } else {
                say!(
                    "{} queries over {} messages, {} looks into messages that were not indexed: {} differences from a scan",
                    verdict["queries"],
                    verdict["messages"],
                    verdict["scanned"],
                    differences.len()
                );
            }
            if !differences.is_empty() {
                let first = differences[0].as_str().unwrap_or_default();
                bail!(
                    "the index differs from the mail: {first}; gotthard index rebuild makes it anew"
                );
            }
        }
    }
    Ok(())
}

fn all_shards(client: &Client) -> Result<Vec<u64>> {
    let status = client.json("GET", "/admin/index", None)?;
    let shards = status["shards"].as_array().into_iter().flatten();
    Ok(shards.filter_map(|shard| shard["shard"].as_u64()).collect())
}
