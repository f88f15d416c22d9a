//! Banned calls, each with its substitute (style.md §6), outside the rooms that the table lets have them.

use super::Finding;
use super::declarations::test_ranges;
use super::modules::{Reach, Seen};
use super::rules::Banned;
use super::source::{find_words, line_of};
use super::tree::Tree;
use crate::workspace::Package;

pub fn check(tree: &Tree, reach: &Reach, members: &[Package], banned: &[Banned]) -> Vec<Finding> {
    let mut findings = stale(tree, members, banned);
    for (path, source) in tree.rust() {
        let tests = test_ranges(&source.code);
        let is_test = |position: usize| {
            reach.of(path) == Some(Seen::ByTests)
                || tests.iter().any(|range| range.contains(&position))
        };
        let package = reach.package(path).unwrap_or_default();
        for rule in banned.iter().filter(|rule| {
            !rule
                .allowed
                .iter()
                .any(|place| covers(place, path, package))
        }) {
            let positions = find_words(&source.code, &rule.call);
            for position in positions
                .into_iter()
                .filter(|position| !(rule.tests_may && is_test(*position)))
            {
                let text = format!("`{}` is banned here: {}", rule.call, rule.instead);
                findings.push(Finding::new(path, line_of(&source.code, position), text));
            }
        }
    }
    findings
}

/// A place is a package's name, a file, or a folder.
fn covers(place: &str, path: &str, package: &str) -> bool {
    place == package
        || place == path
        || path
            .strip_prefix(place)
            .is_some_and(|rest| rest.starts_with('/'))
}

/// An allowance for a place that is gone is taken away.
fn stale(tree: &Tree, members: &[Package], banned: &[Banned]) -> Vec<Finding> {
    let exists = |place: &str| {
        members.iter().any(|package| package.name == place)
            || tree.paths().any(|path| covers(place, path, ""))
    };
    let places = banned
        .iter()
        .flat_map(|rule| rule.allowed.iter().map(|place| (&rule.call, place)));
    let gone = places.filter(|(_, place)| !exists(place));
    let told =
        gone.map(|(call, place)| format!("`{call}` is allowed in `{place}`, which doesn't exist"));
    told.map(|text| Finding::new("xtask/tidy.toml", 0, text))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Target;

    fn check(rule: &str, text: &str, expect_lines: &[usize]) {
        let target = Target {
            kind: "lib".to_owned(),
            root_file: "room/src/lib.rs".into(),
        };
        let package = Package {
            name: "room-a".to_owned(),
            dir: "room".into(),
            targets: vec![target],
            ..Package::default()
        };
        let tree = Tree::of(&[("room/src/lib.rs", text)]);
        let rule: Banned = toml::from_str(rule).expect("the row is valid");
        let members = [package];
        let found = super::check(&tree, &Reach::walk(&tree, &members), &members, &[rule]);
        assert_eq!(
            found.iter().map(|finding| finding.line).collect::<Vec<_>>(),
            expect_lines,
            "{text}: {found:?}"
        );
    }

    #[test]
    fn banned_calls_are_found_where_they_are_banned() {
        let rule = "call = 'Instant::now'\ninstead = 'a clock'\n";
        check(
            rule,
            "fn f() {}\nlet a = Instant::now();\nlet b = std::time::Instant::now();",
            &[2, 3],
        );
        check(
            rule,
            "// Instant::now()\nlet a = \"Instant::now()\"; MyInstant::now();",
            &[],
        );
        check(
            rule,
            "#[cfg(test)]\nmod t { fn f() { Instant::now(); } }",
            &[2],
        );
        check(
            &format!("{rule}tests_may = true"),
            "#[cfg(test)]\nmod t { fn f() { Instant::now(); } }",
            &[],
        );
        check(&format!("{rule}tests_may = true"), "Instant::now();", &[1]);
        check(
            &format!("{rule}allowed = ['room-a']"),
            "Instant::now();",
            &[],
        );
        check(
            &format!("{rule}allowed = ['room/src/lib.rs']"),
            "Instant::now();",
            &[],
        );
        check(
            &format!("{rule}allowed = ['room/src']"),
            "Instant::now();",
            &[],
        );
        // one for the allowance that leads nowhere (line 0), one for the call
        check(
            &format!("{rule}allowed = ['room/sr']"),
            "Instant::now();",
            &[0, 1],
        );
    }
}
