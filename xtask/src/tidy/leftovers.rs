//! Leftovers: words that say "not done", ignored tests, and `allow`s without their reason.

use super::Finding;
use super::rules::House;
use super::source::{Source, find_words, line_of};
use super::tree::Tree;

pub fn check(tree: &Tree, house: &House) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.rust() {
        for word in &house.leftover_words {
            for position in find_words(&source.comments, word) {
                findings.push(leftover(path, line_of(&source.comments, position), word));
            }
        }
        for code in &house.leftover_code {
            for position in find_words(&source.code, code) {
                findings.push(leftover(path, line_of(&source.code, position), code));
            }
        }
        findings.extend(allows_without_reason(path, source));
    }
    for (path, source) in tree.ending(&[".toml", ".sh", ".py", ".ci/run"]) {
        for (number, line) in source.text.lines().enumerate() {
            let comment = line.find('#').map_or("", |at| &line[at..]);
            let words = house
                .leftover_words
                .iter()
                .filter(|word| !find_words(comment, word).is_empty());
            findings.extend(words.map(|word| leftover(path, number + 1, word)));
        }
    }
    findings
}

fn leftover(path: &str, line: usize, word: &str) -> Finding {
    Finding::new(
        path,
        line,
        format!("`{word}`: finish it, or file it as an issue and take it out"),
    )
}

/// Every `allow` carries its reason: `reason = "…"`, or a comment on its line or the one above.
fn allows_without_reason(path: &str, source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let comments: Vec<&str> = source.comments.lines().collect();
    for marker in ["#[allow(", "#![allow("] {
        for (position, _) in source.code.match_indices(marker) {
            let line = line_of(&source.code, position);
            let length = source.code[position..]
                .find(']')
                .unwrap_or(source.code.len() - position);
            let has_reason = source.code[position..position + length].contains("reason =");
            let said = |line: usize| {
                comments
                    .get(line.wrapping_sub(1))
                    .is_some_and(|text| text.contains("//"))
            };
            if !has_reason && !said(line) && !said(line - 1) {
                findings.push(Finding::new(
                    path,
                    line,
                    "an `allow` carries its reason: `reason = \"…\"`",
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expect_lines: &[usize]) {
        let house: House =
            toml::from_str("leftover_words = ['LATER']\nleftover_code = ['#[ignore', 'dbg!']")
                .expect("valid");
        let found = super::check(&Tree::of(&[(path, text)]), &house);
        assert_eq!(
            found.iter().map(|finding| finding.line).collect::<Vec<_>>(),
            expect_lines,
            "{text}: {found:?}"
        );
    }

    #[test]
    fn leftovers_are_found() {
        check("a.rs", "// LATER: x\nfn f() {} /* LATER */", &[1, 2]);
        check("a.rs", "fn f() { g(\"LATER\"); LATERAL }", &[]);
        check("a.rs", "#[test]\n#[ignore]\nfn f() { dbg!(1) }", &[2, 3]);
        check("a.rs", "#[ignore = \"slow\"]", &[1]);
        check("a.toml", "a = 1 # LATER\nb = 'LATER'", &[1]);
        check(".ci/run", "# LATER", &[1]);
        check("a.md", "# LATER", &[]);
    }

    #[test]
    fn an_allow_carries_its_reason() {
        check("a.rs", "#[allow(dead_code)]\nfn f() {}", &[1]);
        check("a.rs", "#![allow(dead_code)]", &[1]);
        check("a.rs", "#[allow(dead_code, reason = \"generated\")]", &[]);
        check("a.rs", "#[allow(dead_code)] // generated", &[]);
        check("a.rs", "// generated\n#[allow(dead_code)]", &[]);
        check("a.rs", "// generated\n\n#[allow(dead_code)]", &[3]);
    }
}
