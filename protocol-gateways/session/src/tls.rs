//! The TLS server: certificates by SNI, replaced without ending sessions.

use crate::limits::HANDSHAKE_WAIT_MAX;
use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A certificate chain (leaf first) and its key, both PEM. `Debug` does not show the key.
#[derive(Clone)]
pub struct KeyPair {
    pub certificate_pem: Vec<u8>,
    pub key_pem: Vec<u8>,
}

/// All certificates of a listener.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// For clients that name no host, or one that `by_name` does not have.
    pub default: KeyPair,
    /// Host name (or `*.domain`, for one label) and its certificate.
    pub by_name: Vec<(String, KeyPair)>,
}

/// The operator must mend a file; what was in force before stays in force.
#[derive(Debug, Error)]
pub enum TlsError {
    #[error("the certificate of {name} cannot be read: {reason}")]
    Certificate { name: String, reason: String },
    #[error("the key of {name} cannot be read: {reason}")]
    Key { name: String, reason: String },
    #[error("certificate and key of {name} do not belong together or cannot be used: {reason}")]
    Pair { name: String, reason: String },
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// Cheap to clone; all clones see a `reload`.
#[derive(Clone)]
pub struct TlsServer {
    keys: Arc<Keys>,
    acceptor: TlsAcceptor,
}

impl TlsServer {
    pub fn new(certificates: &Certificates) -> Result<TlsServer, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let keys = Arc::new(Keys {
            in_force: RwLock::new(KeySet::read(certificates, &provider)?),
            provider: provider.clone(),
        });
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(keys.clone());
        Ok(TlsServer {
            keys,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }

    /// One certificate for every name.
    pub fn from_pem(certificate_pem: &[u8], key_pem: &[u8]) -> Result<TlsServer, TlsError> {
        TlsServer::new(&Certificates {
            default: KeyPair {
                certificate_pem: certificate_pem.to_vec(),
                key_pem: key_pem.to_vec(),
            },
            by_name: Vec::new(),
        })
    }

    /// New handshakes get these; sessions go on. After an error the old ones stay in force, all of them.
    pub fn reload(&self, certificates: &Certificates) -> Result<(), TlsError> {
        let fresh = KeySet::read(certificates, &self.keys.provider)?;
        *self.keys.in_force.write() = fresh;
        Ok(())
    }

    /// The handshake, bounded by `HANDSHAKE_WAIT_MAX`.
    pub async fn accept(&self, socket: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        tokio::time::timeout(HANDSHAKE_WAIT_MAX, self.acceptor.accept(socket))
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no TLS handshake in time"))?
    }
}

struct Keys {
    in_force: RwLock<KeySet>,
    provider: Arc<CryptoProvider>,
}

struct KeySet {
    default: Arc<CertifiedKey>,
    /// By lower-case name; `*.domain` as written.
    by_name: HashMap<String, Arc<CertifiedKey>>,
}

impl KeySet {
    fn read(certificates: &Certificates, provider: &CryptoProvider) -> Result<KeySet, TlsError> {
        let default = certified(&certificates.default, "the default", provider)?;
        let mut by_name = HashMap::with_capacity(certificates.by_name.len());
        for (name, pair) in &certificates.by_name {
            let key = certified(pair, name, provider)?;
            by_name.insert(name.trim_end_matches('.').to_ascii_lowercase(), key);
        }
        Ok(KeySet { default, by_name })
    }

    fn choose(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let by_name = name.and_then(|name| {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let wildcard = || {
                let (_, domain) = name.split_once('.')?;
                self.by_name.get(&format!("*.{domain}"))
            };
            self.by_name.get(&name).or_else(wildcard)
        });
        by_name.unwrap_or(&self.default).clone()
    }
}

fn certified(
    pair: &KeyPair,
    name: &str,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let certificate_error = |reason: String| TlsError::Certificate {
        name: name.to_owned(),
        reason,
    };
    let chain = CertificateDer::pem_slice_iter(&pair.certificate_pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| certificate_error(e.to_string()))?;
    if chain.is_empty() {
        return Err(certificate_error("no certificate in the file".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&pair.key_pem).map_err(|e| TlsError::Key {
        name: name.to_owned(),
        reason: e.to_string(),
    })?;
    let certified = CertifiedKey::from_der(chain, key, provider).map_err(|e| TlsError::Pair {
        name: name.to_owned(),
        reason: e.to_string(),
    })?;
    Ok(Arc::new(certified))
}

impl ResolvesServerCert for Keys {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.in_force.read().choose(hello.server_name()))
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").finish_non_exhaustive()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer").finish_non_exhaustive()
    }
}
