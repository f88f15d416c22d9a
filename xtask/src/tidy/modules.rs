//! Dead files: every `.rs` file of a package is reached from one of its targets by `mod`, `#[path]` or `include!`.

use std::collections::BTreeMap;

use super::Finding;
use super::declarations::{Place, children};
use super::tree::Tree;
use crate::workspace::Package;

/// The files that the compiler sees, each with whether only tests see it.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    files: BTreeMap<String, Seen>,
    /// Folders of manifests, longest first. Without a name: a workspace of its own inside ours.
    dirs: Vec<(String, Option<String>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    ByTests,
    ByAll,
}

impl Reach {
    pub fn walk(tree: &Tree, members: &[Package]) -> Reach {
        let mut reach = Reach::default();
        for package in members {
            reach.dirs.push((
                package.dir.display().to_string(),
                Some(package.name.clone()),
            ));
            for target in &package.targets {
                let seen = match target.kind.as_str() {
                    "test" | "bench" | "example" => Seen::ByTests,
                    _ => Seen::ByAll,
                };
                let path = target.root_file.display().to_string();
                let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir).to_owned();
                reach.visit(tree, path, dir, seen);
            }
        }
        let manifests = tree
            .paths()
            .filter_map(|path| path.strip_suffix("/Cargo.toml"));
        let apart: Vec<_> = manifests
            .filter(|dir| !reach.dirs.iter().any(|(known, _)| known == dir))
            .collect();
        reach
            .dirs
            .extend(apart.into_iter().map(|dir| (dir.to_owned(), None)));
        reach
            .dirs
            .sort_by_key(|(dir, _)| std::cmp::Reverse(dir.len()));
        reach
    }

    /// `None`: no target reaches it.
    pub fn of(&self, path: &str) -> Option<Seen> {
        self.files.get(path).copied()
    }

    /// The package whose folder holds the file.
    pub fn package(&self, path: &str) -> Option<&str> {
        let inside = |dir: &str| {
            path.strip_prefix(dir)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        self.dirs
            .iter()
            .find(|(dir, _)| inside(dir))
            .and_then(|(_, name)| name.as_deref())
    }

    /// `dir` is where the file's own child modules lie.
    fn visit(&mut self, tree: &Tree, path: String, dir: String, seen: Seen) {
        let Some(source) = tree.get(&path) else {
            return;
        };
        if self
            .of(&path)
            .is_some_and(|before| before == seen || before == Seen::ByAll)
        {
            return;
        }
        let own_dir = path.rsplit_once('/').map_or("", |(dir, _)| dir).to_owned();
        self.files.insert(path, seen);
        for child in children(source) {
            let seen = if child.in_tests { Seen::ByTests } else { seen };
            let base = [dir.as_str(), &child.inline_dir]
                .into_iter()
                .filter(|part| !part.is_empty());
            let base = base.collect::<Vec<_>>().join("/");
            match child.place {
                Place::Named(name) => {
                    let below = format!("{base}/{name}");
                    let nested = format!("{below}/mod.rs");
                    let file = if tree.has(&nested) {
                        nested
                    } else {
                        format!("{below}.rs")
                    };
                    self.visit(tree, file, below, seen);
                }
                Place::Path(relative) => {
                    let file = normalize(&format!("{own_dir}/{relative}"));
                    let below = file.rsplit_once('/').map_or("", |(dir, _)| dir).to_owned();
                    self.visit(tree, file, below, seen);
                }
            }
        }
    }
}

pub fn check(tree: &Tree, reach: &Reach) -> Vec<Finding> {
    let in_package = tree
        .rust()
        .filter(|(path, _)| reach.package(path).is_some());
    let dead = in_package.filter(|(path, _)| reach.of(path).is_none());
    dead.map(|(path, _)| {
        Finding::new(
            path,
            0,
            "a dead file: no `mod` leads here; name it or remove it",
        )
    })
    .collect()
}

/// `a/../b` → `b`.
pub fn normalize(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Target;

    fn package() -> Package {
        let target = |kind: &str, file: &str| Target {
            kind: kind.to_owned(),
            root_file: file.into(),
        };
        Package {
            name: "room".to_owned(),
            dir: "room".into(),
            targets: vec![
                target("lib", "room/src/lib.rs"),
                target("test", "room/tests/all.rs"),
            ],
            ..Package::default()
        }
    }

    #[test]
    fn dead_files_are_found() {
        let check = |files: &[(&str, &str)], expect: &[&str]| {
            let tree = Tree::of(files);
            let reach = Reach::walk(&tree, &[package()]);
            let found: Vec<String> = super::check(&tree, &reach)
                .into_iter()
                .map(|finding| finding.file)
                .collect();
            assert_eq!(found, expect);
        };
        check(&[("room/src/lib.rs", "mod a;"), ("room/src/a.rs", "")], &[]);
        check(
            &[("room/src/lib.rs", "// mod a;"), ("room/src/a.rs", "")],
            &["room/src/a.rs"],
        );
        check(
            &[("room/src/lib.rs", "\"mod a;\""), ("room/src/a.rs", "")],
            &["room/src/a.rs"],
        );
        check(
            &[
                ("room/src/lib.rs", "pub(crate) mod a;"),
                ("room/src/a/mod.rs", "mod b;"),
                ("room/src/a/b.rs", ""),
            ],
            &[],
        );
        check(
            &[
                ("room/src/lib.rs", "mod a;"),
                ("room/src/a.rs", "mod b;"),
                ("room/src/a/b.rs", ""),
            ],
            &[],
        );
        check(
            &[
                ("room/src/lib.rs", "mod a;"),
                ("room/src/a.rs", "mod b;"),
                ("room/src/b.rs", ""),
            ],
            &["room/src/b.rs"],
        );
        check(
            &[
                ("room/src/lib.rs", "mod a { mod b; }"),
                ("room/src/a/b.rs", ""),
            ],
            &[],
        );
        check(
            &[
                ("room/src/lib.rs", "#[path = \"x/y.rs\"] mod z;"),
                ("room/src/x/y.rs", ""),
            ],
            &[],
        );
        check(
            &[
                ("room/src/lib.rs", "include!(\"../gen/z.rs\");"),
                ("room/gen/z.rs", ""),
            ],
            &[],
        );
        check(
            &[
                ("room/src/lib.rs", ""),
                ("room/tests/all.rs", "mod kit;"),
                ("room/tests/kit.rs", ""),
            ],
            &[],
        );
        check(
            &[("room/src/lib.rs", ""), ("room/tests/kit.rs", "")],
            &["room/tests/kit.rs"],
        );
        // a workspace of its own inside a package
        check(
            &[
                ("room/src/lib.rs", ""),
                ("room/fuzz/Cargo.toml", ""),
                ("room/fuzz/src/bin/x.rs", ""),
            ],
            &[],
        );
        // a folder outside every package is not ours to judge
        check(&[("room/src/lib.rs", ""), ("docs/x.rs", "")], &[]);
    }

    #[test]
    fn files_of_tests_are_known_as_such() {
        let check = |lib: &str, expect: Seen| {
            let tree = Tree::of(&[("room/src/lib.rs", lib), ("room/src/a.rs", "")]);
            assert_eq!(
                Reach::walk(&tree, &[package()]).of("room/src/a.rs"),
                Some(expect),
                "{lib}"
            );
        };
        check("mod a;", Seen::ByAll);
        check("#[cfg(test)]\nmod a;", Seen::ByTests);
        check("#[cfg(test)]\nmod b;\nmod a;", Seen::ByAll);
        check(
            "#[cfg(test)] mod b { #[path = \"a.rs\"] mod c; }",
            Seen::ByTests,
        );
    }
}
