//! What a node's files know of a message or an address. A line that cannot be read (torn by a crash) is passed over.

use super::files;
use super::limits::{FOUND_BYTES_MAX, QUERY_BYTES_MAX, RECORDS_FOUND_MAX};
use memchr::memmem::FinderRev;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;
use std::time::Instant;

/// Where a Message-ID, a receipt or an address stands in a record.
const NAMES: [&str; 6] = [
    "message_id",
    "receipt",
    "sender",
    "recipient",
    "account",
    "user",
];

/// A Message-ID, a receipt or an address, with angle brackets or without, in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query(String);

/// One node's answer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Found {
    /// Newest first, as they stand in the files.
    pub records: Vec<Value>,
    /// False: a bound was reached, or a file could not be read. There may be more.
    pub complete: bool,
    /// Unix milliseconds: what was before is not recorded any more. `None`: nothing is recorded.
    pub since_ms: Option<u64>,
    /// Records that this node could not write since its start.
    pub lost: u64,
}

impl Query {
    /// `None`: nothing is asked for, or more than any name has.
    pub fn new(text: &str) -> Option<Query> {
        let bare = bare(text.trim());
        let fits = !bare.is_empty() && bare.len() <= QUERY_BYTES_MAX;
        fits.then(|| Query(bare.to_ascii_lowercase()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As it stands in a file, but for its case.
    fn needle(&self) -> Vec<u8> {
        let json = Value::from(self.as_str()).to_string();
        json.as_bytes()[1..json.len() - 1].to_vec()
    }

    fn names(&self, record: &Value) -> bool {
        let values = NAMES.iter().filter_map(|name| record[*name].as_str());
        let mut values = values.map(bare);
        values.any(|value| value.eq_ignore_ascii_case(&self.0))
    }
}

fn bare(text: &str) -> &str {
    text.strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'))
        .unwrap_or(text)
}

/// Reads file after file, the newest first, until `deadline`. Blocks.
pub fn search(dir: &Path, query: &Query, deadline: Instant) -> Found {
    let mut found = Found {
        complete: true,
        ..Found::default()
    };
    let files = match files::list(dir) {
        Ok(files) => files,
        Err(error) => {
            tracing::warn!(%error, "the outcome log cannot be read");
            found.complete = false;
            return found;
        }
    };
    found.since_ms = files.first().map(|file| file.begun_ms);
    let needle = query.needle();
    let finder = FinderRev::new(&needle);
    let mut room = FOUND_BYTES_MAX;
    for file in files.iter().rev() {
        if Instant::now() >= deadline {
            found.complete = false;
            break;
        }
        // Removed meanwhile, or not readable.
        let Ok(content) = std::fs::read(&file.path) else {
            found.complete = false;
            continue;
        };
        if !search_in(&content, query, &finder, &mut found, &mut room) {
            found.complete = false;
            break;
        }
    }
    found
}

/// False once there is no room for a further record.
fn search_in(
    content: &[u8],
    query: &Query,
    finder: &FinderRev<'_>,
    found: &mut Found,
    room: &mut usize,
) -> bool {
    let lower = content.to_ascii_lowercase();
    // `end` is where what was looked at already begins.
    let mut end = content.len();
    while let Some(hit) = finder.rfind(&lower[..end]) {
        let start = lower[..hit].iter().rposition(|b| *b == b'\n');
        let start = start.map_or(0, |at| at + 1);
        let stop = lower[hit..].iter().position(|b| *b == b'\n');
        let line = &content[start..stop.map_or(content.len(), |at| hit + at)];
        end = start;
        let Ok(record) = serde_json::from_slice::<Value>(line) else {
            continue;
        };
        if !query.names(&record) {
            continue;
        }
        if found.records.len() >= RECORDS_FOUND_MAX || line.len() > *room {
            return false;
        }
        *room -= line.len();
        found.records.push(record);
    }
    true
}
