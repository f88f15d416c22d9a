//! Who we are, whom we talk to, and who answers.

use crate::TransportError;
use async_trait::async_trait;
use bytes::Bytes;
use raft_api::{NodeId, NodeInfo, ShardId};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Stated at every handshake; a peer of another cluster or incarnation is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub cluster: [u8; 16],
    pub incarnation: u32,
    pub node: NodeId,
}

pub struct PeersConfig {
    pub identity: Identity,
    /// Where peers reach us, and by what way we reach them.
    pub way: Way,
    /// Those known at the start, with or without ourselves; `Peers::know` adds others.
    pub peers: Vec<NodeInfo>,
    /// `None`: plain TCP, for tests and for networks that are sealed by other means.
    pub tls: Option<TlsConfig>,
}

pub enum Way {
    Tcp(TcpListener),
    /// No sockets: for simulations.
    Carried(Arc<dyn Carrier>),
}

impl From<TcpListener> for Way {
    fn from(listener: TcpListener) -> Way {
        Way::Tcp(listener)
    }
}

/// Brings requests to peers' handlers, and their answers back. Keeps the order of requests of one class to one peer.
#[async_trait]
pub trait Carrier: Send + Sync + 'static {
    /// From now on `handler` answers requests to `node`, until `detach`.
    fn attach(&self, node: NodeId, handler: Arc<dyn Handler>);

    fn detach(&self, node: NodeId);

    /// The answer, within `timeout`.
    async fn carry(&self, letter: Letter, timeout: Duration) -> Result<Bytes, TransportError>;
}

/// One request on its way.
pub struct Letter {
    pub from: NodeId,
    pub to: NodeId,
    pub class: Class,
    pub shard: ShardId,
    pub kind: u8,
    pub body: Bytes,
}

/// Each class of messages to a peer has its own connection, so that a long append never delays a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    Heartbeat,
    Append,
    Other,
    /// Snapshots: megabytes that nothing else must wait behind.
    Bulk,
}

impl Class {
    pub(crate) const ALL: [Class; 4] = [Class::Heartbeat, Class::Append, Class::Other, Class::Bulk];
}

/// Answers what peers ask.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// The error's text travels to the peer and ends there in a log.
    async fn handle(
        &self,
        from: NodeId,
        shard: ShardId,
        kind: u8,
        body: Bytes,
    ) -> Result<Bytes, String>;
}

/// Mutual TLS. A node's certificate is valid for the name `node-<id>`; both sides check it.
#[derive(Clone)]
pub struct TlsConfig {
    pub(crate) client: Arc<ClientConfig>,
    pub(crate) server: Arc<ServerConfig>,
}

impl TlsConfig {
    /// `chain` and `key` are this node's, `roots` sign the certificates of all nodes of the cluster.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        roots: RootCertStore,
    ) -> Result<TlsConfig, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let roots = Arc::new(roots);
        let client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots.clone())
            .with_client_auth_cert(chain.clone(), key.clone_key())?;
        let verifier =
            rustls::server::WebPkiClientVerifier::builder_with_provider(roots, provider.clone())
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?;
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)?;
        Ok(TlsConfig {
            client: Arc::new(client),
            server: Arc::new(server),
        })
    }
}

pub(crate) fn certificate_name(node: NodeId) -> String {
    format!("node-{node}")
}
