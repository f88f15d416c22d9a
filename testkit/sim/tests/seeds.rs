//! A few seeds, and the same history from the same seed. `cargo xtask test` runs hundreds, and the twins, in the release
//! build: consensus checks itself so thoroughly in a debug build that a seed takes 30 times as long.

use testkit_sim::{Plan, Report, run};

fn simulate(seed: u64) -> Report {
    run(Plan {
        seed,
        twin: None,
        prints: false,
    })
}

/// In one process and thread, so that nothing may be left of the first.
#[test]
fn the_same_seed_gives_the_same_history() {
    let (first, second) = (simulate(4), simulate(4));
    assert_eq!(first.hash, second.hash);
    assert_ne!(first.hash, simulate(5).hash);
}

/// A seed is worth its name: half a minute, hundreds of operations, faults of several kinds; and it passes.
#[test]
fn a_seed_is_at_least_so_much() {
    for seed in 1..6 {
        let report = simulate(seed);
        assert_eq!(report.violations, [], "seed {seed}");
        assert!(report.simulated.as_secs() >= 30, "{report:?}");
        assert!(report.operations >= 300, "{report:?}");
        assert!(report.kinds >= 3, "{report:?}");
    }
}
