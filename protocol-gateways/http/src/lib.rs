//! The admin listener: health, metrics, and the administration that the command line calls.
//! Enters: HTTP requests, `Administration` and `Mail` of the service, a `HealthSource`, a `Membership`. Leaves: JSON and metrics text.
//! It must never know Raft, the journal or a store: what operators see of them arrives as plain values.
//! `/health/*` and `/metrics` are open on loopback; everything under `/admin` needs the bearer token.
//! Read first: `router.rs`.

mod accounts;
mod addresses;
mod failure;
mod health;
pub mod limits;
mod membership;
mod messages;
mod receipt;
mod router;
mod search;
mod sessions;
mod trace;

pub use health::{
    Cluster, Digest, Health, HealthSource, Node, Problem, ReplicaHealth, ShardHealth,
};
pub use membership::{
    ClusterView, Member, MemberState, Membership, NotChanged, OnSiteLoss, Progress, ShardProgress,
};
pub use receipt::{ReceiptRefused, ReceiptSource, ReceiptView};
pub use router::{AdminParts, serve};
pub use search::{IndexSource, IndexVerdict, IndexView};
pub use trace::{Trace, TraceRefused, TraceSource, TracedNode};
