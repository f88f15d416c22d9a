//! The one door for gateways: submit, query, watch; permissions; refusals in mail words.
//! Enters: requests of gateways in values of `engine-types`. Leaves: answers, or a `Refusal` a protocol can word.
//! It must never know a wire protocol, a socket or a storage engine.
//! Gateways name `Mail` and `Administration` (traits, so that a test may stand a shard in for a cluster).
//! Read first: `api/mail.rs`, then `submit.rs`.

mod admin;
mod api;
mod body;
mod date;
mod deliver;
mod directory;
mod emails;
mod find;
pub mod limits;
mod login;
mod mail;
mod outcome;
mod password;
mod rank;
mod rehash;
mod rows;
mod service;
mod submit;
mod trace;

#[cfg(test)]
mod tests;

pub use api::acknowledged::*;
pub use api::admin::*;
pub use api::find::*;
pub use api::mail::*;
pub use api::message_bytes::*;
pub use api::refusal::*;
pub use body::read as read_body;
pub use engine_events::{Addr, BodyPart, Disposition, Envelope, Facts, Param, PartKind};
pub use service::{Parts, Service};
