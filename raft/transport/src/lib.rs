//! Messages between nodes: framed requests and answers over TCP or mutual TLS, one connection per peer and class.
//! Enters: a node, a class, a shard, a kind and bytes. Leaves: the answer's bytes, or whether the request was sent at all.
//! It must never know what a message means, who leads a shard, or what is written to disk.
//! Strangers (another cluster, incarnation or protocol, a certificate for another id) are refused at the handshake, with the reason.
//! Read first: `peers.rs`.

mod config;
mod error;
mod frame;
#[cfg(test)]
mod golden;
mod handshake;
pub mod limits;
mod link;
mod peers;
mod serve;
mod socket;
#[cfg(test)]
mod tests;

pub use config::{Carrier, Class, Handler, Identity, Letter, PeersConfig, TlsConfig, Way};
pub use error::TransportError;
pub use peers::Peers;
