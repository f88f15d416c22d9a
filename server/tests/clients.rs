//! The real program under real clients: each test runs one script of `clients/` against its own processes and ports.

use std::process::Command;

#[track_caller]
fn check(script: &str, args: &[&str]) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");
    let output = Command::new("python3")
        .current_dir(folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(script)
        .arg(env!("CARGO_BIN_EXE_gotthard"))
        .args(args)
        .output()
        .expect("python3 is needed: apt-get install python3");
    assert!(
        output.status.success(),
        "{script} failed:\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

// Ports lie below the ephemeral range, and apart from the demo's own.

#[test]
fn one_node_keeps_what_it_acknowledged_through_kill_9() {
    check("single.py", &["9000"]);
}

#[test]
fn three_nodes_lose_nothing_while_each_is_killed() {
    check("three.py", &["13000", "6"]);
}

#[test]
fn a_trace_tells_where_mail_went_on_all_nodes() {
    check("trace.py", &["17000"]);
}

#[test]
fn everyday_clients_work_at_the_demo() {
    check("daily.py", &["21000"]);
}

#[test]
fn a_lost_node_is_replaced_by_a_new_one_that_has_everything() {
    check("cluster.py", &["25000"]);
}

#[test]
fn a_new_node_gets_snapshots() {
    check("cluster.py", &["25500", "8"]);
}

#[test]
fn a_rotten_journal_is_mended_from_the_other_nodes() {
    check("repair.py", &["25250"]);
}

#[test]
fn a_lost_larger_site_is_recovered_from_and_salvaged() {
    check("recover.py", &["4000"]);
}

#[test]
fn search_is_exact_after_kills_damage_and_a_rebuild() {
    check("search.py", &["25700"]);
}
