//! Room heads (style.md §1): the first file of a crate opens with five lines, and names the file to read first.

use super::Finding;
use super::tree::Tree;
use crate::workspace::Package;

/// What the room is, what enters, what leaves, what it must never know, what to read first.
const LINES: usize = 5;

pub fn check(tree: &Tree, members: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in members {
        let of_kind = |kind: &str| package.targets.iter().find(|target| target.kind == kind);
        let Some(target) = of_kind("lib").or_else(|| of_kind("bin")) else {
            continue;
        };
        let path = target.root_file.display().to_string();
        let Some(source) = tree.get(&path) else {
            continue;
        };
        let head: Vec<&str> = source
            .text
            .lines()
            .map_while(|line| line.strip_prefix("//! "))
            .collect();
        if head.len() < LINES {
            let text = "a room opens with five `//!` lines: what it is, what enters, what leaves, what it must never \
                        know, which file to read first";
            findings.push(Finding::new(&path, 1, text));
        } else if !head
            .iter()
            .any(|line| line.to_lowercase().contains("never"))
        {
            findings.push(Finding::new(
                &path,
                1,
                "the head doesn't say what the room must never know",
            ));
        } else {
            findings.extend(unreadable(tree, &path, &head));
        }
    }
    findings
}

/// Files in backticks after "read first" that don't exist.
fn unreadable(tree: &Tree, path: &str, head: &[&str]) -> Vec<Finding> {
    let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
    let Some(start) = head
        .iter()
        .position(|line| line.to_lowercase().contains("read first"))
    else {
        return vec![Finding::new(
            path,
            1,
            "the head doesn't say which file to read first (`Read first: …`)",
        )];
    };
    let text = head[start..].join(" ");
    let quoted = text.split('`').skip(1).step_by(2);
    let files = quoted.filter(|name| {
        [".rs", ".md", ".toml"]
            .iter()
            .any(|end| name.ends_with(end))
    });
    let missing = files.filter(|name| !tree.has(name) && !tree.has(&format!("{dir}/{name}")));
    missing
        .map(|name| {
            Finding::new(
                path,
                start + 1,
                format!("`{name}`, to be read first, doesn't exist"),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Target;

    fn check(text: &str, expect: Option<&str>) {
        let tree = Tree::of(&[
            ("room/src/lib.rs", text),
            ("room/src/state.rs", ""),
            ("docs/formats/a.md", ""),
        ]);
        let target = Target {
            kind: "lib".to_owned(),
            root_file: "room/src/lib.rs".into(),
        };
        let package = Package {
            name: "room".to_owned(),
            targets: vec![target],
            ..Package::default()
        };
        let found: Vec<String> = super::check(&tree, &[package])
            .into_iter()
            .map(|finding| finding.text)
            .collect();
        match expect {
            None => assert!(found.is_empty(), "{found:?}"),
            Some(part) => assert!(
                found.len() == 1 && found[0].contains(part),
                "{found:?} should be about {part}"
            ),
        }
    }

    #[test]
    fn five_lines_open_a_room() {
        let head = "//! A.\n//! Enters: b.\n//! Leaves: c.\n//! It must never know d.\n";
        check(
            &format!("{head}//! Read first: `state.rs`.\n\nmod state;\n"),
            None,
        );
        check(
            &format!("{head}//! Read first: `docs/formats/a.md`, then `state.rs` (all).\n"),
            None,
        );
        check("//! A.\n", Some("five"));
        check("mod state;\n", Some("five"));
        check(
            &format!("\n{head}//! Read first: `state.rs`.\n"),
            Some("five"),
        );
        check(
            &format!("{head}//! Read first: `gone.rs`.\n"),
            Some("`gone.rs`"),
        );
        check(
            &format!("{head}//! Then more.\n"),
            Some("which file to read first"),
        );
        check(
            "//! A.\n//! B.\n//! C.\n//! D.\n//! Read first: `state.rs`.\n",
            Some("never know"),
        );
    }
}
