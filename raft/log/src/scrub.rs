//! Reads sealed segments again, piece by piece, and holds every frame against the footer.
//!
//! It has no clock: `step` is told the time and says when it is to be called again, so that a simulation can drive it, or
//! leave it off. What it finds is noted as by a read; whoever mends watches `Journal::watch_damages`.

use crate::format::{FRAME_HEAD_BYTES, FrameHead, HEAD_AREA_BYTES, Row, Seed, SegmentHead};
use crate::format::{FrameKind, HeadCopies, TRAILER_BYTES, segment_name};
use crate::judge::{Concern, damaged_row, stretch};
use crate::sealed::{Damages, SealedBy, head_damages, read_footer};
use crate::state::Shared;
use crate::{DiskFile, Meaning, limits};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub struct Scrub {
    shared: Arc<Shared>,
    /// When the pass that is under way, or the last one, began.
    began: Option<Duration>,
    is_under_way: bool,
    /// The last segment of this pass that is done.
    done: u64,
    segment: Option<Segment>,
}

/// The segment that is being checked.
struct Segment {
    sequence: u64,
    file: Arc<dyn DiskFile>,
    sealed: SealedBy,
    /// All before it is checked.
    at: u64,
    /// Of the footer's rows, those before `at`.
    rows: usize,
}

impl Scrub {
    pub(crate) fn new(shared: Arc<Shared>) -> Scrub {
        Scrub {
            shared,
            began: None,
            is_under_way: false,
            done: 0,
            segment: None,
        }
    }

    /// Checks one piece, if one is due. `now` only rises; its origin is the caller's. Returns when to call again.
    pub fn step(&mut self, now: Duration) -> Duration {
        let (every, rate) = {
            let options = &self.shared.options;
            (options.scrub_every, options.scrub_bytes_per_s.max(1))
        };
        let due = self.began.map_or(now, |began| began + every);
        if !self.is_under_way && now < due {
            return due;
        }
        if !self.is_under_way {
            self.began = Some(now);
            self.is_under_way = true;
            self.done = 0;
        }
        let Some((bytes, damages)) = self.piece() else {
            self.is_under_way = false;
            self.shared.state.lock().counters.scrub_passes += 1;
            return self.began.unwrap_or(now) + every;
        };
        let news = self.shared.note(damages);
        let mut state = self.shared.state.lock();
        state.counters.scrubbed_bytes += bytes;
        state.counters.scrub_damages += news;
        now + Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / rate)
    }

    /// `None`: the pass is over.
    fn piece(&mut self) -> Option<(u64, Damages)> {
        let Some(segment) = &mut self.segment else {
            return self.next_segment();
        };
        let (from, rows, to) = segment.next_piece();
        let name = segment_name(segment.sequence);
        let seed = self.shared.readers.seed(segment.sequence as u32);
        let rows = &segment.sealed.footer.rows[rows];
        let damages = match read(&*segment.file, from, to) {
            Ok(bytes) => check_piece(&name, seed, &bytes, from, rows),
            Err(_) => check_alone(&name, seed, &*segment.file, rows),
        };
        segment.rows += rows.len();
        segment.at = to;
        if to >= segment.sealed.at {
            self.done = segment.sequence;
            self.segment = None;
        }
        Some((to - from, damages))
    }

    /// Opens it, and checks its head and its footer.
    fn next_segment(&mut self) -> Option<(u64, Damages)> {
        let sequence = {
            let state = self.shared.state.lock();
            let mut rest = state.space.sealed.range(self.done + 1..);
            *rest.next()?
        };
        let name = segment_name(sequence);
        let seed = self.shared.readers.seed(sequence as u32);
        let opened = self.shared.readers.file(sequence as u32);
        let opened = opened.and_then(|file| Ok((file.len()?, file)));
        let Ok((length, file)) = opened else {
            let lost = stretch(&name, (0, 0), None, Meaning::LostBatches);
            self.done = sequence;
            return Some((0, vec![(lost, Concern::Everybody)]));
        };
        let mut damages = match read(&*file, 0, HEAD_AREA_BYTES) {
            Ok(area) => match SegmentHead::decode(&area) {
                HeadCopies::Sound(_, copies) => head_damages(&name, Some(copies)),
                HeadCopies::Damaged | HeadCopies::Newer => head_damages(&name, None),
            },
            Err(_) => head_damages(&name, None),
        };
        let mut bytes = HEAD_AREA_BYTES;
        match read_footer(&*file, length, seed) {
            Some(sealed) => {
                bytes += length - sealed.at;
                self.segment = Some(Segment {
                    sequence,
                    file,
                    sealed,
                    at: HEAD_AREA_BYTES,
                    rows: 0,
                });
            }
            None => {
                // Places are in memory; the next start reads the segment in full.
                let at = length.saturating_sub(TRAILER_BYTES);
                let footer = stretch(&name, (at, length), None, Meaning::Footer);
                damages.push((footer, Concern::Nobody));
                self.done = sequence;
            }
        }
        Some((bytes, damages))
    }
}

impl Segment {
    /// From where to where, and the rows between: up to the end of a frame, one frame at least.
    fn next_piece(&self) -> (u64, std::ops::Range<usize>, u64) {
        let rows = &self.sealed.footer.rows[self.rows..];
        let end = |row: &Row| row.offset + row.frame_bytes();
        let limit = self.at + limits::SCRUB_PIECE_BYTES;
        let count = rows.partition_point(|row| end(row) <= limit).max(1);
        let count = count.min(rows.len());
        let is_rest = count == rows.len();
        let to = rows[..count].last().map_or(self.sealed.at, end);
        let to = if is_rest { self.sealed.at } else { to };
        (self.at, self.rows..self.rows + count, to)
    }
}

fn read(file: &dyn DiskFile, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; to.saturating_sub(from) as usize];
    file.forget_cached(from, bytes.len() as u64);
    file.read_at(from, &mut bytes)?;
    Ok(bytes)
}

/// `bytes` lie at `from`; `rows` are all that the footer names among them.
fn check_piece(name: &str, seed: Seed, bytes: &[u8], from: u64, rows: &[Row]) -> Damages {
    let mut damages = Damages::new();
    let at = |offset: u64| bytes.get((offset - from) as usize..).unwrap_or_default();
    let end = from + bytes.len() as u64;
    let mut done = from;
    for row in rows {
        damages.extend(check_openings(name, seed, done, row.offset, at));
        if !is_sound(seed, row, at(row.offset)) {
            damages.push(damaged_row(name, row, None));
        }
        done = row.offset + row.frame_bytes();
    }
    damages.extend(check_openings(name, seed, done, end, at));
    damages
}

/// What lies between the frames of a footer: heads of batches and seals.
fn check_openings<'a>(
    name: &str,
    seed: Seed,
    mut from: u64,
    to: u64,
    at: impl Fn(u64) -> &'a [u8],
) -> Damages {
    let mut damages = Damages::new();
    while from < to {
        let bytes = at(from);
        let head = FrameHead::decode(seed, from, bytes).ok();
        let head = head.filter(|head| head.kind.opens_batch() && head.frame_bytes() <= to - from);
        let end = head.map_or(to, |head| from + head.frame_bytes());
        if !head.is_some_and(|head| body_is_sound(seed, from, &head, bytes)) {
            let meaning = match head.map(|head| head.kind) {
                Some(FrameKind::Seal) => Meaning::Seal,
                _ => Meaning::BatchHead,
            };
            damages.push((stretch(name, (from, end), None, meaning), Concern::Nobody));
        }
        from = end;
    }
    damages
}

fn is_sound(seed: Seed, row: &Row, bytes: &[u8]) -> bool {
    let head = FrameHead::decode(seed, row.offset, bytes).ok();
    let head = head.filter(|head| Row::of(head, row.offset) == *row);
    head.is_some_and(|head| body_is_sound(seed, row.offset, &head, bytes))
}

fn body_is_sound(seed: Seed, offset: u64, head: &FrameHead, bytes: &[u8]) -> bool {
    let body = bytes.get(FRAME_HEAD_BYTES..head.frame_bytes() as usize);
    body.is_some_and(|body| head.body_is_sound(seed, offset, body))
}

/// The disk does not give the stretch out in one: frame by frame, what it gives is judged, what it does not is rotten.
fn check_alone(name: &str, seed: Seed, file: &dyn DiskFile, rows: &[Row]) -> Damages {
    let is_rotten = |row: &&Row| {
        let read = read(file, row.offset, row.offset + row.frame_bytes());
        !read.is_ok_and(|bytes| is_sound(seed, row, &bytes))
    };
    let rotten = rows.iter().filter(is_rotten);
    rotten.map(|row| damaged_row(name, row, None)).collect()
}

/// Ends when it is dropped, within one piece.
pub(crate) struct ScrubThread {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ScrubThread {
    pub fn start(mut scrub: Scrub) -> io::Result<ScrubThread> {
        // Nothing is ever sent: its end is the message.
        let (stop, stopped) = sync_channel::<()>(0);
        let run = move || {
            let start = Instant::now();
            let mut due = Duration::ZERO;
            loop {
                let wait = due.saturating_sub(start.elapsed());
                match stopped.recv_timeout(wait) {
                    Err(RecvTimeoutError::Timeout) => due = scrub.step(start.elapsed()),
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        let thread = thread::Builder::new()
            .name("scrub".to_string())
            .spawn(run)?;
        Ok(ScrubThread {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for ScrubThread {
    fn drop(&mut self) {
        self.stop = None;
        let Some(thread) = self.thread.take() else {
            return;
        };
        if thread.join().is_err() {
            tracing::error!("the journal's scrub panicked");
        }
    }
}
