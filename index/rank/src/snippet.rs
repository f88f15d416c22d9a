//! The part of a text that shows best why a message was found.

use crate::limits::{SNIPPET_CHARS, SNIPPET_LOOK_BYTES};
use crate::query::RankedQuery;
use index_text::{fold, words};
use std::ops::Range;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snippet {
    /// White space is one blank; no word is cut, unless it is longer than a snippet.
    pub text: String,
    /// What to highlight: octets of `text`, ascending, not overlapping.
    pub marks: Vec<Range<usize>>,
}

struct Mark {
    terms: u32,
    at: Range<usize>,
}

/// Of decoded text, not folded. The stretch with the most different terms, then the most words of them, then the first; the
/// beginning if there is no term.
pub fn snippet(query: &RankedQuery, text: &str) -> Snippet {
    let text = condensed(text);
    let marks = marks(query, &text);
    let mut best = 0..end_from(&text, 0);
    let mut most = (0, 0);
    for (number, mark) in marks.iter().enumerate() {
        let window = window(&text, mark.at.start);
        let within = marks[number..]
            .iter()
            .take_while(|mark| mark.at.end <= window.end);
        let (terms, count) = within.fold((0_u32, 0), |(terms, count), mark| {
            (terms | mark.terms, count + 1)
        });
        if (terms.count_ones(), count) > most {
            most = (terms.count_ones(), count);
            best = window;
        }
    }
    let inside = marks
        .iter()
        .filter(|mark| mark.at.start >= best.start && mark.at.end <= best.end);
    let mut found: Vec<Range<usize>> = Vec::new();
    for mark in inside {
        let (start, end) = (mark.at.start - best.start, mark.at.end - best.start);
        match found.last_mut() {
            Some(last) if start < last.end => last.end = end,
            _ => found.push(start..end),
        }
    }
    Snippet {
        text: text[best].to_owned(),
        marks: found,
    }
}

fn condensed(text: &str) -> String {
    let end = floor(text, SNIPPET_LOOK_BYTES.min(text.len()));
    let mut out = String::with_capacity(end);
    for word in text[..end].split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

fn marks(query: &RankedQuery, text: &str) -> Vec<Mark> {
    let mut found = Vec::new();
    for word in words(text) {
        let folded = fold(word.text);
        // A character may fold to several words; the first one tells enough.
        let Some(first) = words(&folded).next() else {
            continue;
        };
        let known = query.known(first.text);
        if !known.is_empty() {
            found.push(Mark {
                terms: known.iter().fold(0, |bits, known| bits | 1 << known.term),
                at: word.start..word.end,
            });
        }
    }
    found
}

/// Begins a little before `at`, at a word.
fn window(text: &str, at: usize) -> Range<usize> {
    let before = text[..at].char_indices().rev().take(SNIPPET_CHARS / 5);
    let far = before.last().map_or(at, |(start, _)| start);
    let start = match far == 0 {
        true => 0,
        false => text[far..at].find(' ').map_or(at, |blank| far + blank + 1),
    };
    start..end_from(text, start)
}

/// Where a snippet that begins at `start` ends.
fn end_from(text: &str, start: usize) -> usize {
    let rest = &text[start..];
    let Some((far, _)) = rest.char_indices().nth(SNIPPET_CHARS) else {
        return text.len();
    };
    let whole = match rest[far..].starts_with(' ') {
        true => far,
        false => rest[..far].rfind(' ').unwrap_or(far),
    };
    start + whole
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Marks are shown in brackets.
    #[track_caller]
    fn check(typed: &str, text: &str, expect: &str) {
        let query = RankedQuery::new(typed, &[]).unwrap();
        let Snippet { text, marks } = snippet(&query, text);
        let mut shown = text.clone();
        for mark in marks.iter().rev() {
            shown.insert(mark.end, ']');
            shown.insert(mark.start, '[');
        }
        assert_eq!(shown, expect, "{typed}");
        assert!(text.chars().count() <= SNIPPET_CHARS);
    }

    #[test]
    fn rows() {
        check(
            "budget",
            "The\r\n  Budget, and\tmore",
            "The [Budget], and more",
        );
        check("cafe", "Im Café nebenan", "Im [Café] nebenan");
        check("bud*", "budgets", "[budgets]");
        check("東京都", "大東京都庁", "大[東京都]庁");
        check("absent", "Only this", "Only this");
        check("absent", "", "");
        let long = format!(
            "{}one {}one two {}",
            "x ".repeat(90),
            "y ".repeat(90),
            "z ".repeat(90)
        );
        let (before, behind) = ("y ".repeat(15), "z ".repeat(61));
        check(
            "one two",
            &long,
            &format!("{before}[one] [two] {}", behind.trim_end()),
        );
    }

    proptest! {
        #[test]
        fn any_text_has_a_snippet(text in "(\\PC{0,9}| |ab|日本){0,80}", typed in "[ab日本]{1,3}") {
            let query = RankedQuery::new(&typed, &[]).unwrap();
            let found = snippet(&query, &text);
            prop_assert!(found.text.chars().count() <= SNIPPET_CHARS);
            for mark in found.marks {
                prop_assert!(!found.text[mark].is_empty());
            }
        }
    }
}
