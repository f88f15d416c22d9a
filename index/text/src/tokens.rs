//! How folded text falls into tokens, and a needle into the tokens that a text with it must have.
//!
//! A line is a sequence of runs: *words* (letters, digits, marks), *ideographs* (Han and kana, which know no spaces between
//! words) and *gaps* (all else). Its tokens are
//! - each word;
//! - of a run of ideographs each pair of neighbours, or the one that stands alone;
//! - each gap: in bodies and in the values of the fields that have keys *wide*, with one character of the run before and
//!   one of the run behind, where there are such; in other fields, which are full of numbers and signs, *bare*.
//!
//! So every substring of a line lies within one token (then the token alone tells that it is there), or it spans
//! several, of which all inner ones are known whole, and of the two at the edges an end. No token is cut, none is left out.

use crate::folded_text::own_fields;
use unicode_normalization::char::is_combining_mark;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Words and ideographs.
    Word,
    Gap,
}

/// Where in a message a token stands. The fields that have keys of their own are told apart, so that a word in one of
/// them needs no look into the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    Subject,
    From,
    To,
    Cc,
    Bcc,
    /// All other fields, parts' fields, and the names of all fields.
    Head,
    Body,
}

impl Area {
    pub const ALL: [Area; 7] = [
        Area::Subject,
        Area::From,
        Area::To,
        Area::Cc,
        Area::Bcc,
        Area::Head,
        Area::Body,
    ];

    /// Of the values of a field of the message's header; the name is folded.
    pub fn of_field(name: &str) -> Area {
        match name {
            "SUBJECT" => Area::Subject,
            "FROM" => Area::From,
            "TO" => Area::To,
            "CC" => Area::Cc,
            "BCC" => Area::Bcc,
            _ => Area::Head,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Word,
    Ideograph,
    Gap,
}

fn class(c: char) -> Class {
    match c {
        '\0'..='\x7f' => ASCII[c as usize],
        // Kana with their voicing marks; Han with extensions and compatibility forms.
        '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{30ff}'
        | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{1b000}'..='\u{1b16f}'
        | '\u{20000}'..='\u{3ffff}' => Class::Ideograph,
        _ if c.is_alphanumeric() || is_combining_mark(c) => Class::Word,
        _ => Class::Gap,
    }
}

/// A maximal run of one class: octets from `start` to `end`.
struct Run {
    class: Class,
    start: usize,
    end: usize,
}

struct Runs<'a> {
    line: &'a str,
    at: usize,
}

impl Iterator for Runs<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        let start = self.at;
        let mut of = None;
        while let Some(octet) = self.line.as_bytes().get(self.at) {
            // Most octets are ASCII: no need to decode them.
            let (class, bytes) = match octet {
                0..0x80 => (ASCII[*octet as usize], 1),
                _ => {
                    let c = self.line[self.at..].chars().next()?;
                    (class(c), c.len_utf8())
                }
            };
            if *of.get_or_insert(class) != class {
                break;
            }
            self.at += bytes;
        }
        of.map(|class| Run {
            class,
            start,
            end: self.at,
        })
    }
}

const ASCII: [Class; 0x80] = {
    let mut classes = [Class::Gap; 0x80];
    let mut octet = 0;
    while octet < 0x80 {
        if (octet as u8).is_ascii_alphanumeric() {
            classes[octet] = Class::Word;
        }
        octet += 1;
    }
    classes
};

fn runs(line: &str) -> Runs<'_> {
    Runs { line, at: 0 }
}

/// A gap with its neighbours.
fn widened(line: &str, run: &Run) -> (usize, usize) {
    let before = line[..run.start].chars().next_back();
    let behind = line[run.end..].chars().next();
    (
        run.start - before.map_or(0, char::len_utf8),
        run.end + behind.map_or(0, char::len_utf8),
    )
}

/// Pairs of neighbours in a run of ideographs: their octets; the whole run if it is one character.
fn pairs(line: &str, run: &Run) -> impl Iterator<Item = (usize, usize)> {
    let text = &line[run.start..run.end];
    let base = run.start;
    let mut starts = text.char_indices().map(|(at, _)| at).peekable();
    let single = text.chars().nth(1).is_none();
    let mut ends = text
        .char_indices()
        .map(|(at, c)| at + c.len_utf8())
        .skip(usize::from(!single));
    std::iter::from_fn(move || Some((base + starts.next()?, base + ends.next()?)))
}

/// Tokens of one line of text. Gaps are wide if `is_wide` says so of where they begin.
fn line_tokens<'a>(
    line: &'a str,
    is_wide: impl Fn(usize) -> bool,
    mut take: impl FnMut(Kind, usize, &'a str),
) {
    for run in runs(line) {
        match run.class {
            Class::Word => take(Kind::Word, run.start, &line[run.start..run.end]),
            Class::Ideograph => {
                pairs(line, &run)
                    .for_each(|(start, end)| take(Kind::Word, start, &line[start..end]));
            }
            Class::Gap if is_wide(run.start) => {
                let (start, end) = widened(line, &run);
                take(Kind::Gap, run.start, &line[start..end]);
            }
            Class::Gap => take(Kind::Gap, run.start, &line[run.start..run.end]),
        }
    }
}

/// All tokens of a message, repeated as often as they stand there: of `head`, then of `body`.
pub fn tokens<'a>(head: &'a str, body: &'a str, mut take: impl FnMut(Area, Kind, &'a str)) {
    let own = own_fields(head);
    for line in own.lines() {
        field_tokens(line, true, &mut take);
    }
    for line in head[own.len()..].lines() {
        field_tokens(line, false, &mut take);
    }
    for line in body.lines() {
        line_tokens(
            line,
            |_| true,
            |kind, _, token| take(Area::Body, kind, token),
        );
    }
}

/// A value's tokens are those of the value alone; what reaches into the name, or is in it, is the head's.
fn field_tokens<'a>(line: &'a str, own: bool, take: &mut impl FnMut(Area, Kind, &'a str)) {
    let (name, value) = line.split_once(": ").unwrap_or((line, ""));
    let area = match own {
        true => Area::of_field(name),
        false => Area::Head,
    };
    let value_start = line.len() - value.len();
    let is_wide = |start| area != Area::Head && start >= value_start;
    line_tokens(line, is_wide, |kind, start, token| {
        match start < value_start {
            true => take(Area::Head, kind, token),
            false => take(area, kind, token),
        }
    });
    // A value that begins with a gap: without the name it is another token.
    if let Some(first) = runs(value).next()
        && first.class == Class::Gap
        && area != Area::Head
    {
        let (start, end) = widened(value, &first);
        take(area, Kind::Gap, &value[start..end]);
    }
}

/// A word, or a pair of ideographs, where it stands in its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<'a> {
    pub text: &'a str,
    pub start: usize,
    pub end: usize,
}

/// The tokens of `Kind::Word` in a line, in order. Only pairs of ideographs overlap. The line need not be folded.
pub fn words(line: &str) -> impl Iterator<Item = Word<'_>> {
    let word = |start: usize, end: usize| Word {
        text: &line[start..end],
        start,
        end,
    };
    runs(line).flat_map(move |run| {
        let whole = (run.class == Class::Word).then(|| word(run.start, run.end));
        let paired = (run.class == Class::Ideograph).then(|| pairs(line, &run).collect::<Vec<_>>());
        let paired = paired.into_iter().flatten();
        whole
            .into_iter()
            .chain(paired.map(move |(start, end)| word(start, end)))
    })
}

/// What a text with a needle must have: a token that is `text`, or, at an open side, goes on there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    pub kind: Kind,
    /// Of a gap: wide.
    pub text: &'a str,
    /// Of a gap: bare; of a word the same as `text`.
    pub bare: &'a str,
    pub open_left: bool,
    pub open_right: bool,
}

impl<'a> Piece<'a> {
    /// As the tokens of an area have it.
    pub fn text_in(&self, area: Area) -> &'a str {
        match area {
            Area::Head => self.bare,
            _ => self.text,
        }
    }
}

/// A folded needle's pieces, in order. It has at least one unless it is empty.
pub fn pieces(needle: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    for run in runs(needle) {
        let open_left = run.start == 0;
        let open_right = run.end == needle.len();
        match run.class {
            Class::Word => found.push(Piece {
                kind: Kind::Word,
                text: &needle[run.start..run.end],
                bare: &needle[run.start..run.end],
                open_left,
                open_right,
            }),
            Class::Ideograph => {
                let single = needle[run.start..run.end].chars().nth(1).is_none();
                found.extend(pairs(needle, &run).map(|(start, end)| Piece {
                    kind: Kind::Word,
                    text: &needle[start..end],
                    bare: &needle[start..end],
                    open_left: single && open_left,
                    open_right: single && open_right,
                }));
            }
            Class::Gap => {
                let (start, end) = widened(needle, &run);
                found.push(Piece {
                    kind: Kind::Gap,
                    text: &needle[start..end],
                    bare: &needle[run.start..run.end],
                    open_left,
                    open_right,
                });
            }
        }
    }
    found
}

/// Whether the piece is the whole needle, so that what has the piece in that area has the needle.
pub fn is_decisive(needle: &str, piece: &Piece<'_>, area: Area) -> bool {
    piece.text_in(area).len() == needle.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold;
    use proptest::prelude::*;

    #[track_caller]
    fn check_line(line: &str, expect: &[&str]) {
        let mut found = Vec::new();
        line_tokens(line, |_| true, |_, _, token| found.push(token));
        assert_eq!(found, expect, "{line}");
    }

    #[test]
    fn a_line_falls_into_tokens() {
        check_line("RE: THE A1", &["RE", "E: T", "THE", "E A", "A1"]);
        check_line("(X)", &["(X", "X", "X)"]);
        check_line("日本語X", &["日本", "本語", "X"]);
        check_line("A日,", &["A", "日", "日,"]);
        check_line("CAFE\u{301}", &["CAFE\u{301}"]);
        check_line(" - ", &[" - "]);
        check_line("", &[]);
    }

    #[test]
    fn fields_have_areas() {
        let mut found = Vec::new();
        let head = "FROM: <A@B>\nX-Y: Z\n\nTO: C\n";
        tokens(head, "B\n", |area, kind, token| {
            found.push((area, kind, token))
        });
        let of = |area| -> Vec<&str> {
            let all = found.iter().filter(|(a, _, _)| *a == area);
            all.map(|(_, _, token)| *token).collect()
        };
        assert_eq!(of(Area::From), ["A", "A@B", "B", "B>", "<A"]);
        assert_eq!(of(Area::To), [""; 0]);
        let head = ["FROM", ": <", "X", "-", "Y", ": ", "Z", "TO", ": ", "C"];
        assert_eq!(of(Area::Head), head);
        assert_eq!(of(Area::Body), ["B"]);
    }

    #[track_caller]
    fn check_needle(needle: &str, expect: &[&str]) {
        let shown: Vec<String> = pieces(needle)
            .iter()
            .map(|piece| {
                let edge = |open| if open { "*" } else { "" };
                let decisive = if is_decisive(needle, piece, Area::Body) {
                    "!"
                } else {
                    ""
                };
                let (left, right) = (edge(piece.open_left), edge(piece.open_right));
                format!("{left}{}{right}{decisive}", piece.text)
            })
            .collect();
        assert_eq!(shown, expect, "{needle}");
    }

    #[test]
    fn a_needle_falls_into_pieces() {
        check_needle("OR", &["*OR*!"]);
        check_needle("E T", &["*E", "E T!", "T*"]);
        check_needle(" T", &["* T!", "T*"]);
        check_needle("IN THE EN", &["*IN", "N T", "THE", "E E", "EN*"]);
        check_needle(", ", &["*, *!"]);
        check_needle("日", &["*日*!"]);
        check_needle("日本", &["日本!"]);
        check_needle("本語X", &["本語", "X*"]);
        check_needle("語X", &["*語", "X*"]);
        check_needle("", &[]);
    }

    #[test]
    fn words_of_a_line() {
        let check = |line: &str, expect: &[(&str, usize)]| {
            let found: Vec<_> = words(line).map(|word| (word.text, word.start)).collect();
            assert_eq!(found, expect, "{line}");
        };
        check("E-MAIL, X1", &[("E", 0), ("MAIL", 2), ("X1", 8)]);
        check("日本語X", &[("日本", 0), ("本語", 3), ("X", 9)]);
        check("日", &[("日", 0)]);
        check("--", &[]);
    }

    fn has(tokens: &[(Kind, String)], piece: &Piece<'_>, area: Area) -> bool {
        let text = piece.text_in(area);
        tokens.iter().any(|(kind, token)| {
            *kind == piece.kind
                && match (piece.open_left, piece.open_right) {
                    (false, false) => token == text,
                    (true, false) => token.ends_with(text),
                    (false, true) => token.starts_with(text),
                    (true, true) => token.contains(text),
                }
        })
    }

    proptest! {
        /// The rule that all of exact search stands on.
        #[test]
        fn a_text_has_the_pieces_of_each_substring(
            text in "[a-c1é日本ー .,\\-]{1,24}", from in 0_usize..24, length in 1_usize..24, other in "[a-c日 .]{1,3}",
        ) {
            let line = fold(&text);
            for area in [Area::Head, Area::Body] {
                let mut all = Vec::new();
                line_tokens(&line, |_| area == Area::Body, |kind, _, token| all.push((kind, token.to_owned())));
                let needle: String = line.chars().skip(from).take(length).collect();
                for piece in pieces(&needle) {
                    prop_assert!(has(&all, &piece, area), "{piece:?} of {needle:?} in {line:?}");
                }
                let other = fold(&other);
                for piece in pieces(&other).iter().filter(|piece| is_decisive(&other, piece, area)) {
                    prop_assert_eq!(has(&all, piece, area), line.contains(&other), "{:?} in {:?}", other, line);
                }
            }
        }
    }
}
