//! Names that say nothing: a module is a noun of the mail or log domain (style.md §1).

use super::Finding;
use super::source::{find_words, line_of};
use super::tree::Tree;

pub fn check(tree: &Tree, empty_names: &[String]) -> Vec<Finding> {
    let advice = |name: &str| {
        format!("a module named `{name}` says nothing: name what is in it (docs/glossary.md)")
    };
    let is_empty = |name: &str| empty_names.iter().any(|empty| empty == name);
    let mut findings = Vec::new();
    for (path, source) in tree.rust() {
        let parts = path.trim_end_matches(".rs").split('/');
        findings.extend(
            parts
                .filter(|part| is_empty(part))
                .map(|part| Finding::new(path, 0, advice(part))),
        );
        for position in find_words(&source.code, "mod") {
            let rest = source.code[position + 3..].trim_start();
            let name: String = rest
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            if is_empty(&name) && rest[name.len()..].trim_start().starts_with('{') {
                findings.push(Finding::new(
                    path,
                    line_of(&source.code, position),
                    advice(&name),
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_names_are_found() {
        let check = |path: &str, text: &str, expect: usize| {
            let names = ["utils".to_owned(), "common".to_owned()];
            assert_eq!(
                super::check(&Tree::of(&[(path, text)]), &names).len(),
                expect,
                "{path}: {text}"
            );
        };
        check("a/src/uid_set.rs", "mod x { }", 0);
        check("a/src/utils.rs", "", 1);
        check("a/src/utils/uid_set.rs", "", 1);
        check("a/tests/common/mod.rs", "", 1);
        check("a/src/lib.rs", "mod utils { }", 1);
        check("a/src/lib.rs", "mod utilities { } // mod utils {", 0);
    }
}
