//! The answer to a query: section by section from the index, then the tail, then what the index does not hold.

use crate::limits::{CHUNK, FEW, KEYS_BY_INDEX_MAX, SHARED_OUT_MIN, WORKERS_MAX};
use crate::plan::{Candidates, candidates};
use crate::scan::{Look, Scan};
use crate::tree::{Key, Query, TextKey};
use engine_types::EmailId;
use index_store::{AccountReader, Bits, Half, IndexError, LiveSection, Section};
use index_text::FoldedText;
use std::panic::resume_unwind;
use std::thread::{self, available_parallelism};

/// The messages' own texts, for what the index does not hold (yet, or any more).
pub trait Source {
    /// `None`: it cannot be read, and so is not found.
    fn text(&self, id: EmailId) -> Option<FoldedText>;
}

#[derive(Debug, Default)]
pub struct Answer {
    /// Ascending.
    pub found: Vec<EmailId>,
    /// Messages that were asked of the source.
    pub scanned: usize,
    /// Of these, those that could not be read.
    pub unread: Vec<EmailId>,
    /// What of the index could not be read. The answer is complete all the same.
    pub damaged: Vec<IndexError>,
}

/// Which of `messages` (ascending: all that exist, as far as the caller is concerned) the query is true of. What the index
/// holds beside them does not show, and what of them it does not hold is asked of `source`.
pub fn search(
    reader: &AccountReader,
    query: &Query,
    messages: &[EmailId],
    source: &dyn Source,
) -> Answer {
    let mut answer = Answer::default();
    let mut held: Vec<EmailId> = Vec::new();
    let mut held_count = 0;
    let mut here: Vec<(&LiveSection, Bits)> = Vec::new();
    let scan = Scan::new(&query.root);
    for live in &reader.sections {
        match in_section(live, &query.root, &scan, messages) {
            Ok((within, found)) => {
                held_count += within.count() as usize;
                here.push((live, within));
                answer.found.extend(found);
            }
            Err(error) => answer.damaged.push(error),
        }
    }
    for message in &reader.tail {
        if messages.binary_search(&message.id).is_ok() {
            held.push(message.id);
            if scan.is_true_of(message.id, &message.text) {
                answer.found.push(message.id);
            }
        }
    }
    if held_count + held.len() < messages.len() {
        for (live, within) in here {
            // What cannot be read now is scanned.
            held.extend(live.section.ids(&within).unwrap_or_default());
        }
        scan_rest(&scan, held, messages, source, &mut answer);
    }
    answer.found.sort_unstable();
    answer.found.dedup();
    answer
}

fn scan_rest(
    scan: &Scan<'_>,
    mut held: Vec<EmailId>,
    messages: &[EmailId],
    source: &dyn Source,
    answer: &mut Answer,
) {
    held.sort_unstable();
    for id in messages {
        if held.binary_search(id).is_ok() {
            continue;
        }
        answer.scanned += 1;
        match source.text(*id) {
            Some(text) if scan.is_true_of(*id, &text) => answer.found.push(*id),
            Some(_) => {}
            None => answer.unread.push(*id),
        }
    }
}

/// The messages of a section that are asked about, and the ids of those that the key is true of.
fn in_section(
    live: &LiveSection,
    root: &Key,
    scan: &Scan<'_>,
    messages: &[EmailId],
) -> Result<(Bits, Vec<EmailId>), IndexError> {
    let mut within = live.section.ordinals(messages)?;
    within.intersect(&live.live);
    let found = match scan.keys() > KEYS_BY_INDEX_MAX {
        true => read_whole(&live.section, scan, &within)?,
        false => evaluate(&live.section, root, &within)?,
    };
    let ids = live.section.ids(&found)?;
    Ok((within, ids))
}

/// Without asking the index for candidates.
fn read_whole(section: &Section, scan: &Scan<'_>, within: &Bits) -> Result<Bits, IndexError> {
    let mut found = Bits::none(section.messages());
    let all: Vec<u32> = within.iter().collect();
    for ordinals in all.chunks(CHUNK) {
        let mut wanted = Bits::none(section.messages());
        ordinals.iter().for_each(|ordinal| wanted.insert(*ordinal));
        let mut heads = Vec::new();
        section.texts(Half::Head, &wanted, |_, head| {
            heads.push(String::from_utf8_lossy(head).into_owned());
            true
        })?;
        let mut heads = heads.into_iter();
        let mut ids = section.ids(&wanted)?.into_iter();
        section.texts(Half::Body, &wanted, |ordinal, body| {
            let (Some(head), Some(id)) = (heads.next(), ids.next()) else {
                return false;
            };
            let body = String::from_utf8_lossy(body).into_owned();
            if scan.is_true_of(id, &FoldedText { head, body }) {
                found.insert(ordinal);
            }
            true
        })?;
    }
    Ok(found)
}

/// Those of `within` that the key is true of.
fn evaluate(section: &Section, key: &Key, within: &Bits) -> Result<Bits, IndexError> {
    if within.is_empty() {
        return Ok(within.clone());
    }
    match key {
        Key::All => Ok(within.clone()),
        Key::Ids(ids) => {
            let mut found = section.ordinals(ids)?;
            found.intersect(within);
            Ok(found)
        }
        Key::Not(key) => {
            let mut left = within.clone();
            left.subtract(&evaluate(section, key, within)?);
            Ok(left)
        }
        Key::Or(keys) => {
            let mut found = Bits::none(section.messages());
            let mut left = within.clone();
            for key in cheap_first(keys) {
                let more = evaluate(section, key, &left)?;
                left.subtract(&more);
                found.union(&more);
                if left.is_empty() {
                    break;
                }
            }
            Ok(found)
        }
        Key::And(keys) => all_of(section, keys, within),
        Key::Text(key) => {
            let asked = ask(section, key, within)?;
            verify(section, key, asked, within)
        }
    }
}

/// What the index says of all texts comes before the look into any: the rarest decides how many are looked into.
fn all_of(section: &Section, keys: &[Key], within: &Bits) -> Result<Bits, IndexError> {
    let mut left = within.clone();
    for key in keys.iter().filter(|key| matches!(key, Key::Ids(_))) {
        left = evaluate(section, key, &left)?;
    }
    let mut texts: Vec<&TextKey> = keys
        .iter()
        .filter_map(|key| match key {
            Key::Text(key) => Some(key),
            _ => None,
        })
        .collect();
    // A long needle is probably a rare one.
    texts.sort_by_key(|key| std::cmp::Reverse(key.needle.len()));
    let mut uncertain = Vec::new();
    for key in texts {
        let asked = ask(section, key, &left)?;
        left = asked.any();
        if asked.certain != left {
            uncertain.push((left.count(), key, asked));
        }
        if left.is_empty() {
            return Ok(left);
        }
    }
    uncertain.sort_by_key(|(count, ..)| *count);
    for (_, key, asked) in uncertain {
        left = verify(section, key, asked, &left)?;
    }
    let nested = keys
        .iter()
        .filter(|key| matches!(key, Key::And(_) | Key::Or(_) | Key::Not(_)));
    for key in nested {
        left = evaluate(section, key, &left)?;
        if left.is_empty() {
            break;
        }
    }
    Ok(left)
}

/// What needs no look into a text before what does.
fn cheap_first(keys: &[Key]) -> impl Iterator<Item = &Key> {
    let is_cheap = |key: &&Key| matches!(key, Key::All | Key::Ids(_));
    let cheap = keys.iter().filter(is_cheap);
    cheap.chain(keys.iter().filter(move |key| !is_cheap(key)))
}

/// A few are looked into at once.
fn ask(section: &Section, key: &TextKey, within: &Bits) -> Result<Candidates, IndexError> {
    match within.count() <= FEW || section.is_plain() {
        true => Ok(Candidates::all(key, within)),
        false => candidates(section, key, within),
    }
}

/// Looks into the texts of those that are not certain. Bodies first: what is found there spares a look into the head.
fn verify(
    section: &Section,
    key: &TextKey,
    asked: Candidates,
    within: &Bits,
) -> Result<Bits, IndexError> {
    let look = Look::new(key);
    let mut found = asked.certain;
    found.intersect(within);
    for (half, mut wanted) in [(Half::Body, asked.bodies), (Half::Head, asked.heads)] {
        wanted.intersect(within);
        wanted.subtract(&found);
        if !wanted.is_empty() {
            found.union(&look_into(section, &look, half, &wanted)?);
        }
    }
    Ok(found)
}

/// Many texts are shared out among threads: it is decompression that takes the time.
fn look_into(
    section: &Section,
    look: &Look<'_>,
    half: Half,
    wanted: &Bits,
) -> Result<Bits, IndexError> {
    let workers = match wanted.count() < SHARED_OUT_MIN {
        true => 1,
        false => available_parallelism()
            .map_or(1, usize::from)
            .min(WORKERS_MAX),
    };
    if workers == 1 {
        return look_into_part(section, look, half, wanted);
    }
    let parts = wanted.parts(workers);
    let results: Vec<Result<Bits, IndexError>> = thread::scope(|scope| {
        let one = |part| scope.spawn(move || look_into_part(section, look, half, part));
        let running: Vec<_> = parts.iter().map(one).collect();
        let joined = running.into_iter().map(|worker| worker.join());
        joined
            .map(|result| result.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    let mut found = Bits::none(section.messages());
    for result in results {
        found.union(&result?);
    }
    Ok(found)
}

fn look_into_part(
    section: &Section,
    look: &Look<'_>,
    half: Half,
    wanted: &Bits,
) -> Result<Bits, IndexError> {
    let mut found = Bits::none(section.messages());
    section.texts(half, wanted, |ordinal, text| {
        if look.is_in(half, text) {
            found.insert(ordinal);
        }
        true
    })?;
    Ok(found)
}
