//! The one door for gateways: submit, query, watch; permissions; refusals in mail words.
//! Enters: requests of gateways in values of `engine-types`. Leaves: answers, or a `Refusal` a protocol can word.
//! It must never know a wire protocol, a socket or a storage engine.
//! Gateways name `Mail` and `Administration` (traits, so that a test may stand a shard in for a cluster).
//! Read first: `api/mod.rs`.

mod api;
pub mod limits;

pub use api::admin::*;
pub use api::mail::*;
pub use api::refusal::*;
pub use engine_events::{Addr, BodyPart, Disposition, Envelope, Facts, Param, PartKind};
