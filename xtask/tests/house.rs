//! The tree keeps the rules of the house.

use xtask::{licences, tidy, workspace};

#[test]
fn tidy_finds_nothing() {
    let findings = tidy::run(&workspace::root()).expect("the rules can be read");
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
}

#[test]
fn licences_are_as_deny_toml_says() {
    let wrong = licences::run(&workspace::root()).expect("deny.toml can be read");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
