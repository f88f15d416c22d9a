//! Stemming by language (Snowball).

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    Danish,
    Dutch,
    English,
    Finnish,
    French,
    German,
    Greek,
    Hungarian,
    Italian,
    Norwegian,
    Portuguese,
    Romanian,
    Russian,
    Spanish,
    Swedish,
    Turkish,
}

impl Language {
    /// Where nobody says otherwise. More of them find more words that only look alike.
    pub const USUAL: [Language; 4] = [
        Language::English,
        Language::German,
        Language::French,
        Language::Italian,
    ];

    /// ISO 639-1.
    pub fn of_code(code: &str) -> Option<Self> {
        Some(match code.to_ascii_lowercase().as_str() {
            "da" => Self::Danish,
            "nl" => Self::Dutch,
            "en" => Self::English,
            "fi" => Self::Finnish,
            "fr" => Self::French,
            "de" => Self::German,
            "el" => Self::Greek,
            "hu" => Self::Hungarian,
            "it" => Self::Italian,
            "nb" | "nn" | "no" => Self::Norwegian,
            "pt" => Self::Portuguese,
            "ro" => Self::Romanian,
            "ru" => Self::Russian,
            "es" => Self::Spanish,
            "sv" => Self::Swedish,
            "tr" => Self::Turkish,
            _ => return None,
        })
    }

    fn algorithm(self) -> Algorithm {
        match self {
            Self::Danish => Algorithm::Danish,
            Self::Dutch => Algorithm::Dutch,
            Self::English => Algorithm::English,
            Self::Finnish => Algorithm::Finnish,
            Self::French => Algorithm::French,
            Self::German => Algorithm::German,
            Self::Greek => Algorithm::Greek,
            Self::Hungarian => Algorithm::Hungarian,
            Self::Italian => Algorithm::Italian,
            Self::Norwegian => Algorithm::Norwegian,
            Self::Portuguese => Algorithm::Portuguese,
            Self::Romanian => Algorithm::Romanian,
            Self::Russian => Algorithm::Russian,
            Self::Spanish => Algorithm::Spanish,
            Self::Swedish => Algorithm::Swedish,
            Self::Turkish => Algorithm::Turkish,
        }
    }

    /// Of a folded word. Two words have one meaning if these are alike.
    pub(crate) fn stem(self, folded: &str) -> String {
        // Snowball knows lower case, with letters and marks composed.
        let lower: String = folded.to_lowercase().nfc().collect();
        let stem = Stemmer::create(self.algorithm());
        bare(&stem.stem(&lower).nfd().collect::<String>())
    }
}

/// Without the marks of Latin, Greek and Cyrillic. Those of other scripts are letters to their readers.
pub(crate) fn bare(decomposed: &str) -> String {
    let is_mark = |c: &char| ('\u{300}'..='\u{36f}').contains(c);
    decomposed.chars().filter(|c| !is_mark(c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use index_text::fold;
    use proptest::prelude::*;

    const ALL: [&str; 16] = [
        "da", "nl", "en", "fi", "fr", "de", "el", "hu", "it", "nb", "pt", "ro", "ru", "es", "sv",
        "tr",
    ];

    proptest! {
        /// Words come from mail, so from anybody.
        #[test]
        fn any_word_has_a_stem(
            any in "\\PC{0,12}", latin in "[a-zäöüßéèàçñåøıİşğ']{0,40}", other in "[а-яёα-ωάς]{0,40}", start in "[a-z]{0,3}",
        ) {
            for word in [any.clone(), latin.clone(), other.clone(), start + &latin + &other + &any] {
                for code in ALL {
                    Language::of_code(code).unwrap().stem(&fold(&word));
                }
            }
        }
    }

    #[test]
    fn inflections_have_one_stem() {
        let check = |language: Language, one: &str, other: &str, expect: bool| {
            let stem = |word: &str| language.stem(&fold(word));
            assert_eq!(stem(one) == stem(other), expect, "{one} {other}");
        };
        check(Language::English, "invoices", "invoice", true);
        check(Language::English, "meeting", "meetings", true);
        check(Language::English, "invoice", "voice", false);
        check(Language::German, "Häuser", "Haus", true);
        check(Language::German, "Rechnungen", "Rechnung", true);
        check(Language::French, "réunions", "réunion", true);
        check(Language::Italian, "fatture", "fattura", true);
        check(Language::Russian, "книги", "книга", true);
    }
}
