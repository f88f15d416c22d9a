//! A stream, plain or TLS, in two halves.

use crate::config::{TlsConfig, certificate_name};
use raft_api::NodeId;
use rustls::client::verify_server_name;
use rustls::server::ParsedCertificate;
use rustls_pki_types::{CertificateDer, ServerName};
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

pub(crate) struct Socket {
    pub stream: Box<dyn Duplex>,
    /// The peer's own certificate; `None` without TLS.
    certificate: Option<CertificateDer<'static>>,
}

impl Socket {
    pub async fn connect(addr: &str, node: NodeId, tls: Option<&TlsConfig>) -> io::Result<Socket> {
        let tcp = TcpStream::connect(addr).await?;
        tcp.set_nodelay(true)?;
        let Some(tls) = tls else {
            return Ok(Socket {
                stream: Box::new(tcp),
                certificate: None,
            });
        };
        let name = server_name(node)?;
        let stream = TlsConnector::from(tls.client.clone())
            .connect(name, tcp)
            .await?;
        // rustls has checked the name.
        Ok(Socket {
            stream: Box::new(stream),
            certificate: None,
        })
    }

    pub async fn accept(tcp: TcpStream, tls: Option<&TlsConfig>) -> io::Result<Socket> {
        tcp.set_nodelay(true)?;
        let Some(tls) = tls else {
            return Ok(Socket {
                stream: Box::new(tcp),
                certificate: None,
            });
        };
        let stream = TlsAcceptor::from(tls.server.clone()).accept(tcp).await?;
        let certificate = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(|chain| chain.first())
            .map(|certificate| certificate.clone().into_owned())
            .ok_or_else(|| io::Error::other("the peer showed no certificate"))?;
        Ok(Socket {
            stream: Box::new(stream),
            certificate: Some(certificate),
        })
    }

    /// True if the peer's certificate, where there is one, is valid for `node`.
    pub fn is_for(&self, node: NodeId) -> bool {
        let Some(certificate) = &self.certificate else {
            return true;
        };
        let Ok(name) = server_name(node) else {
            return false;
        };
        ParsedCertificate::try_from(certificate)
            .is_ok_and(|parsed| verify_server_name(&parsed, &name).is_ok())
    }
}

fn server_name(node: NodeId) -> io::Result<ServerName<'static>> {
    ServerName::try_from(certificate_name(node)).map_err(io::Error::other)
}
