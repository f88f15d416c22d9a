//! Module declarations in one file, and which of its code only tests see.

use super::source::{Source, find_words};

/// A file that this file brings in.
pub struct Child {
    pub place: Place,
    /// Folders for the inline modules around the declaration.
    pub inline_dir: String,
    pub in_tests: bool,
}

pub enum Place {
    Named(String),
    Path(String),
}

/// `mod name;`, `#[path = "…"] mod name;` and `include!("…")`, with the inline modules around them.
pub fn children(source: &Source) -> Vec<Child> {
    let inline = inline_modules(&source.code);
    let mut found = Vec::new();
    for position in find_words(&source.code, "mod") {
        let rest = source.code[position + 3..].trim_start();
        let name: String = rest
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_' || *c == '#')
            .collect();
        let name = name.trim_start_matches("r#").to_owned();
        if name.is_empty()
            || !rest.trim_start_matches("r#")[name.len()..]
                .trim_start()
                .starts_with(';')
        {
            continue;
        }
        let attributes = attributes_before(source, position);
        let place = match attributes
            .split_once("path = \"")
            .and_then(|(_, rest)| rest.split_once('"'))
        {
            Some((path, _)) => Place::Path(path.to_owned()),
            None => Place::Named(name),
        };
        found.push(child(&inline, position, place, is_for_tests(&attributes)));
    }
    for position in find_words(&source.code, "include!") {
        if let Some(path) = source.text[position..].split('"').nth(1) {
            found.push(child(
                &inline,
                position,
                Place::Path(path.to_owned()),
                false,
            ));
        }
    }
    found
}

fn child(inline: &[Inline], position: usize, place: Place, in_tests: bool) -> Child {
    let around = inline
        .iter()
        .filter(|module| module.body.contains(&position));
    let in_tests = in_tests || around.clone().any(|module| module.in_tests);
    let names: Vec<&str> = around.map(|module| module.name.as_str()).collect();
    Child {
        place,
        inline_dir: names.join("/"),
        in_tests,
    }
}

/// `mod name { … }`.
struct Inline {
    name: String,
    body: std::ops::Range<usize>,
    in_tests: bool,
}

fn inline_modules(code: &str) -> Vec<Inline> {
    let mut found = Vec::new();
    for position in find_words(code, "mod") {
        let rest = code[position + 3..].trim_start();
        let name: String = rest
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let after = rest[name.len()..].trim_start();
        if name.is_empty() || !after.starts_with('{') {
            continue;
        }
        let open = code.len() - after.len();
        found.push(Inline {
            name,
            body: open..closing_brace(code, open),
            in_tests: is_for_tests(&code[line_of_attributes(code, position)..position]),
        });
    }
    found
}

/// Ranges of code that only tests see: items under `#[cfg(test)]` and functions under `#[test]`.
pub fn test_ranges(code: &str) -> Vec<std::ops::Range<usize>> {
    let mut ranges = Vec::new();
    for marker in ["#[cfg(test)]", "#[cfg(any(test", "#[test]", "#[tokio::test"] {
        for (start, _) in code.match_indices(marker) {
            let rest = &code[start + marker.len()..];
            let end_of_item = rest.find(['{', ';']);
            let end = match end_of_item {
                Some(at) if rest.as_bytes()[at] == b'{' => {
                    closing_brace(code, start + marker.len() + at)
                }
                Some(at) => start + marker.len() + at,
                None => code.len(),
            };
            ranges.push(start..end);
        }
    }
    ranges
}

/// The position after the brace that closes the one at `open`.
fn closing_brace(code: &str, open: usize) -> usize {
    let mut depth = 0usize;
    for (offset, byte) in code.as_bytes()[open..].iter().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return open + offset + 1;
        }
    }
    code.len()
}

/// Where the attributes before an item start: after the last `;`, `{` or `}` before it.
fn line_of_attributes(code: &str, position: usize) -> usize {
    code[..position]
        .rfind([';', '{', '}'])
        .map_or(0, |at| at + 1)
}

/// With the literals in them, which `code` has not.
fn attributes_before(source: &Source, position: usize) -> String {
    source.text[line_of_attributes(&source.code, position)..position].to_owned()
}

fn is_for_tests(attributes: &str) -> bool {
    attributes.contains("cfg(test)") || attributes.contains("cfg(any(test")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_code_is_cut_out() {
        let check = |code: &str, expect: &str| {
            let left: String = code
                .char_indices()
                .filter(|(at, _)| !test_ranges(code).iter().any(|r| r.contains(at)))
                .map(|(_, c)| c)
                .collect();
            assert_eq!(left, expect);
        };
        check("a #[cfg(test)] mod t { b { c } } d", "a  d");
        check("a #[test] fn t() { b } d", "a  d");
        check("a #[cfg(test)] use b; d", "a ; d");
        check(
            "a #[cfg(not(test))] use b; d",
            "a #[cfg(not(test))] use b; d",
        );
    }
}
