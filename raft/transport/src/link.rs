//! One peer and class: a connection that is made when it is needed, shared by all requests, and replaced when it ends.

use crate::config::{Identity, TlsConfig};
use crate::frame::{Answer, Request, read_frame, write_frames};
use crate::limits::{
    BACKOFF_FIRST, BACKOFF_LAST, CONNECT_TIMEOUT, MAX_FRAME_BYTES, MAX_IN_FLIGHT, MAX_QUEUED_FRAMES,
};
use crate::peers::stopped;
use crate::socket::{Duplex, Socket};
use crate::{TransportError, handshake};
use bytes::Bytes;
use parking_lot::Mutex;
use raft_api::{NodeInfo, ShardId};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::ReadHalf;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

type Waiting = oneshot::Sender<Result<Bytes, String>>;

pub(crate) struct Link {
    own: Identity,
    peer: NodeInfo,
    tls: Option<TlsConfig>,
    stop: watch::Receiver<bool>,
    state: tokio::sync::Mutex<State>,
    next_id: AtomicU64,
}

#[derive(Default)]
struct State {
    connection: Option<Arc<Connection>>,
    /// After a failed connect: the pause, when it ends, and what went wrong.
    pause: Option<(Duration, Instant, String)>,
}

/// LINK-1: once `waiting` is `None` the connection is over, and nobody waits on it any more.
struct Connection {
    frames: mpsc::Sender<Bytes>,
    waiting: Mutex<Option<HashMap<u64, Waiting>>>,
}

impl Connection {
    fn is_over(&self) -> bool {
        self.waiting.lock().is_none()
    }

    /// Dropping the senders tells all who wait.
    fn end(&self) {
        self.waiting.lock().take();
    }
}

/// Takes the request off the list when its caller has gone.
struct Entry<'a> {
    connection: &'a Connection,
    id: u64,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = self.connection.waiting.lock().as_mut() {
            waiting.remove(&self.id);
        }
    }
}

impl Link {
    pub fn new(
        own: Identity,
        peer: NodeInfo,
        tls: Option<TlsConfig>,
        stop: watch::Receiver<bool>,
    ) -> Link {
        Link {
            own,
            peer,
            tls,
            stop,
            state: tokio::sync::Mutex::default(),
            next_id: AtomicU64::new(1),
        }
    }

    pub async fn request(
        &self,
        shard: ShardId,
        kind: u8,
        body: Bytes,
        limit: Duration,
    ) -> Result<Bytes, TransportError> {
        let node = self.peer.id;
        if body.len() > MAX_FRAME_BYTES {
            return Err(TransportError::TooLarge { bytes: body.len() });
        }
        let deadline = Instant::now() + limit;
        let connection = timeout_at(deadline, self.connection())
            .await
            .map_err(|_| self.unreachable("connecting takes too long".into()))??;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        match connection.waiting.lock().as_mut() {
            None => return Err(self.unreachable("the connection has just ended".into())),
            Some(waiting) if waiting.len() >= MAX_IN_FLIGHT => {
                return Err(TransportError::Busy(node));
            }
            Some(waiting) => waiting.insert(id, sender),
        };
        let _entry = Entry {
            connection: &connection,
            id,
        };
        let frame = Request {
            id,
            kind,
            shard,
            body,
        }
        .encode();
        match timeout_at(deadline, connection.frames.send(frame)).await {
            Err(_) => return Err(TransportError::Busy(node)),
            Ok(Err(_)) => return Err(self.unreachable("the connection has just ended".into())),
            Ok(Ok(())) => {}
        }
        match timeout_at(deadline, answer).await {
            Err(_) => Err(TransportError::Timeout(node)),
            Ok(Err(_)) => Err(TransportError::Closed(node)),
            Ok(Ok(Ok(body))) => Ok(body),
            Ok(Ok(Err(reason))) => Err(TransportError::Remote { node, reason }),
        }
    }

    fn unreachable(&self, reason: String) -> TransportError {
        TransportError::Unreachable {
            node: self.peer.id,
            reason,
        }
    }

    /// The live connection, or a new one. While one caller connects, the others wait for it.
    async fn connection(&self) -> Result<Arc<Connection>, TransportError> {
        let mut state = self.state.lock().await;
        if *self.stop.borrow() {
            return Err(self.unreachable("we are stopping".into()));
        }
        if let Some(connection) = state.connection.as_ref().filter(|live| !live.is_over()) {
            return Ok(connection.clone());
        }
        state.connection = None;
        let pause = match &state.pause {
            Some((_, until, reason)) if Instant::now() < *until => {
                return Err(self.unreachable(reason.clone()));
            }
            Some((pause, ..)) => (*pause * 2).min(BACKOFF_LAST),
            None => BACKOFF_FIRST,
        };
        // A caller that gives up in the middle leaves the pause behind, as a failure would.
        state.pause = Some((pause, Instant::now() + pause, "it did not answer".into()));
        let result = match timeout(CONNECT_TIMEOUT, self.open()).await {
            Ok(result) => result,
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut)),
        };
        match result {
            Ok(socket) => {
                let connection = start(socket, self.stop.clone());
                state.pause = None;
                state.connection = Some(connection.clone());
                Ok(connection)
            }
            Err(error) => {
                let reason = error.to_string();
                tracing::debug!(node = %self.peer.id, reason, "connecting failed");
                state.pause = Some((pause, Instant::now() + pause, reason.clone()));
                Err(self.unreachable(reason))
            }
        }
    }

    async fn open(&self) -> io::Result<Socket> {
        let mut socket =
            Socket::connect(&self.peer.peer_addr, self.peer.id, self.tls.as_ref()).await?;
        handshake::greet(&mut socket, self.own, self.peer.id).await?;
        Ok(socket)
    }
}

fn start(socket: Socket, mut stop: watch::Receiver<bool>) -> Arc<Connection> {
    let (frames, queue) = mpsc::channel(MAX_QUEUED_FRAMES);
    let connection = Arc::new(Connection {
        frames,
        waiting: Mutex::new(Some(HashMap::new())),
    });
    let (reader, writer) = tokio::io::split(socket.stream);
    let task = connection.clone();
    tokio::spawn(async move {
        let reason = tokio::select! {
            result = write_frames(writer, queue) => result,
            result = read_all(reader, &task) => result,
            () = stopped(&mut stop) => Ok(()),
        };
        if let Err(error) = reason {
            tracing::debug!(%error, "a connection to a peer ended");
        }
        task.end();
    });
    connection
}

async fn read_all(
    mut reader: ReadHalf<Box<dyn Duplex>>,
    connection: &Connection,
) -> io::Result<()> {
    loop {
        let answer = Answer::decode(read_frame(&mut reader).await?)?;
        let waiting = connection
            .waiting
            .lock()
            .as_mut()
            .and_then(|waiting| waiting.remove(&answer.id));
        if let Some(waiting) = waiting {
            let _ = waiting.send(answer.result);
        }
    }
}
