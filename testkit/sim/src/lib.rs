//! A whole cluster of real code in one thread, from one seed: journal, consensus, fold and service on simulated disks,
//! network and clocks, under faults, with clients that know what they were told.
//! Enters: a seed, and perhaps a twin. Leaves: violations, each with the checker that owns the rule; the hash of all that happened.
//! It must never be linked into a server, and nothing in it may depend on real time, threads or chance.
//! Read first: `cluster.rs`, then `world.rs` (the checkers) and `faults.rs`.

mod chance;
mod clients;
mod clock;
mod cluster;
mod ending;
mod faults;
mod founding;
mod inject;
mod mail;
mod net;
mod node;
mod replace;
mod run;
mod twins;
mod world;

pub use run::{Plan, Report, run};
pub use twins::Twin;
pub use world::Violation;
