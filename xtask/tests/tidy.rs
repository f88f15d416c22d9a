//! The tree keeps the rules of the house.

#[test]
fn tidy_finds_nothing() {
    let findings = xtask::tidy::run(&xtask::workspace::root()).expect("the rules can be read");
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
}
