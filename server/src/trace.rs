//! `gotthard trace`: what became of a message, from the outcome logs of all nodes.
//! The node that is asked asks the others; whoever does not answer is named.

use crate::admin::print_columns;
use crate::cli::Trace as Args;
use crate::client::{Client, encode};
use crate::clock::rfc3339;
use crate::health::NodeHealth;
use crate::outcomes::{Found, OutcomeLog, Query, RECORDS_FOUND_MAX};
use crate::print::say;
use anyhow::Result;
use bytes::Bytes;
use engine_types::UnixMillis;
use gateway_http::{Trace, TraceRefused, TraceSource, TracedNode};
use raft_api::{Inbound, NodeId};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// What nodes ask each other: this, then the query.
const QUESTION: &[u8] = b"outcomes\n";
/// A node searches for at most five seconds, after the searches that came before.
const ASK_MAX: Duration = Duration::from_secs(12);

/// Answers for the whole cluster, and what other nodes ask of this one.
pub struct NodeTrace {
    pub log: OutcomeLog,
    pub health: Arc<NodeHealth>,
}

impl NodeTrace {
    async fn others(&self, query: &Query) -> Vec<(u64, Option<Found>)> {
        let mut asked = tokio::task::JoinSet::new();
        let question = Bytes::from([QUESTION, query.as_str().as_bytes()].concat());
        let members = self.health.members().into_keys();
        for id in members.filter(|id| id.0 != self.health.node.id) {
            let (asker, question) = (self.health.asker.clone(), question.clone());
            asked.spawn(async move {
                let answer = asker.ask(id, question, ASK_MAX).await.ok();
                (
                    id.0,
                    answer.and_then(|answer| serde_json::from_slice(&answer).ok()),
                )
            });
        }
        asked.join_all().await
    }
}

#[async_trait::async_trait]
impl Inbound for NodeTrace {
    async fn ask(&self, from: NodeId, question: Bytes) -> Bytes {
        let Some(query) = question.strip_prefix(QUESTION) else {
            return self.health.ask(from, question).await;
        };
        let query = std::str::from_utf8(query).ok().and_then(Query::new);
        let Some(query) = query else {
            return Bytes::new();
        };
        let found = self.log.search(query).await;
        serde_json::to_vec(&found).map_or_else(|_| Bytes::new(), Bytes::from)
    }
}

#[async_trait::async_trait]
impl TraceSource for NodeTrace {
    async fn trace(&self, of: &str) -> Result<Trace, TraceRefused> {
        let query = Query::new(of).ok_or(TraceRefused)?;
        let (own, others) = tokio::join!(self.log.search(query.clone()), self.others(&query));
        let mut answers = others;
        answers.push((self.health.node.id, Some(own)));
        Ok(merge(answers))
    }
}

/// In the order of time; the newest where there are too many.
fn merge(mut answers: Vec<(u64, Option<Found>)>) -> Trace {
    answers.sort_by_key(|(node, _)| *node);
    let mut trace = Trace {
        records: Vec::new(),
        complete: true,
        nodes: Vec::new(),
    };
    for (node, found) in answers {
        let answered = found.is_some();
        let found = found.unwrap_or_default();
        trace.complete &= found.complete;
        trace.nodes.push(TracedNode {
            node,
            answered,
            complete: found.complete,
            since: found.since_ms.map(|at| rfc3339(UnixMillis(at))),
            lost: answered.then_some(found.lost),
        });
        // Oldest first here too, so that records of one moment keep their order.
        let records = found.records.into_iter().rev();
        trace
            .records
            .extend(records.map(|record| of_node(record, node)));
    }
    trace.records.sort_by_key(|record| record["at_ms"].as_u64());
    let more = trace.records.len().saturating_sub(RECORDS_FOUND_MAX);
    trace.complete &= more == 0;
    trace.records.drain(..more);
    trace
}

fn of_node(mut record: Value, node: u64) -> Value {
    let at_ms = record["at_ms"].as_u64().unwrap_or(0);
    if let Some(members) = record.as_object_mut() {
        members.insert("node".to_owned(), json!(node));
        members.insert("at".to_owned(), json!(rfc3339(UnixMillis(at_ms))));
    }
    record
}

pub fn run(args: &Args) -> Result<()> {
    let client = Client::new(&args.server)?;
    let path = format!("/admin/trace?of={}", encode(&args.of));
    let trace = client.json("GET", &path, None)?;
    if args.server.json {
        say!("{trace}");
        return Ok(());
    }
    show(&trace);
    Ok(())
}

fn show(trace: &Value) {
    let rows = trace["records"].as_array().cloned().unwrap_or_default();
    if rows.is_empty() {
        say!("nothing is recorded of it");
    } else {
        let columns = [
            "at",
            "node",
            "outcome",
            "message_id",
            "sender",
            "recipient",
            "account",
            "mailbox",
            "receipt",
            "reply",
        ];
        let mut lines = vec![columns.map(str::to_owned).to_vec()];
        lines.extend(
            rows.iter()
                .map(|row| columns.map(|name| cell(row, name)).to_vec()),
        );
        print_columns(&lines);
    }
    for note in notes(trace) {
        eprintln!("{note}");
    }
}

/// Values that peers chose: control characters would reach the operator's terminal.
fn cell(row: &Value, name: &str) -> String {
    let text = match (&row[name], name) {
        // What IMAP's lines call by names of their own.
        (Value::Null, "account") => row["user"].as_str().unwrap_or("-").to_owned(),
        (Value::Null, "reply") => match row["messages"].as_u64() {
            Some(count) => format!("{count} messages"),
            None => "-".to_owned(),
        },
        (Value::Null, _) => "-".to_owned(),
        (Value::String(text), _) if text.is_empty() => "-".to_owned(),
        (Value::String(text), _) => text.clone(),
        (other, _) => other.to_string(),
    };
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

/// What an operator must know beside the rows.
fn notes(trace: &Value) -> Vec<String> {
    let mut notes = Vec::new();
    let shown = trace["records"].as_array().map_or(0, Vec::len);
    let mut more = shown >= RECORDS_FOUND_MAX;
    for node in trace["nodes"].as_array().into_iter().flatten() {
        let id = &node["node"];
        if node["answered"] == json!(false) {
            notes.push(format!(
                "node {id} did not answer: what came in there is missing"
            ));
            continue;
        }
        more |= node["complete"] == json!(false);
        match node["since"].as_str() {
            Some(since) => notes.push(format!("node {id} has outcomes since {since}")),
            None => notes.push(format!("node {id} has no outcomes")),
        }
        if let Some(lost) = node["lost"].as_u64().filter(|lost| *lost > 0) {
            notes.push(format!("node {id} could not record {lost} outcomes"));
        }
    }
    if more {
        notes.push("there may be more: ask for a Message-ID or a receipt".to_owned());
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(times: &[u64]) -> Option<Found> {
        Some(Found {
            records: times
                .iter()
                .map(|at_ms| json!({ "at_ms": at_ms }))
                .collect(),
            complete: true,
            since_ms: Some(1_000),
            lost: 2,
        })
    }

    #[test]
    fn answers_are_one_story() {
        let trace = merge(vec![
            (3, found(&[9_000, 2_000])),
            (2, None),
            (1, found(&[2_000])),
        ]);
        let order: Vec<(u64, &str)> = trace
            .records
            .iter()
            .map(|r| (r["node"].as_u64().unwrap(), r["at"].as_str().unwrap()))
            .collect();
        assert_eq!(
            order,
            [
                (1, "1970-01-01T00:00:02Z"),
                (3, "1970-01-01T00:00:02Z"),
                (3, "1970-01-01T00:00:09Z"),
            ]
        );
        assert!(!trace.complete);
        let told = serde_json::to_value(&trace).unwrap();
        assert_eq!(
            notes(&told),
            [
                "node 1 has outcomes since 1970-01-01T00:00:01Z",
                "node 1 could not record 2 outcomes",
                "node 2 did not answer: what came in there is missing",
                "node 3 has outcomes since 1970-01-01T00:00:01Z",
                "node 3 could not record 2 outcomes",
            ]
        );
    }

    #[test]
    fn the_newest_are_kept() {
        let times: Vec<u64> = (0..RECORDS_FOUND_MAX as u64).rev().collect();
        let trace = merge(vec![(1, found(&times)), (2, found(&[7_000_000]))]);
        assert_eq!(
            (trace.records.len(), trace.complete),
            (RECORDS_FOUND_MAX, false)
        );
        assert_eq!(trace.records.last().unwrap()["node"], 2);
    }

    #[test]
    fn cells() {
        let row = json!({ "user": "a@x", "messages": 3, "sender": "", "reply": null, "recipient": "\u{1b}[2J", "node": 1 });
        let shown: Vec<String> = ["account", "reply", "sender", "recipient", "node", "mailbox"]
            .map(|name| cell(&row, name))
            .to_vec();
        assert_eq!(shown, ["a@x", "3 messages", "-", "?[2J", "1", "-"]);
    }
}
