//! What every connection needs: listeners, TLS, PROXY protocol, caps, the registry of sessions, SASL, shutdown.
//! Enters: accepted sockets and certificates. Leaves: a `Stream`, its `Peer` and a `SessionHandle` for a gateway's handler.
//! It must never know a protocol's commands, mail or accounts' data.
//! A gateway never sees a socket before its TLS and its PROXY header are done and its address is within the caps.
//! Read first: `listener.rs`.

mod admission;
mod delay;
pub mod limits;
mod listener;
mod network;
mod proxy;
mod registry;
mod sasl;
mod stream;
mod tls;

pub use delay::FailureDelay;
pub use engine_service::Peer;
pub use listener::{ConnectionLimits, ListenerConfig, serve};
pub use network::{Network, NetworkError};
pub use proxy::{ProxyError, read_header as read_proxy_header};
pub use registry::{SessionHandle, SessionInfo, Sessions};
pub use sasl::{SaslPlain, sasl_plain};
pub use stream::Stream;
pub use tls::{Certificates, KeyPair, TlsError, TlsServer};
