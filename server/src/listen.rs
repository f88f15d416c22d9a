//! Certificates and listeners of a node, from its configuration.

use crate::config::Config;
use anyhow::{Context, Result, anyhow};
use engine_service::Mail;
use gateway_imap::ImapConfig;
use gateway_session::{ListenerConfig, Sessions, TlsServer};
use gateway_smtp::LmtpConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Mutual TLS between nodes, if certificates are configured.
pub fn peer_tls(config: &Config) -> Result<Option<raft_transport::TlsConfig>> {
    let cluster = &config.cluster;
    let (Some(authority), Some(certificate), Some(key)) =
        (&cluster.authority, &cluster.certificate, &cluster.key)
    else {
        return Ok(None);
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| anyhow!("{}: {error}", certificate.display()))?;
    let key =
        PrivateKeyDer::from_pem_file(key).map_err(|error| anyhow!("{}: {error}", key.display()))?;
    let mut roots = rustls::RootCertStore::empty();
    let trusted = CertificateDer::from_pem_file(authority)
        .map_err(|error| anyhow!("{}: {error}", authority.display()))?;
    roots
        .add(trusted)
        .context("cluster.authority is not a certificate")?;
    let tls = raft_transport::TlsConfig::new(chain, key, roots)
        .context("the cluster's certificates cannot be used")?;
    Ok(Some(tls))
}

pub async fn bind(addr: SocketAddr, key: &str) -> Result<TcpListener> {
    TcpListener::bind(addr)
        .await
        .with_context(|| format!("cannot listen on {addr} ({key}); is it in use?"))
}

pub async fn open_mail(
    config: &Config,
    sessions: &Sessions,
    mail: &Arc<dyn Mail>,
    stopped: &watch::Receiver<bool>,
    listeners: &mut JoinSet<()>,
) -> Result<()> {
    let tls = match (&config.tls.certificate, &config.tls.key) {
        (Some(certificate), Some(key)) => Some(load_tls(certificate, key)?),
        _ => None,
    };
    let listener_config = |protocol, busy, implicit_tls| {
        let mut listener = ListenerConfig::plain(protocol, busy);
        listener.implicit_tls = implicit_tls;
        listener.tls = tls.clone();
        listener.trusted_networks = config.listen.trusted_networks.clone();
        listener.proxy_protocol = config.listen.proxy_protocol;
        listener
    };
    let imap_config = Arc::new(ImapConfig {
        tls: tls.clone(),
        tls_required: config.tls_required(),
        hostname: config.node.hostname.clone(),
        limits: Default::default(),
    });
    for (addr, implicit_tls, key) in [
        (config.listen.imap, false, "listen.imap"),
        (config.listen.imaps, true, "listen.imaps"),
    ] {
        let Some(addr) = addr else { continue };
        let listener = bind(addr, key).await?;
        let settings = listener_config(
            "imap",
            "* BYE [UNAVAILABLE] too many connections\r\n",
            implicit_tls,
        );
        let (mail, imap, stop) = (mail.clone(), imap_config.clone(), stopped.clone());
        let serving = gateway_session::serve(
            listener,
            settings,
            sessions.clone(),
            stopped.clone(),
            move |stream, peer, session| {
                gateway_imap::serve(
                    stream,
                    peer,
                    session,
                    mail.clone(),
                    imap.clone(),
                    stop.clone(),
                )
            },
        );
        listeners.spawn(async move {
            serving.await;
        });
    }
    if let Some(addr) = config.listen.lmtp {
        let listener = bind(addr, "listen.lmtp").await?;
        let lmtp = Arc::new(LmtpConfig {
            hostname: config.node.hostname.clone(),
            quota_tempfail: config.limits.quota_tempfail,
            tls: tls.clone(),
            limits: Default::default(),
        });
        let settings = listener_config("lmtp", gateway_smtp::BUSY_LINE, false);
        let (mail, stop) = (mail.clone(), stopped.clone());
        let serving = gateway_session::serve(
            listener,
            settings,
            sessions.clone(),
            stopped.clone(),
            move |stream, peer, session| {
                gateway_smtp::serve_lmtp(
                    stream,
                    peer,
                    session,
                    mail.clone(),
                    lmtp.clone(),
                    stop.clone(),
                )
            },
        );
        listeners.spawn(async move {
            serving.await;
        });
    }
    Ok(())
}

fn load_tls(certificate: &Path, key: &Path) -> Result<TlsServer> {
    let read = |path: &Path| {
        std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
    };
    TlsServer::from_pem(&read(certificate)?, &read(key)?)
        .map_err(|error| anyhow!("the certificate cannot be used: {error}"))
}
