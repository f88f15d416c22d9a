//! A Rust file cut into code, comments and literals, so that a rule about code never trips over a string.

/// Three views of one file. All have its line breaks, and every byte that isn't theirs is a space, so that a position
/// means the same in each.
#[derive(Clone, Debug, Default)]
pub struct Source {
    pub text: String,
    /// Without comments, and without what stands in string and character literals.
    pub code: String,
    /// Comments alone, with their slashes.
    pub comments: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Code,
    Comment,
    Literal,
}

impl Source {
    pub fn new(text: &str) -> Source {
        let parts = classify(text.as_bytes());
        let view = |wanted: Part| {
            let kept = text.bytes().zip(&parts).map(|(byte, part)| match byte {
                b'\n' => '\n',
                byte if *part == wanted && byte.is_ascii() => char::from(byte),
                _ => ' ',
            });
            kept.collect::<String>()
        };
        Source {
            text: text.to_owned(),
            code: view(Part::Code),
            comments: view(Part::Comment),
        }
    }
}

/// The number of the line, from 1, that this byte of any view is on.
pub fn line_of(text: &str, position: usize) -> usize {
    text.as_bytes()[..position]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

/// Positions of a word that is not part of a longer one. Paths (`a::b`) and calls (`a(`) count as words.
pub fn find_words(text: &str, word: &str) -> Vec<usize> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = text.as_bytes();
    let edges = |word: &str| {
        (
            word.bytes().next().is_some_and(is_word),
            word.bytes().last().is_some_and(is_word),
        )
    };
    let (starts_as_word, ends_as_word) = edges(word);
    let positions = text.match_indices(word).map(|(position, _)| position);
    let alone = positions.filter(|position| {
        let before = position.checked_sub(1).map(|before| bytes[before]);
        let after = bytes.get(position + word.len()).copied();
        let goes_on = ends_as_word && after.is_some_and(is_word);
        let began_before = starts_as_word && before.is_some_and(is_word);
        !began_before && !goes_on
    });
    alone.collect()
}

/// One part for each byte. Nesting of block comments and the hashes of raw strings are followed: Rust reference,
/// "Comments" and "Tokens".
fn classify(text: &[u8]) -> Vec<Part> {
    let mut parts = vec![Part::Code; text.len()];
    let mut at = 0;
    while at < text.len() {
        let (part, end) = match text[at] {
            b'/' if text.get(at + 1) == Some(&b'/') => (Part::Comment, line_end(text, at)),
            b'/' if text.get(at + 1) == Some(&b'*') => (Part::Comment, block_comment_end(text, at)),
            b'"' => (Part::Literal, string_end(text, at)),
            b'r' | b'b' | b'c' if starts_token(text, at) => match raw_string_end(text, at) {
                Some(end) => (Part::Literal, end),
                None => (Part::Code, at + 1),
            },
            b'\'' => match char_end(text, at) {
                Some(end) => (Part::Literal, end),
                None => (Part::Code, at + 1),
            },
            _ => (Part::Code, at + 1),
        };
        parts[at..end].fill(part);
        at = end;
    }
    parts
}

fn starts_token(text: &[u8], at: usize) -> bool {
    at == 0 || !(text[at - 1].is_ascii_alphanumeric() || text[at - 1] == b'_')
}

fn line_end(text: &[u8], at: usize) -> usize {
    text[at..]
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(text.len(), |length| at + length)
}

fn block_comment_end(text: &[u8], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at < text.len() {
        match text.get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// `at` is the opening quote.
fn string_end(text: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while end < text.len() {
        match text[end] {
            b'\\' => end += 2,
            b'"' => return end + 1,
            _ => end += 1,
        }
    }
    text.len()
}

/// `r"…"`, `r#"…"#`, `br##"…"##`: the end, or `None` if no raw string starts here (`r#type` is an identifier).
fn raw_string_end(text: &[u8], start: usize) -> Option<usize> {
    let at = if matches!(text[start], b'b' | b'c') {
        start + 1
    } else {
        start
    };
    if text.get(at) != Some(&b'r') {
        return None;
    }
    let hashes = text[at + 1..]
        .iter()
        .take_while(|byte| **byte == b'#')
        .count();
    let open = at + 1 + hashes;
    if text.get(open) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(1 + hashes, b'#');
    let found = text[open + 1..]
        .windows(close.len())
        .position(|window| window == close);
    Some(found.map_or(text.len(), |length| open + 1 + length + close.len()))
}

/// `'a'`, `'\n'`, `'\u{1F600}'`; `None` for a lifetime.
fn char_end(text: &[u8], at: usize) -> Option<usize> {
    if text.get(at + 1) == Some(&b'\\') {
        let close = text.get(at + 3..)?.iter().position(|byte| *byte == b'\'')?;
        return Some(at + 3 + close + 1);
    }
    let first = std::str::from_utf8(text.get(at + 1..(at + 5).min(text.len()))?);
    let length = match first {
        Ok(chars) => chars.chars().next()?.len_utf8(),
        Err(error) => error.valid_up_to().clamp(1, 4),
    };
    let length = if text[at + 1].is_ascii() { 1 } else { length };
    (text.get(at + 1 + length) == Some(&b'\'')).then_some(at + 2 + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_keep_code_and_comments_apart() {
        let check = |text: &str, code: &str, comments: &str| {
            let source = Source::new(text);
            assert_eq!(source.code.trim_end(), code, "code of {text}");
            assert_eq!(source.comments.trim(), comments, "comments of {text}");
            assert_eq!(source.code.len(), text.len());
        };
        check("let a = 1; // one", "let a = 1;", "// one");
        check(
            "a /* x /* y */ z */ b",
            "a                   b",
            "/* x /* y */ z */",
        );
        check(r#"f("// no", 2)"#, "f(       , 2)", "");
        check(r#"f("a\"b", 2)"#, "f(      , 2)", "");
        check(r##"f(r#"a"b"#, 2)"##, "f(        , 2)", "");
        check(r#"f(b"x", br"y")"#, "f(b   ,      )", "");
        check("r#type + br", "r#type + br", "");
        check("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}", "");
        check(r"let c = '\''; x", "let c =     ; x", "");
        check("let c = '\"'; x", "let c =    ; x", "");
        check("let c = 'ä'; x", "let c =     ; x", "");
        check("'outer: loop {}", "'outer: loop {}", "");
        check("\"never closed", "", "");
        check("/* never closed", "", "/* never closed");
    }

    #[test]
    fn words_are_whole_and_lines_count_from_one() {
        let check = |text: &str, word: &str, expect: &[usize]| {
            assert_eq!(find_words(text, word), expect, "{text}")
        };
        check("Instant::now() MyInstant::now()", "Instant::now", &[0]);
        check("println!(1) eprintln!(2)", "println!", &[0]);
        check("now nowhere", "now", &[0]);
        check(".unwrap() .unwrap_or()", ".unwrap()", &[0]);
        assert_eq!(line_of("a\nb\nc", 4), 3);
    }
}
