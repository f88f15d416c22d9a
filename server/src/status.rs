//! `gotthard status`: the health of the cluster as a table.

use crate::admin::print_columns;
use crate::cli::Status;
use crate::client::Client;
use crate::print::say;
use anyhow::{Context, Result};
use serde_json::Value;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(1);

pub fn run(args: &Status) -> Result<()> {
    let client = Client::new(&args.server)?;
    loop {
        let answer = client.send("GET", "/health/replication", "application/json", b"")?;
        let health: Value =
            serde_json::from_slice(&answer.body).context("the answer is not JSON")?;
        if args.server.json {
            say!("{health}");
        } else {
            if args.watch {
                // ECMA-48: home, and clear to the end of the screen.
                say!("\x1b[H\x1b[J");
            }
            show(&health);
        }
        if !args.watch {
            return Ok(());
        }
        std::thread::sleep(INTERVAL);
    }
}

fn show(health: &Value) {
    let text = |value: &Value| match value {
        Value::Null => "?".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    say!(
        "status {}  mode {}  cluster {}  sites {}",
        text(&health["status"]),
        text(&health["mode"]),
        text(&health["cluster"]["id"]),
        text(&health["cluster"]["sites"])
    );
    for problem in health["problems"].as_array().into_iter().flatten() {
        say!(
            "PROBLEM {}: {} ({})",
            text(&problem["code"]),
            text(&problem["text"]),
            text(&problem["runbook"])
        );
    }
    let head = [
        "shard",
        "leader",
        "term",
        "committed",
        "visible",
        "node",
        "site",
        "role",
        "durable",
        "applied",
        "lag",
        "contact ms",
    ];
    let mut lines = vec![head.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>()];
    for shard in health["shards"].as_array().into_iter().flatten() {
        for replica in shard["replicas"].as_array().into_iter().flatten() {
            let of_shard = ["shard", "leader", "term", "committed", "visible"]
                .iter()
                .map(|k| text(&shard[*k]));
            let keys = [
                "node",
                "site",
                "role",
                "durable",
                "applied",
                "lag_events",
                "last_contact_ms",
            ];
            lines.push(
                of_shard
                    .chain(keys.iter().map(|k| text(&replica[*k])))
                    .collect(),
            );
        }
    }
    print_columns(&lines);
}
