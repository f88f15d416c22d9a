//! The answer to a ranked query: what each message has of its terms, from the index or by a look into it; then the scores.

use crate::limits::{CHUNK, COUNTED_MAX, HITS_MAX};
use crate::look::{Looker, Seen};
use crate::postings::having;
use crate::query::RankedQuery;
use crate::score::{Statistics, length};
use engine_types::EmailId;
use index_query::Source;
use index_store::{AccountReader, Bits, Half, IndexError, Section};
use index_text::FoldedText;
use std::collections::HashMap;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    pub id: EmailId,
    pub score: f64,
}

#[derive(Debug, Default)]
pub struct Ranked {
    /// The best first; of equal ones the one that came last.
    pub hits: Vec<Hit>,
    /// All that have every term, ascending.
    pub found: Vec<EmailId>,
    /// Messages that were asked of the source.
    pub scanned: usize,
    /// Of these, those that could not be read.
    pub unread: Vec<EmailId>,
    /// What of the index could not be read. The answer is complete all the same.
    pub damaged: Vec<IndexError>,
}

/// A message with every term.
struct Candidate {
    id: EmailId,
    length: u32,
    seen: Vec<Seen>,
    /// Section and ordinal, while its text was not looked into.
    place: Option<(usize, u32)>,
}

/// The best `hits_max` (at most `HITS_MAX`) of `messages` (ascending: all that exist, as far as the caller is concerned), and
/// which have every term. What the index holds beside them does not show, and what of them it does not hold is asked of
/// `source`.
pub fn rank(
    reader: &AccountReader,
    query: &RankedQuery,
    messages: &[EmailId],
    source: &dyn Source,
    hits_max: usize,
) -> Ranked {
    let mut damaged = Vec::new();
    let mut sections: Vec<(&Section, &Bits)> = reader
        .sections
        .iter()
        .map(|live| (&live.section, &live.live))
        .collect();
    loop {
        let mut round = Round::new(query, messages);
        match round.answer(&sections, reader, source, hits_max.min(HITS_MAX)) {
            Ok(mut ranked) => {
                ranked.damaged = damaged;
                return ranked;
            }
            // Without that section: its messages are asked of the source.
            Err((number, error)) => {
                damaged.push(error);
                sections.remove(number);
            }
        }
    }
}

struct Round<'a> {
    query: &'a RankedQuery,
    messages: &'a [EmailId],
    looker: Looker<'a>,
    statistics: Statistics,
    candidates: Vec<Candidate>,
    /// Which of `messages` were met, by their place there.
    met: Bits,
}

/// A section that could not be read.
type Lost = (usize, IndexError);

impl<'a> Round<'a> {
    fn new(query: &'a RankedQuery, messages: &'a [EmailId]) -> Self {
        Self {
            query,
            messages,
            looker: Looker::new(query),
            statistics: Statistics::new(query.terms.len()),
            candidates: Vec::new(),
            met: Bits::none(messages.len() as u32),
        }
    }

    fn answer(
        &mut self,
        sections: &[(&Section, &Bits)],
        reader: &AccountReader,
        source: &dyn Source,
        hits_max: usize,
    ) -> Result<Ranked, Lost> {
        let mut ranked = Ranked::default();
        for (number, (section, live)) in sections.iter().enumerate() {
            self.section(number, section, live)
                .map_err(|error| (number, error))?;
        }
        for message in &reader.tail {
            if self.meets(message.id) {
                self.take(message.id, &message.text);
            }
        }
        for (at, id) in self.messages.iter().enumerate() {
            if self.met.contains(at as u32) {
                continue;
            }
            ranked.scanned += 1;
            match source.text(*id) {
                Some(text) => self.take(*id, &text),
                None => ranked.unread.push(*id),
            }
        }
        if self.query.has_phrase() {
            self.look_into(sections, |_| true)?;
            self.candidates
                .retain(|candidate| candidate.seen.iter().all(|seen| seen.areas != 0));
        }
        ranked.hits = self.score(sections)?;
        ranked.hits.truncate(hits_max);
        ranked.found = self.candidates.iter().map(|found| found.id).collect();
        ranked.found.sort_unstable();
        Ok(ranked)
    }

    /// Asked about, and not met before.
    fn meets(&mut self, id: EmailId) -> bool {
        let Ok(at) = self.messages.binary_search(&id) else {
            return false;
        };
        let new = !self.met.contains(at as u32);
        self.met.insert(at as u32);
        new
    }

    /// A message whose text is here.
    fn take(&mut self, id: EmailId, text: &FoldedText) {
        let seen = self.looker.look(&text.head, &text.body);
        let length = length(text.body.len());
        self.statistics.messages += 1;
        self.statistics.length += u64::from(length);
        let terms = self.query.terms.iter().zip(&mut self.statistics.having);
        for ((term, having), seen) in terms.zip(&seen) {
            if seen.words == term.all_words() {
                let from = usize::from(seen.nearness);
                having[from..].iter_mut().for_each(|count| *count += 1);
            }
        }
        if seen.iter().all(|seen| seen.areas != 0) {
            self.candidates.push(Candidate {
                id,
                length,
                seen,
                place: None,
            });
        }
    }

    fn section(&mut self, number: usize, section: &Section, live: &Bits) -> Result<(), IndexError> {
        let mut within = section.ordinals(self.messages)?;
        within.intersect(live);
        let met: Vec<u32> = within
            .iter()
            .zip(section.ids(&within)?)
            .filter(|(_, id)| !self.meets(*id))
            .map(|(ordinal, _)| ordinal)
            .collect();
        met.iter().for_each(|ordinal| within.remove(*ordinal));
        let mut whole = match section.is_plain() {
            true => within.clone(),
            false => section.opaque()?,
        };
        whole.intersect(&within);
        self.read_whole(section, &whole)?;
        within.subtract(&whole);
        if !within.is_empty() {
            self.by_tokens(number, section, &within)?;
        }
        Ok(())
    }

    /// Messages without tokens.
    fn read_whole(&mut self, section: &Section, wanted: &Bits) -> Result<(), IndexError> {
        each_text(section, wanted, |ordinal, text| {
            let id = section.id(ordinal)?;
            self.take(id, &text);
            Ok(())
        })
    }

    fn by_tokens(
        &mut self,
        number: usize,
        section: &Section,
        within: &Bits,
    ) -> Result<(), IndexError> {
        let lengths: Vec<u32> = section
            .text_lengths(Half::Body)?
            .into_iter()
            .map(|bytes| length(bytes as usize))
            .collect();
        let length = |ordinal: u32| lengths.get(ordinal as usize).copied().unwrap_or(0);
        self.statistics.messages += u64::from(within.count());
        self.statistics.length += within
            .iter()
            .map(|ordinal| u64::from(length(ordinal)))
            .sum::<u64>();
        let terms = having(section, self.query, within)?;
        let mut every = within.clone();
        for (term, counts) in terms.iter().zip(&mut self.statistics.having) {
            for (count, nearer) in counts.iter_mut().zip(&term.nearer) {
                *count += u64::from(nearer.count());
            }
            every.intersect(term.any());
        }
        for (ordinal, id) in every.iter().zip(section.ids(&every)?) {
            self.candidates.push(Candidate {
                id,
                length: length(ordinal),
                seen: terms.iter().map(|term| term.seen(ordinal)).collect(),
                place: Some((number, ordinal)),
            });
        }
        Ok(())
    }

    /// Looks into the texts of those that `is_wanted` and were not looked into.
    fn look_into(
        &mut self,
        sections: &[(&Section, &Bits)],
        is_wanted: impl Fn(EmailId) -> bool,
    ) -> Result<(), Lost> {
        for (number, (section, _)) in sections.iter().enumerate() {
            let mut wanted = Bits::none(section.messages());
            let mut places: HashMap<u32, usize> = HashMap::new();
            for (at, candidate) in self.candidates.iter().enumerate() {
                if let Some((of, ordinal)) = candidate.place
                    && of == number
                    && is_wanted(candidate.id)
                {
                    wanted.insert(ordinal);
                    places.insert(ordinal, at);
                }
            }
            let (looker, candidates) = (&mut self.looker, &mut self.candidates);
            each_text(section, &wanted, |ordinal, text| {
                let candidate = &mut candidates[places[&ordinal]];
                candidate.seen = looker.look(&text.head, &text.body);
                candidate.place = None;
                Ok(())
            })
            .map_err(|error| (number, error))?;
        }
        Ok(())
    }

    fn score(&mut self, sections: &[(&Section, &Bits)]) -> Result<Vec<Hit>, Lost> {
        let order = |hits: &mut Vec<Hit>| {
            hits.sort_by(|one, other| {
                let by_score = other.score.total_cmp(&one.score);
                by_score.then(other.id.cmp(&one.id))
            });
        };
        let statistics = &self.statistics;
        let at_least = |candidate: &Candidate| {
            let once = |seen: &Seen| Seen {
                body: seen.body.min(1),
                ..*seen
            };
            let seen: Vec<Seen> = candidate.seen.iter().map(once).collect();
            Hit {
                id: candidate.id,
                score: statistics.score(candidate.length, &seen),
            }
        };
        let mut hits: Vec<Hit> = self.candidates.iter().map(at_least).collect();
        order(&mut hits);
        let mut counted: Vec<EmailId> = hits.iter().take(COUNTED_MAX).map(|hit| hit.id).collect();
        counted.sort_unstable();
        let is_counted = |id: EmailId| counted.binary_search(&id).is_ok();
        self.look_into(sections, is_counted)?;
        let counts: HashMap<EmailId, &Candidate> = self
            .candidates
            .iter()
            .map(|candidate| (candidate.id, candidate))
            .collect();
        for hit in hits.iter_mut().filter(|hit| is_counted(hit.id)) {
            if let Some(candidate) = counts.get(&hit.id) {
                hit.score = self.statistics.score(candidate.length, &candidate.seen);
            }
        }
        order(&mut hits);
        Ok(hits)
    }
}

/// Whole texts, some at once.
fn each_text(
    section: &Section,
    wanted: &Bits,
    mut take: impl FnMut(u32, FoldedText) -> Result<(), IndexError>,
) -> Result<(), IndexError> {
    let all: Vec<u32> = wanted.iter().collect();
    for ordinals in all.chunks(CHUNK) {
        let mut some = Bits::none(section.messages());
        ordinals.iter().for_each(|ordinal| some.insert(*ordinal));
        let mut heads = Vec::new();
        section.texts(Half::Head, &some, |_, head| {
            heads.push(String::from_utf8_lossy(head).into_owned());
            true
        })?;
        let mut heads = heads.into_iter();
        let mut taken = Ok(());
        section.texts(Half::Body, &some, |ordinal, body| {
            let body = String::from_utf8_lossy(body).into_owned();
            let head = heads.next().unwrap_or_default();
            taken = take(ordinal, FoldedText { head, body });
            taken.is_ok()
        })?;
        taken?;
    }
    Ok(())
}
