//! A connection from its greeting to its end.

use crate::limits::ImapLimits;
use crate::state::Session;
use crate::state::session::Stop;
use crate::wire::connection::{Connection, Socket};
use engine_service::{Mail, Peer};
use futures_util::future::BoxFuture;
use gateway_session::{SessionHandle, Stream, TlsServer};
use std::io;
use std::sync::Arc;
use tokio::sync::watch;

pub struct ImapConfig {
    /// For STARTTLS. `None`: it is not offered.
    pub tls: Option<TlsServer>,
    /// No password in the clear: LOGINDISABLED until TLS is on.
    pub tls_required: bool,
    pub hostname: String,
    pub limits: ImapLimits,
}

impl Socket for Stream {
    fn is_tls(&self) -> bool {
        Stream::is_tls(self)
    }

    fn tls_name(&self) -> Option<Arc<str>> {
        Stream::tls_name(self)
    }

    fn start_tls(
        self: Box<Self>,
        tls: TlsServer,
    ) -> BoxFuture<'static, io::Result<Box<dyn Socket>>> {
        Box::pin(async move {
            let stream = Stream::start_tls(*self, &tls).await?;
            Ok(Box::new(stream) as Box<dyn Socket>)
        })
    }
}

/// Serves one client until it leaves, is kicked, or the server shuts down.
pub async fn serve(
    stream: Stream,
    peer: Peer,
    session: SessionHandle,
    mail: Arc<dyn Mail>,
    config: Arc<ImapConfig>,
    shutdown: watch::Receiver<bool>,
) {
    let connection = Connection::new(Box::new(stream), config.limits.clone());
    let stop = Stop {
        handle: session,
        shutdown,
    };
    Session::new(connection, mail, peer, config, stop)
        .run()
        .await;
}
