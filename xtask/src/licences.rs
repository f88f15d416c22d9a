//! Licences, bans and sources of every crate that some target or feature set of ours compiles, against `deny.toml`.
//!
//! Our own reading of the parts of that file that we use, so that the check needs nothing installed; cargo-deny reads
//! the same file where it is there.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::workspace::{Metadata, Package};

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[derive(Debug, Default, Deserialize)]
pub struct Deny {
    #[serde(default)]
    licenses: Licenses,
    #[serde(default)]
    bans: Bans,
}

#[derive(Debug, Default, Deserialize)]
struct Licenses {
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Debug, Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Bans {
    #[serde(default)]
    deny: Vec<Ban>,
}

#[derive(Debug, Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    #[serde(default)]
    reason: String,
}

/// What is wrong, a line each; empty if nothing is.
pub fn run(root: &Path) -> Result<Vec<String>> {
    let text =
        std::fs::read_to_string(root.join("deny.toml")).context("deny.toml could not be read")?;
    let deny: Deny = toml::from_str(&text).context("deny.toml is not as expected")?;
    let metadata = Metadata::load(root)?;
    let compiled = compiled(root)?;
    let outside = metadata.outside.iter().filter(|package| {
        let key = (package.name.clone(), package.version.clone());
        compiled.contains(&key)
    });
    let all = metadata.members.iter().chain(outside);
    Ok(all.flat_map(|package| check(package, &deny)).collect())
}

/// Name and version of what is compiled on any platform. `Cargo.lock` and `cargo metadata` also list what a weak
/// feature (`ring?/std`) names and nothing turns on.
fn compiled(root: &Path) -> Result<BTreeSet<(String, String)>> {
    let mut tree = Command::new(crate::cargo::program());
    tree.args([
        "tree",
        "--workspace",
        "--locked",
        "--target",
        "all",
        "--edges",
        "normal,build,dev",
    ]);
    let output = tree
        .args(["--prefix", "none", "--format", "{p}"])
        .current_dir(root)
        .output();
    let output = output.context("cargo tree could not be started")?;
    if !output.status.success() {
        bail!(
            "cargo tree failed:\n{}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(listed(&String::from_utf8_lossy(&output.stdout)))
}

/// Lines like `bytes v1.11.0` and `xtask v0.1.0 (…)`.
fn listed(tree: &str) -> BTreeSet<(String, String)> {
    let line = |line: &str| {
        let mut words = line.split(' ');
        let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
        Some((name.to_owned(), version.to_owned()))
    };
    tree.lines().filter_map(line).collect()
}

fn check(package: &Package, deny: &Deny) -> Vec<String> {
    let mut wrong = Vec::new();
    let name = format!("{} {}", package.name, package.version);
    if let Some(ban) = deny.bans.deny.iter().find(|ban| ban.name == package.name) {
        wrong.push(format!("{name} is banned: {}", ban.reason));
    }
    let exceptions = deny
        .licenses
        .exceptions
        .iter()
        .filter(|exception| exception.name == package.name);
    let allowed: Vec<&str> = exceptions
        .flat_map(|exception| &exception.allow)
        .chain(&deny.licenses.allow)
        .map(String::as_str)
        .collect();
    match package.license.as_deref() {
        None => wrong.push(format!("{name} states no licence")),
        Some(text) if !is_allowed(text, &allowed) => {
            wrong.push(format!("{name} has the licence `{text}`"))
        }
        Some(_) => {}
    }
    match package.source.as_deref() {
        None | Some(REGISTRY) => {}
        Some(source) => wrong.push(format!("{name} comes from {source}, not from crates.io")),
    }
    wrong
}

/// Whether an SPDX expression can be met with these licences. `A/B` is the old way to write `A OR B`.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser {
        words: &words,
        allowed,
    };
    parser.any_of() == Some(true) && parser.words.is_empty()
}

/// `None`: not an expression. OR binds weakest, then AND, then WITH (SPDX 2.3, annex D).
struct Parser<'a> {
    words: &'a [&'a str],
    allowed: &'a [&'a str],
}

impl<'a> Parser<'a> {
    fn any_of(&mut self) -> Option<bool> {
        let mut met = self.all_of()?;
        while self.take("OR") {
            met |= self.all_of()?;
        }
        Some(met)
    }

    fn all_of(&mut self) -> Option<bool> {
        let mut met = self.one()?;
        while self.take("AND") {
            met &= self.one()?;
        }
        Some(met)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let met = self.any_of()?;
            return self.take(")").then_some(met);
        }
        let mut name = self.next()?.to_owned();
        if self.take("WITH") {
            name = format!("{name} WITH {}", self.next()?);
        }
        Some(self.allowed.contains(&name.as_str()))
    }

    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.words.first() == Some(&word);
        if found {
            self.words = &self.words[1..];
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_met_or_not() {
        let check = |expression: &str, expect: bool| {
            let allowed = ["MIT", "ISC", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"];
            assert_eq!(is_allowed(expression, &allowed), expect, "{expression}");
        };
        check("MIT", true);
        check("GPL-3.0", false);
        check("GPL-3.0 OR MIT", true);
        check("GPL-3.0 AND MIT", false);
        check("GPL-3.0/MIT", true);
        check("MIT OR GPL-3.0 AND ISC", true);
        check("GPL-3.0 OR GPL-2.0 AND ISC", false);
        check("(MIT OR GPL-3.0) AND ISC", true);
        check("(MIT AND GPL-3.0) OR (ISC AND (GPL-3.0 OR MIT))", true);
        check("Apache-2.0 WITH LLVM-exception", true);
        check("MIT WITH LLVM-exception", false);
        check("", false);
        check("MIT OR", false);
        check("MIT MIT", false);
        check("(MIT", false);
    }

    #[test]
    fn trees_are_read() {
        let found = listed(
            "bytes v1.11.0\nxtask v0.1.0 (somewhere)\n\nbytes feature \"std\"\nbytes v1.11.0 (*)\n",
        );
        let names: Vec<String> = found
            .into_iter()
            .map(|(name, version)| format!("{name} {version}"))
            .collect();
        assert_eq!(names, ["bytes 1.11.0", "xtask 0.1.0"]);
    }

    #[test]
    fn crates_are_judged() {
        let check = |name: &str, license: Option<&str>, source: Option<&str>, expect: &[&str]| {
            let deny: Deny = toml::from_str(
                "[licenses]\nallow = ['MIT']\nexceptions = [{ crate = 'fine', allow = ['MPL-2.0'] }]\n\
                 [bans]\ndeny = [{ crate = 'bad', reason = 'it is C' }]",
            )
            .expect("valid");
            let package = Package {
                name: name.to_owned(),
                license: license.map(str::to_owned),
                source: source.map(str::to_owned),
                ..Package::default()
            };
            let wrong = super::check(&package, &deny);
            assert_eq!(wrong.len(), expect.len(), "{wrong:?}");
            assert!(
                wrong
                    .iter()
                    .zip(expect)
                    .all(|(line, part)| line.contains(part)),
                "{wrong:?}"
            );
        };
        check("good", Some("MIT"), Some(REGISTRY), &[]);
        check("ours", Some("MIT"), None, &[]);
        check("fine", Some("MPL-2.0"), None, &[]);
        check("other", Some("MPL-2.0"), None, &["`MPL-2.0`"]);
        check("bad", Some("MIT"), None, &["it is C"]);
        check("none", None, None, &["no licence"]);
        check(
            "forked",
            Some("MIT"),
            Some("git+https://example.org/x"),
            &["not from crates.io"],
        );
    }
}
