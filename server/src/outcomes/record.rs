//! From a line of the log to a record. The line's own fields are taken, so that the two can't tell different stories.

use super::OutcomeLog;
use super::limits::VALUE_BYTES_MAX;
use std::fmt::{Debug, Write};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Lines that say what became of a message; names as in `docs/protocols/logs.md`.
const OUTCOMES: [&str; 4] = [
    "delivery",
    "recipient refused",
    "messages expunged",
    "mailbox deleted",
];
/// The crates that write them.
const WRITERS: [&str; 2] = ["gateway_smtp", "gateway_imap"];

/// Sees every event of the process and keeps those.
pub struct Recorder(pub OutcomeLog);

/// Cheap, and the same for each call site: the filter that goes with `Recorder`.
pub fn may_be_an_outcome(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let crate_name = target.split_once("::").map_or(target, |(name, _)| name);
    *metadata.level() == Level::INFO && metadata.is_event() && WRITERS.contains(&crate_name)
}

impl<S: Subscriber> Layer<S> for Recorder {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if !may_be_an_outcome(event.metadata()) {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let Some(outcome) = fields.outcome {
            let at_ms = self.0.clock.now().0;
            self.0.append(line(at_ms, outcome, &fields.text));
        }
    }
}

/// `fields`: JSON members, each with a comma before it.
pub fn line(at_ms: u64, outcome: &str, fields: &str) -> String {
    format!("{{\"at_ms\":{at_ms},\"outcome\":\"{outcome}\"{fields}}}\n")
}

#[derive(Default)]
struct Fields {
    outcome: Option<&'static str>,
    text: String,
}

impl Fields {
    fn push(&mut self, name: &str, value: &str) {
        // Writing to a String cannot fail.
        let _ = write!(self.text, ",\"{name}\":{value}");
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        let mut end = value.len().min(VALUE_BYTES_MAX);
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        // JSON has no line ends within a string, so a record is a line.
        self.push(
            field.name(),
            &serde_json::Value::from(&value[..end]).to_string(),
        );
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field.name(), &value.to_string());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field.name(), &value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.outcome = OUTCOMES.into_iter().find(|outcome| *outcome == text);
        } else {
            self.record_str(field, &text);
        }
    }
}
