//! Arrows (design.md §4): the packages' dependencies against `arrows.toml`.

use super::Finding;
use super::rules::Arrows;
use crate::workspace::{DependencyKind, Package};

const FILE: &str = "arrows.toml";
const ALL: &str = "*";

pub fn check(members: &[Package], arrows: &Arrows) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in members {
        let manifest = format!("{}/Cargo.toml", package.dir.display());
        let Some(may) = arrows.arrows.get(&package.name) else {
            findings.push(Finding::new(
                FILE,
                0,
                format!("no line for `{}`: which rooms may it import?", package.name),
            ));
            continue;
        };
        let in_tests = [ALL, &package.name]
            .into_iter()
            .filter_map(|name| arrows.dev.get(name))
            .flatten();
        let in_tests: Vec<&String> = in_tests.collect();
        for dependency in &package.dependencies {
            let allowed = |list: &[String]| {
                list.iter()
                    .any(|name| name == ALL || *name == dependency.name)
            };
            let is_dev = dependency.kind == DependencyKind::Dev;
            let fine = match arrows.outside.get(&dependency.name) {
                _ if dependency.ours => {
                    allowed(may) || (is_dev && in_tests.contains(&&dependency.name))
                }
                Some(only) => is_dev || allowed_in(only, &package.name),
                None => true,
            };
            if !fine && dependency.ours {
                let text = format!(
                    "`{}` must not import `{}`: no such arrow in {FILE}",
                    package.name, dependency.name
                );
                findings.push(Finding::new(&manifest, 0, text));
            } else if !fine {
                let only = arrows.outside[&dependency.name].join(", ");
                let text = format!(
                    "only {only} may name `{}`: go through that room",
                    dependency.name
                );
                findings.push(Finding::new(&manifest, 0, text));
            }
        }
    }
    findings.extend(stale(members, arrows));
    findings
}

fn allowed_in(only: &[String], package: &str) -> bool {
    only.iter().any(|name| name == package)
}

/// Lines about packages that don't exist would hide a misspelling.
fn stale(members: &[Package], arrows: &Arrows) -> Vec<Finding> {
    let known = |name: &str| name == ALL || members.iter().any(|package| package.name == name);
    let lines = arrows.arrows.iter().chain(&arrows.dev);
    let ours = lines.flat_map(|(left, right)| std::iter::once(left).chain(right));
    let named = ours.chain(arrows.outside.values().flatten());
    let unknown = named.filter(|name| !known(name));
    unknown
        .map(|name| Finding::new(FILE, 0, format!("`{name}` is no package of this workspace")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    const ARROWS: &str = r#"
        [arrows]
        server = ["*"]
        domain = ["types"]
        types = []
        kit = ["domain", "types"]
        [dev]
        "*" = ["kit"]
        [outside]
        rocksdb = ["domain"]
    "#;

    /// `left > right` is a dependency, `left ~ right` a dev-dependency.
    fn check(edges: &str, expect: &[&str]) {
        let names = ["server", "domain", "types", "kit"];
        let edges: Vec<Vec<&str>> = edges
            .split(", ")
            .map(|edge| edge.split(' ').collect())
            .collect();
        let all = names.iter().copied().chain(
            edges
                .iter()
                .map(|edge| edge[0])
                .filter(|name| !names.contains(name)),
        );
        let members: Vec<Package> = all
            .map(|name| {
                let own = edges.iter().filter(|edge| edge[0] == name);
                let dependencies = own.map(|edge| Dependency {
                    name: edge[2].to_owned(),
                    kind: if edge[1] == "~" {
                        DependencyKind::Dev
                    } else {
                        DependencyKind::Normal
                    },
                    ours: edge[2] != "rocksdb",
                });
                Package {
                    name: name.to_owned(),
                    dependencies: dependencies.collect(),
                    ..Package::default()
                }
            })
            .collect();
        let arrows: Arrows = toml::from_str(ARROWS).expect("the table above is valid");
        let found: Vec<String> = super::check(&members, &arrows)
            .into_iter()
            .map(|finding| finding.text)
            .collect();
        assert_eq!(found.len(), expect.len(), "{edges:?}: {found:?}");
        for (text, part) in found.iter().zip(expect) {
            assert!(text.contains(part), "{text} should contain {part}");
        }
    }

    #[test]
    fn arrows_hold() {
        check("domain > types", &[]);
        check("server > domain, server > types", &[]);
        check("types > domain", &["`types` must not import `domain`"]);
        check("domain ~ server", &["`domain` must not import `server`"]);
        // testkit is for tests alone
        check("domain ~ kit", &[]);
        check("domain > kit", &["`domain` must not import `kit`"]);
        // one room names an outside crate
        check("domain > rocksdb", &[]);
        check("types ~ rocksdb", &[]);
        check("server > rocksdb", &["only domain may name `rocksdb`"]);
        // a new room needs a line
        check("new > types", &["no line for `new`"]);
    }

    #[test]
    fn lines_about_no_package_are_named() {
        let arrows: Arrows = toml::from_str("[arrows]\ntypos = []").expect("valid");
        assert_eq!(
            super::check(&[], &arrows)[0].text,
            "`typos` is no package of this workspace"
        );
    }
}
