//! The timeline, as SVG: faults as bands, operations by client, leaders by shard, the mode.

use crate::history::{Fault, Operation, Outcome};
use crate::limits::BARS_MAX;
use crate::trial::Done;
use std::collections::BTreeMap;
use std::fmt::Write;

const LEFT: f64 = 110.0;
const WIDTH: f64 = 1600.0;
const ROW: f64 = 16.0;

/// Colours of nodes, and of faults.
const COLOURS: [&str; 8] = [
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#999933", "#777777",
];

struct Canvas {
    end_ns: u64,
    y: f64,
    body: String,
}

impl Canvas {
    fn x(&self, time_ns: u64) -> f64 {
        LEFT + WIDTH * time_ns as f64 / self.end_ns.max(1) as f64
    }

    fn bar(&mut self, from_ns: u64, to_ns: u64, colour: &str, title: &str) {
        let (x, y) = (self.x(from_ns), self.y + 2.0);
        let width = (self.x(to_ns) - x).max(0.7);
        let height = ROW - 4.0;
        // Writing to a String does not fail.
        let _ = write!(
            self.body,
            "<rect x='{x:.1}' y='{y:.0}' width='{width:.1}' height='{height:.0}' fill='{colour}'><title>{}</title></rect>",
            escaped(title)
        );
    }

    fn row(&mut self, label: &str) {
        let y = self.y + ROW - 4.0;
        let _ = write!(
            self.body,
            "<text x='0' y='{y:.0}'>{}</text>",
            escaped(label)
        );
    }

    fn next(&mut self) {
        self.y += ROW;
    }
}

pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\'', "&#39;")
}

pub fn svg(done: &Done) -> String {
    let end_ns = done
        .run
        .operations
        .iter()
        .map(|operation| operation.end_ns)
        .max()
        .unwrap_or(1);
    let mut canvas = Canvas {
        end_ns,
        y: 20.0,
        body: String::new(),
    };
    let top = canvas.y;
    faults(&mut canvas, &done.run.faults);
    modes(&mut canvas, done);
    leaders(&mut canvas, done);
    let below = canvas.y;
    clients(&mut canvas, &done.run.operations);
    let height = canvas.y + 10.0;
    let mut bands = String::new();
    for fault in &done.run.faults {
        let (x, end) = (canvas.x(fault.begin_ns), canvas.x(fault.end_ns));
        let (width, tall) = (end - x, height - below);
        let _ = write!(
            bands,
            "<rect x='{x:.1}' y='{below:.0}' width='{width:.1}' height='{tall:.0}' fill='#ee667722'/>"
        );
    }
    let mut seconds = String::new();
    for at in 0..=10_u64 {
        let time = end_ns / 10 * at;
        let _ = write!(
            seconds,
            "<text x='{:.0}' y='12'>{} s</text>",
            canvas.x(time),
            time / 1_000_000_000
        );
    }
    let wide = LEFT + WIDTH + 40.0;
    let _ = top;
    format!(
        "<svg width='{wide}' height='{height}' font-size='11'>{bands}{seconds}{}</svg>",
        canvas.body
    )
}

fn faults(canvas: &mut Canvas, faults: &[Fault]) {
    let mut rows: BTreeMap<&str, Vec<&Fault>> = BTreeMap::new();
    for fault in faults {
        rows.entry(fault.name).or_default().push(fault);
    }
    for (name, faults) in rows {
        canvas.row(name);
        for fault in faults {
            canvas.bar(fault.begin_ns, fault.end_ns, "#cc3311", &fault.text);
        }
        canvas.next();
    }
}

fn modes(canvas: &mut Canvas, done: &Done) {
    canvas.row("mode");
    let modes = &done.seen.modes;
    for (at, sample) in modes.iter().enumerate() {
        let end = modes.get(at + 1).map_or(canvas.end_ns, |next| next.time_ns);
        let colour = match (sample.mode.as_str(), sample.status.as_str()) {
            (_, "no_quorum") => "#cc3311",
            ("in_sync", "ok") => "#bbccbb",
            ("in_sync", _) => "#ddcc77",
            _ => "#ee8866",
        };
        canvas.bar(
            sample.time_ns,
            end,
            colour,
            &format!("{}, {}", sample.mode, sample.status),
        );
    }
    canvas.next();
}

fn leaders(canvas: &mut Canvas, done: &Done) {
    let mut shards: BTreeMap<u64, Vec<(u64, u64, u64)>> = BTreeMap::new();
    for sample in &done.seen.leaders {
        let leader = sample.leader.unwrap_or(0);
        shards
            .entry(sample.shard)
            .or_default()
            .push((sample.time_ns, leader, sample.term));
    }
    for (shard, samples) in shards {
        canvas.row(&format!("leader of {shard}"));
        for (at, (time, leader, term)) in samples.iter().enumerate() {
            let end = samples.get(at + 1).map_or(canvas.end_ns, |next| next.0);
            let colour = COLOURS[*leader as usize % COLOURS.len()];
            canvas.bar(
                *time,
                end,
                colour,
                &format!("shard {shard}: node {leader}, term {term}"),
            );
        }
        canvas.next();
    }
}

/// Failures and unknown outcomes are all shown; successes are thinned out where there are too many.
fn clients(canvas: &mut Canvas, operations: &[Operation]) {
    let mut rows: BTreeMap<u64, Vec<&Operation>> = BTreeMap::new();
    for operation in operations {
        rows.entry(operation.client).or_default().push(operation);
    }
    let step = operations.len() / BARS_MAX + 1;
    for (client, operations) in rows {
        canvas.row(&format!("client {client}"));
        for (at, operation) in operations.iter().enumerate() {
            let (colour, text) = match &operation.outcome {
                Outcome::Ok(_)
                    if at % step != 0 && operation.end_ns - operation.begin_ns < 500_000_000 =>
                {
                    continue;
                }
                Outcome::Ok(_) if operation.stale => ("#bb99dd", "old"),
                Outcome::Ok(_) => ("#88bb88", "ok"),
                Outcome::Fail(text) => ("#dd9933", text.as_str()),
                Outcome::Info(text) => ("#cc3311", text.as_str()),
            };
            let title = format!("{:?} at node {}: {text}", operation.action, operation.node);
            canvas.bar(operation.begin_ns, operation.end_ns, colour, &title);
        }
        canvas.next();
    }
}
