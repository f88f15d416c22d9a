//! What was typed, as terms: every one of them must be in a message.
//!
//! - `word`: as typed, inflected, or with typos.
//! - `wor*`: words that begin so.
//! - `"some words"`, and what is written in one piece but is several words (`e-mail`, `a.b@example.org`, a run of
//!   ideographs): these words, as typed, one behind the other in one line, whatever stands between them.

use crate::language::Language;
use crate::limits::{QUERY_BYTES_MAX, WORDS_MAX};
use crate::look::{Known, Meaning};
use crate::word::{Form, Pattern, Tolerant};
use index_text::{fold, words};
use thiserror::Error;

/// Refused before any work; the client is told why.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RankedError {
    #[error("there is no word to search for")]
    NoWord,
    #[error("a ranked search has at most {WORDS_MAX} words")]
    TooManyWords,
    #[error("a ranked search has at most {QUERY_BYTES_MAX} octets")]
    TooLong,
}

/// A word, or words that stand one behind the other.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Term {
    pub patterns: Vec<Pattern>,
}

impl Term {
    pub fn is_phrase(&self) -> bool {
        self.patterns.len() > 1
    }

    /// A bit for each of its words.
    pub fn all_words(&self) -> u32 {
        u32::MAX >> (u32::BITS - self.patterns.len() as u32)
    }
}

#[derive(Clone, Debug)]
pub struct RankedQuery {
    pub(crate) terms: Vec<Term>,
}

impl RankedQuery {
    /// What is neither letter nor digit only divides words.
    pub fn new(typed: &str, languages: &[Language]) -> Result<Self, RankedError> {
        if typed.len() > QUERY_BYTES_MAX {
            return Err(RankedError::TooLong);
        }
        let mut terms: Vec<Term> = Vec::new();
        let is_quote = |c: char| matches!(c, '"' | '“' | '”' | '„' | '«' | '»');
        for (number, part) in typed.split(is_quote).enumerate() {
            let quoted = number % 2 == 1;
            match quoted {
                true => terms.extend(term(part, None)),
                false => terms.extend(
                    part.split_whitespace()
                        .filter_map(|piece| term(piece, Some(languages))),
                ),
            }
        }
        // A word that is typed twice says no more.
        let mut different: Vec<Term> = Vec::new();
        for term in terms {
            if !different.contains(&term) {
                different.push(term);
            }
        }
        match different.iter().map(|term| term.patterns.len()).sum() {
            0 => Err(RankedError::NoWord),
            1..=WORDS_MAX => Ok(Self { terms: different }),
            _ => Err(RankedError::TooManyWords),
        }
    }

    pub(crate) fn has_phrase(&self) -> bool {
        self.terms.iter().any(Term::is_phrase)
    }

    /// What a word of a text means for the query: mostly nothing.
    pub(crate) fn known(&self, word: &str) -> Known {
        let mut known = Known::new();
        for (number, term) in self.terms.iter().enumerate() {
            let mut meaning = Meaning {
                term: number as u8,
                words: 0,
                nearness: u8::MAX,
            };
            for (at, pattern) in term.patterns.iter().enumerate() {
                if let Some(nearness) = pattern.nearness(word) {
                    meaning.words |= 1 << at;
                    meaning.nearness = meaning.nearness.min(nearness);
                }
            }
            if meaning.words != 0 {
                known.push(meaning);
            }
        }
        known
    }
}

/// `tolerance`: of a word that is not quoted.
fn term(typed: &str, tolerance: Option<&[Language]>) -> Option<Term> {
    let is_beginning = tolerance.is_some() && typed.ends_with('*');
    let folded = fold(typed);
    let mut patterns: Vec<Pattern> = Vec::new();
    let mut end = 0;
    for word in words(&folded) {
        let single = word.text.chars().nth(1).is_none();
        let ideograph = single && is_ideograph(word.text);
        patterns.push(Pattern {
            text: word.text.to_owned(),
            form: if ideograph { Form::Within } else { Form::Whole },
            joined: word.start < end,
            tolerant: None,
        });
        end = word.end;
    }
    if let Some(last) = patterns.last_mut()
        && is_beginning
        && last.form == Form::Whole
    {
        last.form = Form::Beginning;
    }
    if let ([only], Some(languages)) = (&mut patterns[..], tolerance)
        && only.form == Form::Whole
    {
        only.tolerant = Tolerant::new(&only.text, languages);
    }
    (!patterns.is_empty()).then_some(Term { patterns })
}

/// A character that only stands in pairs where it has a neighbour of its kind.
fn is_ideograph(c: &str) -> bool {
    words(&c.repeat(3)).nth(1).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(typed: &str, expect: Result<&[&str], RankedError>) {
        let shown = |term: &Term| {
            let one = |pattern: &Pattern| {
                let (before, behind) = match pattern.form {
                    Form::Whole => ("", ""),
                    Form::Beginning => ("", "*"),
                    Form::Within => ("*", "*"),
                };
                let joined = if pattern.joined { "+" } else { "" };
                let tolerant = if pattern.tolerant.is_some() { "~" } else { "" };
                format!("{joined}{before}{}{behind}{tolerant}", pattern.text)
            };
            let all: Vec<String> = term.patterns.iter().map(one).collect();
            all.join(" ")
        };
        let found = RankedQuery::new(typed, &[]);
        let found = found.map(|query| query.terms.iter().map(shown).collect::<Vec<_>>());
        let expect = expect.map(|terms| terms.iter().map(|term| (*term).to_owned()).collect());
        assert_eq!(found, expect, "{typed}");
    }

    #[test]
    fn rows() {
        check("Budget  report", Ok(&["BUDGET~", "REPORT~"]));
        check("budg*", Ok(&["BUDG*"]));
        check("\"annual report\" x", Ok(&["ANNUAL REPORT", "X~"]));
        check("„annual report“", Ok(&["ANNUAL REPORT"]));
        check("\"annual report", Ok(&["ANNUAL REPORT"]));
        check("\"report\"", Ok(&["REPORT"]));
        check("e-mail a.b*", Ok(&["E MAIL", "A B*"]));
        check("東京都", Ok(&["東京 +京都"]));
        check("東", Ok(&["*東*"]));
        check("x X y", Ok(&["X~", "Y~"]));
        check("2024", Ok(&["2024"]));
        check("", Err(RankedError::NoWord));
        check("-- \"!\" *", Err(RankedError::NoWord));
    }

    #[test]
    fn bounds() {
        let many = |count: usize| (0..count).map(|n| format!("w{n} ")).collect::<String>();
        assert!(RankedQuery::new(&many(WORDS_MAX), &[]).is_ok());
        let refused = |typed: &str| RankedQuery::new(typed, &[]).err();
        assert_eq!(
            refused(&many(WORDS_MAX + 1)),
            Some(RankedError::TooManyWords)
        );
        assert_eq!(
            refused(&"x".repeat(QUERY_BYTES_MAX + 1)),
            Some(RankedError::TooLong)
        );
        let term = &RankedQuery::new(&format!("\"{}\"", many(WORDS_MAX)), &[])
            .unwrap()
            .terms[0];
        assert_eq!(term.all_words(), u32::MAX);
    }
}
