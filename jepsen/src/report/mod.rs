//! What a run has to say: a few lines for the terminal, a page for the browser.

mod counts;
mod page;
mod timeline;

pub use page::page;

use crate::trial::Done;
use std::fmt::Write;

/// For the terminal; Markdown as it is.
pub fn summary(done: &Done) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = writeln!(out, "{}", counts::outcomes(&done.run.operations));
    let _ = writeln!(out, "{}", counts::settled(done));
    for text in &done.undecided {
        let _ = writeln!(out, "undecided: {text}");
    }
    for violation in &done.violations {
        let _ = writeln!(out, "VIOLATION {}: {}", violation.checker, violation.text);
    }
    if done.violations.is_empty() {
        let _ = writeln!(out, "no violation");
    }
    out
}
