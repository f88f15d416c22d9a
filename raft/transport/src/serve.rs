//! The accepting side: handshake, then each request in a task of its own, answers in the order they are ready.

use crate::config::{Handler, Identity, TlsConfig};
use crate::frame::{Answer, Request, read_frame, write_frames};
use crate::handshake;
use crate::limits::{
    BACKOFF_FIRST, HANDSHAKE_TIMEOUT, MAX_ACCEPTED, MAX_FRAME_BYTES, MAX_HANDLED, MAX_QUEUED_FRAMES,
};
use crate::peers::stopped;
use crate::socket::Socket;
use bytes::Bytes;
use futures_util::FutureExt;
use std::io;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{JoinSet, unconstrained};

pub(crate) struct Server {
    pub own: Identity,
    pub tls: Option<TlsConfig>,
    pub handler: Arc<dyn Handler>,
}

/// Ends with all its connections when told to stop.
pub(crate) async fn accept_all(
    server: Arc<Server>,
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MAX_ACCEPTED => match accepted {
                Ok((tcp, from)) => {
                    let server = server.clone();
                    connections.spawn(async move {
                        if let Err(error) = server.serve(tcp).await {
                            tracing::debug!(%from, %error, "a peer's connection ended");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "accepting a peer failed");
                    // Mostly out of file descriptors: trying on at once would only burn a core.
                    tokio::time::sleep(BACKOFF_FIRST).await;
                }
            },
        }
    }
}

impl Server {
    async fn serve(&self, tcp: TcpStream) -> io::Result<()> {
        let greeted = tokio::time::timeout(HANDSHAKE_TIMEOUT, async {
            let mut socket = Socket::accept(tcp, self.tls.as_ref()).await?;
            let node = handshake::welcome(&mut socket, self.own).await?;
            Ok::<_, io::Error>((socket, node))
        });
        let (socket, from) = greeted
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let (mut reader, writer) = tokio::io::split(socket.stream);
        let (answers, queue) = mpsc::channel::<Bytes>(MAX_QUEUED_FRAMES);
        let slots = Arc::new(Semaphore::new(MAX_HANDLED));
        let read = async {
            // Dropped with the connection: what is being handled then ends without an answer.
            let mut handled = JoinSet::new();
            loop {
                let request = Request::decode(read_frame(&mut reader).await?)?;
                let slot = slots
                    .clone()
                    .acquire_owned()
                    .await
                    .map_err(io::Error::other)?;
                while handled.try_join_next().is_some() {}
                let (handler, answers) = (self.handler.clone(), answers.clone());
                let mut handling = Box::pin(async move {
                    let _slot = slot;
                    let id = request.id;
                    let result = handler
                        .handle(from, request.shard, request.kind, request.body)
                        .await;
                    let result = match result {
                        Ok(body) if body.len() > MAX_FRAME_BYTES => {
                            Err("the answer is too large".to_owned())
                        }
                        other => other,
                    };
                    let _ = answers.send(Answer { id, result }.encode()).await;
                });
                // The first step here, in the order of the requests: appends reach consensus as they were sent.
                if unconstrained(&mut handling).now_or_never().is_none() {
                    handled.spawn(handling);
                }
            }
        };
        tokio::select! {
            result = write_frames(writer, queue) => result,
            result = read => result,
        }
    }
}
