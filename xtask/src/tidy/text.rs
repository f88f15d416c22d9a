//! Text files: no blanks at line ends, one line break at the end, no path of somebody's machine.

use super::Finding;
use super::tree::Tree;

/// Scripts of protocols and golden bytes are left alone: there a blank may be the point.
const ENDS: [&str; 9] = [
    ".rs",
    ".toml",
    ".md",
    ".sh",
    ".py",
    ".yml",
    ".json",
    ".gitignore",
    ".ci/run",
];

pub fn check(tree: &Tree, machine_folders: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.ending(&ENDS) {
        for (number, line) in source.text.split('\n').enumerate() {
            if line.ends_with([' ', '\t', '\r']) {
                findings.push(Finding::new(
                    path,
                    number + 1,
                    "blank at the end of the line",
                ));
            }
            for folder in machine_folders {
                if has_path(line, folder) {
                    let text =
                        format!("/{folder}/… exists on one machine only: take a path from outside");
                    findings.push(Finding::new(path, number + 1, text));
                }
            }
        }
        let end_is_odd = !source.text.is_empty()
            && (!source.text.ends_with('\n') || source.text.ends_with("\n\n"));
        if end_is_odd {
            findings.push(Finding::new(
                path,
                source.text.lines().count(),
                "a file ends with one line break",
            ));
        }
    }
    findings
}

/// `/folder/x` as the start of a path, not in the middle of one (`a/folder/x`) or of an address.
fn has_path(line: &str, folder: &str) -> bool {
    let pattern = format!("/{folder}/");
    line.match_indices(&pattern).any(|(position, _)| {
        let before = line[..position].chars().next_back();
        let after = line[position + pattern.len()..].chars().next();
        let starts = !before.is_some_and(|c| c.is_alphanumeric() || "-_./~}>$*".contains(c));
        starts && after.is_some_and(|c| c.is_alphanumeric() || "-_.".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_clean() {
        let check = |path: &str, text: &str, expect_lines: &[usize]| {
            let found = super::check(&Tree::of(&[(path, text)]), &["house".to_owned()]);
            assert_eq!(
                found.iter().map(|finding| finding.line).collect::<Vec<_>>(),
                expect_lines,
                "{text}"
            );
        };
        check("a.md", "fine\nfine\n", &[]);
        check("a.md", "", &[]);
        check("a.rs", "a \nb\t\nc\r\n", &[1, 2, 3]);
        check("a.imap", "a \n", &[]);
        check("a.md", "no end", &[1]);
        check("a.md", "two ends\n\n", &[2]);
        check("a.md", "see `/house/main`\n", &[1]);
        check("a.rs", "open(\"/house/main\");\n", &[1]);
        check("a.md", "see src/house/main, ~/house/x and /houses/y\n", &[]);
    }
}
