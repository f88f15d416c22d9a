//! `report.html`: one file that needs nothing else.

use super::counts;
use super::timeline::{escaped, svg};
use crate::trial::Done;
use std::fmt::Write;

const STYLE: &str = "body{font:14px sans-serif;margin:2em}table{border-collapse:collapse;margin:1em 0}\
                     td,th{border:1px solid #bbb;padding:.2em .6em;text-align:left}.bad{color:#cc3311}\
                     .scroll{overflow-x:auto}";

pub fn page(title: &str, done: &Done) -> String {
    let verdict = match done.violations.len() {
        0 => "<p>No violation.</p>".to_owned(),
        count => format!("<p class='bad'>{count} violations.</p>"),
    };
    let title = escaped(title);
    let (outcomes, settled) = (
        counts::outcomes(&done.run.operations),
        escaped(&counts::settled(done)),
    );
    format!(
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Trial: {title}</title><style>{STYLE}</style>\
         <h1>Trial: {title}</h1>{verdict}<p>{outcomes}<br>{settled}</p>{}{}{}{}\
         <h2>Timeline</h2><p>Successes green, refusals orange, unknown outcomes red, answers marked as old violet; \
         red bands are faults.</p><div class='scroll'>{}</div></html>\n",
        violations(done),
        operations(done),
        faults(done),
        pauses(done),
        svg(done)
    )
}

fn violations(done: &Done) -> String {
    let rows = done
        .violations
        .iter()
        .map(|violation| vec![violation.checker.to_owned(), violation.text.clone()]);
    let undecided = done
        .undecided
        .iter()
        .map(|text| vec!["undecided".to_owned(), text.clone()]);
    table("Violations", &["checker", "what"], rows.chain(undecided))
}

fn operations(done: &Done) -> String {
    let counts = counts::by_kind(&done.run.operations);
    let rows = counts.into_iter().map(|(name, count)| {
        let numbers =
            [count.ok, count.fail, count.info, count.stale].map(|number| number.to_string());
        [vec![name.to_owned()], numbers.to_vec()].concat()
    });
    table(
        "Operations",
        &["operation", "ok", "refused", "unknown", "marked as old"],
        rows,
    )
}

fn faults(done: &Done) -> String {
    let seconds = |time_ns: u64| format!("{:.1} s", time_ns as f64 / 1e9);
    let rows = done.run.faults.iter().map(|fault| {
        vec![
            fault.name.to_owned(),
            seconds(fault.begin_ns),
            seconds(fault.end_ns),
            fault.text.clone(),
        ]
    });
    table("Faults", &["nemesis", "from", "to", "what"], rows)
}

fn pauses(done: &Done) -> String {
    let pauses = counts::pauses(&done.run.operations);
    let rows = pauses
        .into_iter()
        .map(|(client, pause)| vec![client.to_string(), format!("{:.2} s", pause as f64 / 1e9)]);
    table(
        "Longest time between two successes",
        &["client", "time"],
        rows,
    )
}

/// Nothing, if there are no rows.
fn table(title: &str, heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut body = String::new();
    for row in rows {
        let cells: String = row
            .iter()
            .map(|cell| format!("<td>{}</td>", escaped(cell)))
            .collect();
        // Writing to a String does not fail.
        let _ = write!(body, "<tr>{cells}</tr>");
    }
    if body.is_empty() {
        return String::new();
    }
    let heads: String = heads
        .iter()
        .map(|head| format!("<th>{head}</th>"))
        .collect();
    format!("<h2>{title}</h2><table><tr>{heads}</tr>{body}</table>")
}
