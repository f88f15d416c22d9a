//! The cluster under trial: wires, processes, and what its operator does.

mod agreement;
mod clocks;
mod disk;
mod endpoints;
mod machine;
mod node;
mod operator;
mod relay;
mod sites;
mod wires;

pub use clocks::library as clock_library;
pub use disk::{Failure, missing as no_disk};
pub use endpoints::Endpoints;
pub use machine::{Cluster, Options};
pub use sites::Sites;
pub use wires::{missing, sweep};
