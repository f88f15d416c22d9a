//! Ratchets instead of amnesties: what is bad but there is counted by kind and package, and the number only falls.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

use super::Finding;
use super::declarations::test_ranges;
use super::modules::{Reach, Seen};
use super::rules::{RATCHETS_FILE, Ratchets, Rules};
use super::source::find_words;
use super::tree::Tree;
use crate::limits::LONG_FILE_LINES;
use crate::workspace::{Metadata, Package};

/// Kind → what to do instead.
const KINDS: [(&str, &str); 2] = [
    (
        "unwraps",
        "answer the error, or `expect` with the invariant that rules it out",
    ),
    (
        "long-files",
        "above 400 lines ask of a file which two jobs it has (style.md §1)",
    ),
];

/// What there is now.
pub fn count(tree: &Tree, reach: &Reach, members: &[Package]) -> Ratchets {
    let mut found: Ratchets = KINDS
        .iter()
        .map(|(kind, _)| (kind.to_string(), BTreeMap::new()))
        .collect();
    let mut add = |kind: &str, package: &str, count: usize| {
        if count > 0 {
            *found
                .entry(kind.to_owned())
                .or_default()
                .entry(package.to_owned())
                .or_default() += count;
        }
    };
    for (path, source) in tree.rust() {
        let Some(package) = reach
            .package(path)
            .filter(|name| members.iter().any(|m| m.name == *name))
        else {
            continue;
        };
        if reach.of(path) != Some(Seen::ByAll) {
            continue; // tests unwrap, and a long table is still one job
        }
        let tests = test_ranges(&source.code);
        let in_tests = |position: &usize| tests.iter().any(|range| range.contains(position));
        let breaks = source
            .text
            .match_indices('\n')
            .map(|(position, _)| position);
        let lines = breaks.filter(|position| !in_tests(position)).count();
        add("long-files", package, usize::from(lines > LONG_FILE_LINES));
        let unwraps = find_words(&source.code, ".unwrap()");
        let unwraps = unwraps.iter().filter(|position| !in_tests(position));
        add("unwraps", package, unwraps.count());
    }
    found
}

pub fn check(found: &Ratchets, allowed: &Ratchets) -> Vec<Finding> {
    let mut findings = Vec::new();
    let get = |from: &Ratchets, kind: &str, package: &str| -> usize {
        from.get(kind)
            .and_then(|packages| packages.get(package))
            .copied()
            .unwrap_or(0)
    };
    for (kind, advice) in KINDS {
        let packages = [found, allowed]
            .into_iter()
            .filter_map(|from| from.get(kind))
            .flat_map(BTreeMap::keys);
        for package in packages.collect::<std::collections::BTreeSet<_>>() {
            let (now, most) = (get(found, kind, package), get(allowed, kind, package));
            if now > most {
                let text = format!("{kind} in `{package}`: {now}, at most {most}: {advice}");
                findings.push(Finding::new(RATCHETS_FILE, 0, text));
            } else if now < most {
                let text = format!(
                    "{kind} in `{package}` fell to {now}: `cargo xtask fix` keeps it there"
                );
                findings.push(Finding::new(RATCHETS_FILE, 0, text));
            }
        }
    }
    let unknown = allowed
        .keys()
        .filter(|kind| !KINDS.iter().any(|(known, _)| known == kind));
    findings.extend(
        unknown.map(|kind| Finding::new(RATCHETS_FILE, 0, format!("`{kind}` is no ratchet"))),
    );
    findings
}

/// Writes the numbers that fell; none rises. Says whether the file changed.
pub fn lower(root: &Path) -> Result<bool> {
    let allowed = Rules::load(root)?.ratchets;
    let members = Metadata::load(root)?.members;
    let tree = Tree::load(root)?;
    let found = count(&tree, &Reach::walk(&tree, &members), &members);
    let lowered = lowest(&found, &allowed);
    if lowered == allowed {
        return Ok(false);
    }
    let path = root.join(RATCHETS_FILE);
    let old = std::fs::read_to_string(&path)?;
    let head: String = old
        .lines()
        .take_while(|line| line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(&path, format!("{head}\n{}", toml::to_string(&lowered)?))
        .context("the ratchets were not written")?;
    Ok(true)
}

fn lowest(found: &Ratchets, allowed: &Ratchets) -> Ratchets {
    let mut lowered = allowed.clone();
    for (kind, packages) in &mut lowered {
        for (package, most) in packages.iter_mut() {
            let now = found
                .get(kind)
                .and_then(|packages| packages.get(package))
                .copied()
                .unwrap_or(0);
            *most = now.min(*most);
        }
        packages.retain(|_, most| *most > 0);
    }
    lowered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Target;

    fn ratchets(text: &str) -> Ratchets {
        toml::from_str(text).expect("the row is valid")
    }

    #[test]
    fn numbers_only_fall() {
        let check = |found: &str, allowed: &str, expect: &[&str], after: &str| {
            let (found, allowed) = (ratchets(found), ratchets(allowed));
            let texts: Vec<String> = super::check(&found, &allowed)
                .into_iter()
                .map(|finding| finding.text)
                .collect();
            assert_eq!(texts.len(), expect.len(), "{texts:?}");
            assert!(
                texts
                    .iter()
                    .zip(expect)
                    .all(|(text, part)| text.contains(part)),
                "{texts:?}"
            );
            assert_eq!(lowest(&found, &allowed), ratchets(after));
        };
        let one = "unwraps = { a = 1 }";
        check(one, one, &[], one);
        check("unwraps = { a = 2 }", one, &["2, at most 1"], one);
        check("unwraps = {}", one, &["fell to 0"], "unwraps = {}");
        check("unwraps = { b = 1 }", "", &["`b`: 1, at most 0"], "");
        check("", "wishes = { a = 1 }", &["no ratchet"], "wishes = {}");
    }

    #[test]
    fn tests_may_unwrap_and_long_files_count() {
        let check = |text: &str, expect: &str| {
            let target = Target {
                kind: "lib".to_owned(),
                root_file: "a/src/lib.rs".into(),
            };
            let package = Package {
                name: "a".to_owned(),
                dir: "a".into(),
                targets: vec![target],
                ..Package::default()
            };
            let tree = Tree::of(&[("a/src/lib.rs", text)]);
            let found = count(
                &tree,
                &Reach::walk(&tree, std::slice::from_ref(&package)),
                &[package],
            );
            assert_eq!(found, ratchets(expect), "{text:.40}");
        };
        check(
            "x.unwrap(); y.unwrap_or(1)",
            "long-files = {}\nunwraps = { a = 1 }",
        );
        check(
            "#[cfg(test)] mod t { fn f() { x.unwrap() } }",
            "long-files = {}\nunwraps = {}",
        );
        check(&"\n".repeat(401), "long-files = { a = 1 }\nunwraps = {}");
        check(&"\n".repeat(400), "long-files = {}\nunwraps = {}");
        let table = format!("#[cfg(test)]\nmod t {{{}}}", "\n".repeat(500));
        check(&table, "long-files = {}\nunwraps = {}");
    }
}
