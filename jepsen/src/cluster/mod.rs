//! The cluster under trial: wires, processes, and what its operator does.

mod endpoints;
mod machine;
mod node;
mod sites;
mod wires;

pub use endpoints::Endpoints;
pub use machine::{Cluster, Options};
pub use sites::Sites;
pub use wires::{missing, sweep};
