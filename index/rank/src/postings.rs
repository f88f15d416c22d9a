//! What a section's lexicons and postings tell of a query's terms, without a look into a text.

use crate::look::{AREAS, Seen, area_bit};
use crate::query::RankedQuery;
use crate::word::NEARNESSES;
use index_store::{Bits, IndexError, Matches, Section};
use index_text::{Area, Kind};

/// A term in a section, by its postings.
pub(crate) struct Having {
    /// Messages that have it at least as near, by nearness.
    pub nearer: Vec<Bits>,
    areas: Vec<(Area, Bits)>,
}

impl Having {
    pub fn any(&self) -> &Bits {
        &self.nearer[NEARNESSES - 1]
    }

    /// Of a message that has it, in the body once.
    pub fn seen(&self, ordinal: u32) -> Seen {
        let nearness = self.nearer.iter().position(|bits| bits.contains(ordinal));
        let areas = self.areas.iter().filter(|(_, bits)| bits.contains(ordinal));
        let areas = areas.fold(0, |bits, (area, _)| bits | area_bit(*area));
        Seen {
            areas,
            body: u32::from(areas & area_bit(Area::Body) != 0),
            nearness: nearness.unwrap_or(0) as u8,
            words: 0,
        }
    }
}

/// By term; of a phrase: the messages that have all its words.
pub(crate) fn having(
    section: &Section,
    query: &RankedQuery,
    within: &Bits,
) -> Result<Vec<Having>, IndexError> {
    let none = || Bits::none(section.messages());
    let mut found: Vec<Having> = query
        .terms
        .iter()
        .map(|_| Having {
            nearer: (0..NEARNESSES).map(|_| none()).collect(),
            areas: Vec::new(),
        })
        .collect();
    // Of phrases, by word.
    let mut words: Vec<Vec<Bits>> = query
        .terms
        .iter()
        .map(|term| term.patterns.iter().map(|_| none()).collect())
        .collect();
    for area in AREAS {
        for (term, pattern, tokens) in matches(section, query, area)? {
            let mut here = none();
            for (nearness, tokens) in tokens.iter().enumerate().filter(|(_, t)| !t.is_empty()) {
                let mut bits = none();
                section.add_messages(area, Kind::Word, tokens, within, &mut bits)?;
                bits.intersect(within);
                here.union(&bits);
                for nearer in &mut found[term].nearer[nearness..] {
                    nearer.union(&bits);
                }
            }
            words[term][pattern].union(&here);
            found[term].areas.push((area, here));
        }
    }
    for ((term, words), found) in query.terms.iter().zip(&words).zip(&mut found) {
        if term.is_phrase() {
            let mut all = within.clone();
            words.iter().for_each(|bits| all.intersect(bits));
            found.nearer.fill(all);
        }
    }
    Ok(found)
}

/// Tokens of an area by term, word of it, and nearness.
type Tokens = Vec<(usize, usize, [Matches; NEARNESSES])>;

fn matches(section: &Section, query: &RankedQuery, area: Area) -> Result<Tokens, IndexError> {
    let mut all: Tokens = Vec::new();
    for (number, term) in query.terms.iter().enumerate() {
        for at in 0..term.patterns.len() {
            all.push((number, at, Default::default()));
        }
    }
    section.each_token(area, Kind::Word, |token, text| {
        for (term, at, tokens) in &mut all {
            if let Some(nearness) = query.terms[*term].patterns[*at].nearness(text) {
                tokens[usize::from(nearness)].push(token);
            }
        }
    })?;
    Ok(all)
}
