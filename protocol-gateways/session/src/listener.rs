//! The accept loop: caps, one task per connection, drain at shutdown.

use crate::admission::{admit, send_away};
use crate::limits::{
    ACCEPT_RETRY_WAIT, CONNECTIONS_PER_ADDRESS, CONNECTIONS_TOTAL, DRAIN_WAIT_MAX,
};
use crate::network::Network;
use crate::registry::{Place, SessionHandle, Sessions};
use crate::stream::Stream;
use crate::tls::TlsServer;
use engine_service::Peer;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tracing::{debug, error, warn};

/// Per protocol, over all its listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    pub total: usize,
    /// IPv6: per /64. Trusted networks are spared.
    pub per_address: usize,
}

impl Default for ConnectionLimits {
    fn default() -> ConnectionLimits {
        ConnectionLimits {
            total: CONNECTIONS_TOTAL,
            per_address: CONNECTIONS_PER_ADDRESS,
        }
    }
}

#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// As in `Peer::protocol`; listeners of one protocol share its caps.
    pub protocol: &'static str,
    /// TLS from the first octet; needs `tls`.
    pub implicit_tls: bool,
    pub tls: Option<TlsServer>,
    pub limits: ConnectionLimits,
    /// Spared by the cap per address, and believed with `proxy_protocol`.
    pub trusted_networks: Vec<Network>,
    /// Connections from `trusted_networks` must begin with a PROXY header; from elsewhere none is read.
    pub proxy_protocol: bool,
    /// Said to whom the caps turn away, with its CRLF: `* BYE too many connections`, `421 4.3.2 …`. Not under TLS.
    pub busy_line: &'static str,
}

impl ListenerConfig {
    /// Without TLS, default caps, loopback trusted, no PROXY protocol.
    pub fn plain(protocol: &'static str, busy_line: &'static str) -> ListenerConfig {
        ListenerConfig {
            protocol,
            implicit_tls: false,
            tls: None,
            limits: ConnectionLimits::default(),
            trusted_networks: Network::loopback(),
            proxy_protocol: false,
            busy_line,
        }
    }

    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_networks.iter().any(|n| n.contains(address))
    }
}

/// Accepts until `shutdown` turns true (or its sender is gone), then closes the listener, waits for handlers up to
/// `DRAIN_WAIT_MAX`, and cuts those that are left. Handlers watch `shutdown` themselves and say goodbye.
pub async fn serve<F, Fut>(
    listener: TcpListener,
    config: ListenerConfig,
    registry: Sessions,
    mut shutdown: watch::Receiver<bool>,
    handler: F,
) where
    F: Fn(Stream, Peer, SessionHandle) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    if config.implicit_tls && config.tls.is_none() {
        error!(
            protocol = config.protocol,
            "implicit TLS without a certificate: not listening"
        );
        return;
    }
    let config = Arc::new(config);
    let handler = Arc::new(handler);
    // Bounded by the total: a connection without a place gets no task.
    let mut tasks = JoinSet::new();
    let mut accept_failed = false;
    loop {
        tokio::select! {
            () = stopped(&mut shutdown) => break,
            Some(ended) = tasks.join_next() => report(config.protocol, ended),
            accepted = listener.accept() => match accepted {
                Ok((socket, from)) => {
                    accept_failed = false;
                    let Some(place) = registry.enter(config.protocol, config.limits.total) else {
                        debug!(protocol = config.protocol, address = %from.ip(), "refused: too many connections");
                        send_away(&socket, &config);
                        continue;
                    };
                    let (config, handler) = (config.clone(), handler.clone());
                    tasks.spawn(connection(socket, from, config, place, handler));
                }
                Err(error) => {
                    // Once per row of failures: a flood must not flood the log too.
                    if !std::mem::replace(&mut accept_failed, true) {
                        warn!(protocol = config.protocol, %error, "cannot accept connections");
                    }
                    tokio::time::sleep(ACCEPT_RETRY_WAIT).await;
                }
            },
        }
    }
    drop(listener);
    drain(config.protocol, tasks).await;
}

async fn connection<F, Fut>(
    socket: TcpStream,
    from: SocketAddr,
    config: Arc<ListenerConfig>,
    mut place: Place,
    handler: Arc<F>,
) where
    F: Fn(Stream, Peer, SessionHandle) -> Fut,
    Fut: Future<Output = ()>,
{
    if let Err(error) = socket.set_nodelay(true) {
        debug!(protocol = config.protocol, %error, "the socket is closed already");
        return;
    }
    // Boxed, so that the handshake's state does not stay in the task of an idle session.
    let admitted = Box::pin(admit(socket, from, &config, &mut place)).await;
    drop(config);
    if let Some((stream, handle)) = admitted {
        handler(stream, handle.peer(), handle).await;
    }
}

/// Hides the watch's lock guard, which would keep the accept loop from moving between threads.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}

async fn drain(protocol: &'static str, mut tasks: JoinSet<()>) {
    let all_ended = async {
        while let Some(ended) = tasks.join_next().await {
            report(protocol, ended);
        }
    };
    if tokio::time::timeout(DRAIN_WAIT_MAX, all_ended)
        .await
        .is_err()
    {
        debug!(protocol, left = tasks.len(), "sessions cut at shutdown");
        tasks.shutdown().await;
    }
}

fn report(protocol: &'static str, ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        error!(protocol, %error, "a session's task panicked: this is a defect");
    }
}

#[cfg(test)]
mod tests;
