//! From an accepted socket to a session: PROXY header, caps, TLS, in this order.

use crate::limits::HANDSHAKE_WAIT_MAX;
use crate::listener::ListenerConfig;
use crate::proxy;
use crate::registry::{Place, SessionHandle};
use crate::stream::Stream;
use std::net::{IpAddr, SocketAddr};
use tokio::net::TcpStream;
use tracing::debug;

/// `None`: the peer was sent away, and the log says why.
pub(crate) async fn admit(
    mut socket: TcpStream,
    from: SocketAddr,
    config: &ListenerConfig,
    place: &mut Place,
) -> Option<(Stream, SessionHandle)> {
    let socket_address = from.ip().to_canonical();
    let address = peer_address(&mut socket, socket_address, config).await?;
    if !config.trusts(address) && !place.count_address(address, config.limits.per_address) {
        debug!(protocol = config.protocol, %address, "refused: too many connections of this address");
        send_away(&socket, config);
        return None;
    }
    let stream = match (&config.tls, config.implicit_tls) {
        (_, false) => Stream::Plain(socket),
        (Some(tls), true) => match tls.accept(socket).await {
            Ok(tls) => Stream::Tls(Box::new(tls)),
            Err(error) => {
                debug!(protocol = config.protocol, %address, %error, "TLS handshake failed");
                return None;
            }
        },
        // `serve` refuses such a configuration at its start.
        (None, true) => return None,
    };
    let handle = place.begin(address, stream.tls_name());
    Some((stream, handle))
}

async fn peer_address(
    socket: &mut TcpStream,
    own: IpAddr,
    config: &ListenerConfig,
) -> Option<IpAddr> {
    if !config.proxy_protocol || !config.trusts(own) {
        return Some(own);
    }
    match tokio::time::timeout(HANDSHAKE_WAIT_MAX, proxy::read_header(socket)).await {
        Ok(Ok(address)) => Some(address.unwrap_or(own)),
        Ok(Err(error)) => {
            debug!(protocol = config.protocol, address = %own, %error, "no PROXY header");
            None
        }
        Err(_) => {
            debug!(protocol = config.protocol, address = %own, "no PROXY header in time");
            None
        }
    }
}

/// The busy line fits the empty send buffer of a new socket; if not, closing says it too. Never waits.
pub(crate) fn send_away(socket: &TcpStream, config: &ListenerConfig) {
    if !config.implicit_tls {
        let _ = socket.try_write(config.busy_line.as_bytes());
    }
}
