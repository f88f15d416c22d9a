//! Which words of texts a word of a query stands for. The rule looks at one of them alone: the same word is always as near.

use crate::distance::typos;
use crate::language::{Language, bare};
use crate::limits::{TOLERANT_LETTERS_MAX, TYPO_LETTERS};

/// How near a word of a text is to what was typed; the lower, the nearer.
pub type Nearness = u8;
pub const AS_TYPED: Nearness = 0;
/// Of the same stem, or with other marks.
pub const INFLECTED: Nearness = 1;
pub const ONE_TYPO: Nearness = 2;
pub const TWO_TYPOS: Nearness = 3;
pub const NEARNESSES: usize = 4;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    Whole,
    /// Goes on behind it.
    Beginning,
    /// A single ideograph: the tokens of texts are pairs of them.
    Within,
}

/// One word of a query, folded.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    pub text: String,
    pub form: Form,
    /// It overlaps the one before, as neighbouring pairs of ideographs do.
    pub joined: bool,
    /// Of a word that stands alone.
    pub tolerant: Option<Tolerant>,
}

impl Pattern {
    pub fn nearness(&self, word: &str) -> Option<Nearness> {
        let is = match self.form {
            Form::Whole => word == self.text,
            Form::Beginning => word.starts_with(&self.text),
            Form::Within => word.contains(&self.text),
        };
        match (is, &self.tolerant) {
            (true, _) => Some(AS_TYPED),
            (false, Some(tolerant)) => tolerant.nearness(word),
            (false, None) => None,
        }
    }
}

/// What is let pass beside the word itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Tolerant {
    bare: String,
    letters: Vec<char>,
    stems: Vec<(Language, String)>,
    typos_max: usize,
    /// The letters that it has, as bits.
    signature: u64,
}

impl Tolerant {
    /// `None`: the word is taken as it is, since it has a digit or is too long.
    pub fn new(folded: &str, languages: &[Language]) -> Option<Self> {
        let bare = bare(folded);
        let letters: Vec<char> = bare.chars().collect();
        if bare.chars().any(char::is_numeric) || letters.len() > TOLERANT_LETTERS_MAX {
            return None;
        }
        let typos_max = TYPO_LETTERS.iter().filter(|least| letters.len() >= **least);
        Some(Self {
            typos_max: typos_max.count(),
            stems: languages
                .iter()
                .map(|language| (*language, language.stem(folded)))
                .collect(),
            signature: signature(&letters),
            letters,
            bare,
        })
    }

    fn nearness(&self, word: &str) -> Option<Nearness> {
        // Four octets are the most that a letter has: far longer ones need no closer look.
        if word.len() > TOLERANT_LETTERS_MAX * 4 {
            return None;
        }
        let plain;
        let other: &str = match word.is_ascii() {
            true => word,
            false => {
                plain = bare(word);
                &plain
            }
        };
        if other == self.bare || self.has_stem_of(word, other) {
            return Some(INFLECTED);
        }
        self.typos(other)
    }

    /// Stemming takes ends away, so what does not begin alike has not one stem.
    fn has_stem_of(&self, word: &str, other: &str) -> bool {
        let mut firsts = other.chars().zip(&self.letters).take(2);
        let alike = firsts.by_ref().all(|(one, two)| one == *two);
        alike
            && !other.chars().any(char::is_numeric)
            && other.chars().nth(TOLERANT_LETTERS_MAX).is_none()
            && self
                .stems
                .iter()
                .any(|(language, stem)| language.stem(word) == *stem)
    }

    /// A typo in the first letter counts twice: it is rare, and `BANK` is no `RANK`.
    fn typos(&self, other: &str) -> Option<Nearness> {
        if self.typos_max == 0
            || other.chars().count().abs_diff(self.letters.len()) > self.typos_max
        {
            return None;
        }
        let letters: Vec<char> = other.chars().collect();
        // Each typo changes at most two letters of the sets.
        let apart = (signature(&letters) ^ self.signature).count_ones() as usize;
        if apart > 2 * self.typos_max || letters.iter().any(|letter| letter.is_numeric()) {
            return None;
        }
        let first = usize::from(letters.first() != self.letters.first());
        let most = self.typos_max.checked_sub(first)?;
        match typos(&self.letters, &letters, most)? + first {
            0 => Some(INFLECTED),
            1 => Some(ONE_TYPO),
            _ => Some(TWO_TYPOS),
        }
    }
}

fn signature(letters: &[char]) -> u64 {
    letters
        .iter()
        .fold(0, |bits, letter| bits | 1 << (*letter as u32 % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use index_text::fold;

    #[test]
    fn rows() {
        let check = |typed: &str, word: &str, expect: Option<Nearness>| {
            let (typed, word) = (fold(typed), fold(word));
            let pattern = Pattern {
                tolerant: Tolerant::new(&typed, &Language::USUAL),
                text: typed,
                form: Form::Whole,
                joined: false,
            };
            assert_eq!(pattern.nearness(&word), expect, "{} {word}", pattern.text);
        };
        check("invoice", "Invoice", Some(AS_TYPED));
        check("invoice", "invoices", Some(INFLECTED));
        check("cafe", "café", Some(INFLECTED));
        check("Haus", "Häuser", Some(INFLECTED));
        check("invoice", "invoise", Some(ONE_TYPO));
        check("invoice", "inovise", None);
        check("budget", "bugdet", Some(ONE_TYPO));
        check("bank", "rank", None);
        check("bank", "bunk", Some(ONE_TYPO));
        check("the", "tha", None);
        check("conference", "conferance", Some(INFLECTED));
        check("conference", "comference", Some(ONE_TYPO));
        check("conference", "confrance", Some(TWO_TYPOS));
        check("conference", "konference", Some(TWO_TYPOS));
        check("conference", "konferance", None);
        check("2024", "2023", None);
        check("a1b2c3d4", "a1b2c3d5", None);
        check("東京", "東南", None);
        check("Привет", "Превет", Some(ONE_TYPO));
    }
}
