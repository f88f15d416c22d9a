//! Bounds of a ranked query, each with its reason. How many tokens a word stands for has none: the rule looks at a token
//! alone, so that it does not matter which others there are; prefixes cost what substrings cost in exact search.

/// Octets that were typed. What is refused: `RankedError::TooLong`.
pub const QUERY_BYTES_MAX: usize = 4 << 10;
/// Words, those of phrases among them; a phrase is followed in as many bits. What is refused: `RankedError::TooManyWords`.
pub const WORDS_MAX: usize = 32;
/// Messages of an answer; the others are counted.
pub const HITS_MAX: usize = 1_000;
/// Messages whose words are counted in their text: those that are best if each word stood there once. The rest is ranked as
/// if it did. A text takes some 20 µs.
pub const COUNTED_MAX: usize = 4_000;
/// A longer body counts as so long, or a few large ones would make all others look short.
pub const LENGTH_BYTES_MAX: u32 = 32 << 10;
/// Letters of a word from which on one typo is let pass, and two: shorter ones are each other's typos.
pub const TYPO_LETTERS: [usize; 2] = [4, 8];
/// Longer words have no inflections and no typos: they are numbers of things, or no words.
pub const TOLERANT_LETTERS_MAX: usize = 40;
/// Words whose meaning for a query is remembered while texts are looked into.
pub const KNOWN_WORDS_MAX: usize = 100_000;
/// Messages whose heads are held at once while their bodies are looked into.
pub const CHUNK: usize = 256;
/// Characters of a snippet.
pub const SNIPPET_CHARS: usize = 160;
/// Octets of a text that a snippet is looked for in.
pub const SNIPPET_LOOK_BYTES: usize = 256 << 10;
/// Values of a facet that are told, the most frequent ones.
pub const FACET_VALUES_MAX: usize = 50;
