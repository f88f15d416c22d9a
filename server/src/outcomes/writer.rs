//! The one who writes: whole records to the newest file, files ended by size and age, the oldest removed.

use super::files::{self, LogFile};
use super::limits::{BATCH_RECORDS_MAX, FILE_AGE_MS_MAX, FILE_BYTES_MAX, FILES_MAX, TOLD_PAUSE};
use super::record::line;
use super::{Counts, Retention};
use engine_replica::Clock;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Instant;

pub struct Writer {
    dir: PathBuf,
    keep: Retention,
    counts: Arc<Counts>,
    clock: Arc<dyn Clock>,
    current: Option<Current>,
    /// Lost records that a record or a line of the log has told of.
    told: u64,
    told_at: Option<Instant>,
}

struct Current {
    file: File,
    begun_ms: u64,
    bytes: u64,
}

/// Until the log is gone with all its clones.
pub fn run(lines: &Receiver<String>, mut writer: Writer) {
    while let Ok(first) = lines.recv() {
        let mut batch = first;
        let mut records = 1;
        while records < BATCH_RECORDS_MAX
            && let Ok(line) = lines.try_recv()
        {
            batch.push_str(&line);
            records += 1;
        }
        let counts = writer.counts.clone();
        counts
            .queued_octets
            .fetch_sub(batch.len(), Ordering::Relaxed);
        writer.write_batch(&batch, records);
        *counts.written.lock() += records as u64;
        counts.done.notify_all();
    }
}

impl Writer {
    pub fn new(
        dir: PathBuf,
        keep: Retention,
        counts: Arc<Counts>,
        clock: Arc<dyn Clock>,
    ) -> Writer {
        Writer {
            dir,
            keep,
            counts,
            clock,
            current: None,
            told: 0,
            told_at: None,
        }
    }

    /// What cannot be written is lost: mail goes on, and the next batch tries again with a new file.
    pub fn write_batch(&mut self, batch: &str, records: usize) {
        let now_ms = self.clock.now().0;
        let lost = self.counts.lost.load(Ordering::Relaxed);
        let mut text = String::new();
        if lost > self.told {
            let count = format!(",\"count\":{}", lost - self.told);
            text = line(now_ms, "records lost", &count);
        }
        text.push_str(batch);
        if text.is_empty() {
            return;
        }
        let newly_lost = lost > self.told;
        match self.write(now_ms, text.as_bytes()) {
            Ok(()) => self.told = lost,
            Err(error) => {
                self.current = None;
                let lost = &self.counts.lost;
                lost.fetch_add(records as u64, Ordering::Relaxed);
                self.tell(&error.to_string());
            }
        }
        if newly_lost {
            self.tell("too many at once");
        }
    }

    /// In the log of the process, now and then.
    fn tell(&mut self, reason: &str) {
        if self.told_at.is_some_and(|at| at.elapsed() < TOLD_PAUSE) {
            return;
        }
        self.told_at = Some(Instant::now());
        let lost = self.counts.lost.load(Ordering::Relaxed);
        tracing::warn!(
            lost,
            reason,
            "outcomes were not recorded: `gotthard trace` will lack them"
        );
    }

    fn write(&mut self, now_ms: u64, text: &[u8]) -> io::Result<()> {
        let ended = self.current.as_ref().is_none_or(|current| {
            current.bytes >= FILE_BYTES_MAX || now_ms.abs_diff(current.begun_ms) >= FILE_AGE_MS_MAX
        });
        if ended {
            self.begin(now_ms)?;
        }
        let current = self.current.as_mut();
        let current = current.ok_or(io::ErrorKind::NotFound)?;
        current.bytes += text.len() as u64;
        current.file.write_all(text)
    }

    /// A new file each time: the last one of an earlier run may end in half a record. What stands above a bound goes
    /// before anything is added.
    fn begin(&mut self, now_ms: u64) -> io::Result<()> {
        self.current = None;
        std::fs::create_dir_all(&self.dir)?;
        let present = files::list(&self.dir)?;
        for file in to_remove(&present, self.keep, now_ms) {
            std::fs::remove_file(&file.path)?;
        }
        // Names rise, also when the clock was set back.
        let after_last = present.last().map_or(0, |file| file.begun_ms + 1);
        let begun_ms = now_ms.max(after_last);
        let path = files::path(&self.dir, begun_ms);
        let file = File::options().append(true).create_new(true).open(path)?;
        self.current = Some(Current {
            file,
            begun_ms: now_ms,
            bytes: 0,
        });
        Ok(())
    }
}

/// The oldest, as far as the others and one more keep within the bounds. A file ends where the next one begins.
fn to_remove(files: &[LogFile], keep: Retention, now_ms: u64) -> &[LogFile] {
    let mut bytes: u64 = files.iter().map(|file| file.bytes).sum();
    let mut removed = 0;
    for (number, file) in files.iter().enumerate() {
        let ended_ms = files.get(number + 1).map_or(u64::MAX, |next| next.begun_ms);
        let too_old = ended_ms.saturating_add(keep.age_ms_max) < now_ms;
        let too_many = files.len() - number >= FILES_MAX;
        if !too_old && !too_many && bytes + FILE_BYTES_MAX <= keep.bytes_max {
            break;
        }
        bytes -= file.bytes;
        removed = number + 1;
    }
    &files[..removed]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed() {
        let check = |files: &[(u64, u64)], now_ms: u64, expect: usize| {
            let files: Vec<LogFile> = files
                .iter()
                .map(|(begun_ms, bytes)| LogFile {
                    begun_ms: *begun_ms,
                    path: PathBuf::new(),
                    bytes: *bytes,
                })
                .collect();
            let keep = Retention {
                bytes_max: 10 * FILE_BYTES_MAX,
                age_ms_max: 1_000,
            };
            let removed = to_remove(&files, keep, now_ms).len();
            assert_eq!(removed, expect, "{files:?} at {now_ms}");
        };
        let age = 1_000;
        check(&[], age, 0);
        check(&[(0, 1), (5, 1)], age + 5, 0);
        check(&[(0, 1), (5, 1)], age + 6, 1);
        check(&[(0, 1), (5, 1), (6, 1)], age + 7, 2);
        let rest = 9 * FILE_BYTES_MAX;
        check(&[(0, 10), (1, rest)], 1, 1);
        check(&[(0, 10), (1, rest - 10)], 1, 0);
        check(&[(0, 10), (1, 10), (2, rest)], 1, 2);
        let many: Vec<(u64, u64)> = (0..FILES_MAX as u64 + 1).map(|n| (n, 1)).collect();
        check(&many, 1, 2);
        check(&many[2..], 1, 0);
    }
}
