//! What tests put below a gateway in place of a cluster: real shards, a log in memory, a clock that stands.
//! Enters: commands, as from the service. Leaves: real outcomes and views, without a disk or a network.
//! It must never be linked into a server: a dev-dependency only.
//! `Solo` is one node; `solo_service` adds the service and the demo's accounts.
//! Read first: `solo.rs`.

mod clock;
mod group;
mod service;
mod solo;

pub use clock::HandClock;
pub use group::Trouble;
pub use service::{DEMO_ACCOUNTS, DEMO_PASSWORD, solo_service, solo_service_on};
pub use solo::Solo;
