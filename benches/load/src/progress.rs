//! What is done and how long it may take yet, on standard error.

use std::io::{IsTerminal, Write};
use std::time::Instant;

const WIDTH: usize = 30;

pub struct Progress {
    begun: Instant,
    done: usize,
    all: usize,
    /// Elsewhere lines alone: a bar in a file is noise.
    bar: bool,
}

impl Progress {
    pub fn new(all: usize) -> Progress {
        Progress {
            begun: Instant::now(),
            done: 0,
            all,
            bar: std::io::stderr().is_terminal(),
        }
    }

    /// One more is done: a line for it, and the bar below.
    pub fn step(&mut self, line: &str) {
        self.done += 1;
        let mut out = std::io::stderr().lock();
        // Nobody is stopped by a terminal that went away.
        let _ = match self.bar {
            true => write!(out, "\r\x1b[K{line}\n{}", self.text()),
            false => writeln!(out, "{line}"),
        };
        if self.bar && self.done == self.all {
            let _ = writeln!(out);
        }
        let _ = out.flush();
    }

    fn text(&self) -> String {
        let filled = WIDTH * self.done / self.all.max(1);
        let left = self.begun.elapsed().as_secs() * (self.all - self.done) as u64;
        format!(
            "[{}{}] {} of {}, {} s left",
            "#".repeat(filled),
            ".".repeat(WIDTH - filled),
            self.done,
            self.all,
            left / self.done.max(1) as u64
        )
    }
}
