//! Links that lead somewhere: runbooks that code names, and files that documents link to.

use super::Finding;
use super::modules::normalize;
use super::source::line_of;
use super::tree::Tree;

const RUNBOOKS: &str = "docs/runbooks/";

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = runbooks(tree);
    for (path, source) in tree.ending(&[".md"]) {
        let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
        let prose = without_fences(&source.text);
        for (position, _) in prose.match_indices("](") {
            let Some((target, _)) = prose[position + 2..].split_once(')') else {
                continue;
            };
            let file = target.split('#').next().unwrap_or_default();
            let is_outside =
                file.is_empty() || file.contains(':') || file.contains(char::is_whitespace);
            let below = normalize(&format!("{dir}/{file}"));
            // A path that leaves the tree (`../shared/…`) is not ours to hold.
            if is_outside || below.starts_with("..") || exists(tree, &below) {
                continue;
            }
            findings.push(Finding::new(
                path,
                line_of(&prose, position),
                format!("`{target}` leads nowhere"),
            ));
        }
    }
    findings
}

/// The runbooks that code names, in strings above all: an operator will be sent there.
fn runbooks(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.rust() {
        for (position, _) in source.text.match_indices(RUNBOOKS) {
            let is_comment = !source.comments[position..].starts_with(' ');
            let rest = &source.text[position..];
            let length = rest
                .find(|c: char| !(c.is_alphanumeric() || "-_./".contains(c)))
                .unwrap_or(rest.len());
            let named = rest[..length].trim_end_matches('.');
            if !is_comment && named.ends_with(".md") && !tree.has(named) {
                let text = format!("`{named}` is named here and doesn't exist: write the runbook");
                findings.push(Finding::new(path, line_of(&source.text, position), text));
            }
        }
    }
    findings
}

fn exists(tree: &Tree, path: &str) -> bool {
    path.is_empty()
        || tree.has(path)
        || tree
            .paths()
            .any(|file| file.starts_with(&format!("{path}/")))
}

/// Code in documents is blanked, so that `a[i](x)` is no link; positions stay.
fn without_fences(text: &str) -> String {
    let mut fenced = false;
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let is_fence = line.trim_start().starts_with("```");
        if is_fence || fenced {
            out.extend(line.chars().map(|c| if c == '\n' { c } else { ' ' }));
        } else {
            let mut in_code = false;
            out.extend(line.chars().map(|c| {
                in_code ^= c == '`';
                if in_code { ' ' } else { c }
            }));
        }
        fenced ^= is_fence;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_somewhere() {
        let check = |path: &str, text: &str, expect_lines: &[usize]| {
            let disk_full = format!("{RUNBOOKS}disk-full.md");
            let tree = Tree::of(&[(path, text), ("docs/a.md", ""), (&disk_full, "")]);
            let found = super::check(&tree);
            assert_eq!(
                found.iter().map(|finding| finding.line).collect::<Vec<_>>(),
                expect_lines,
                "{text}"
            );
        };
        check(
            "README.md",
            "[a](docs/a.md) [d](docs) [h](https://example.org/x) [s](#top)",
            &[],
        );
        check("README.md", "x\n[b](docs/b.md)", &[2]);
        check("docs/x.md", "[a](a.md#part) [up](../README2.md)", &[1]);
        check(
            "docs/x.md",
            "[a](./a.md) [out](../../shared/design.md)",
            &[],
        );
        check("docs/x.md", "```\n[b](b.md)\n```\n`[c](c.md)`", &[]);
        let url = |name: &str| format!("let url = \"{RUNBOOKS}{name}\";");
        check("a.rs", &url("disk-full.md"), &[]);
        check("a.rs", &url("disk-empty.md"), &[1]);
        check("a.rs", &format!("// {}", url("disk-empty.md")), &[]);
    }
}
