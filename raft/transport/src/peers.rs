//! The door of this room: requests to peers go out here, and theirs come in through the handler.

use crate::TransportError;
use crate::config::{Class, Handler, PeersConfig};
use crate::link::Link;
use crate::serve::{Server, accept_all};
use bytes::Bytes;
use parking_lot::Mutex;
use raft_api::{NodeId, ShardId};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub struct Peers {
    own: NodeId,
    links: HashMap<(NodeId, Class), Link>,
    stop: watch::Sender<bool>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

impl Peers {
    /// Starts to accept. Connections to peers are made by the first request of each class. Within a tokio runtime.
    pub fn new(config: PeersConfig, handler: Arc<dyn Handler>) -> Arc<Peers> {
        let own = config.identity;
        let (stop, stopped) = watch::channel(false);
        let others = || config.peers.iter().filter(|peer| peer.id != own.node);
        let links = others()
            .flat_map(|peer| Class::ALL.map(|class| (peer, class)))
            .map(|(peer, class)| {
                let link = Link::new(own, peer.clone(), config.tls.clone(), stopped.clone());
                ((peer.id, class), link)
            })
            .collect();
        let server = Server {
            own,
            members: others().map(|peer| peer.id).collect(),
            tls: config.tls.clone(),
            handler,
        };
        let accepting = tokio::spawn(accept_all(Arc::new(server), config.listener, stopped));
        Arc::new(Peers {
            own: own.node,
            links,
            stop,
            accepting: Mutex::new(Some(accepting)),
        })
    }

    pub fn own(&self) -> NodeId {
        self.own
    }

    /// All members but ourselves, in order.
    pub fn others(&self) -> Vec<NodeId> {
        let mut others: Vec<NodeId> = self.links.keys().map(|(node, _)| *node).collect();
        others.sort_unstable();
        others.dedup();
        others
    }

    /// Sends one request and waits for its answer, at most `timeout`. Dropping the future gives the answer up.
    pub async fn request(
        &self,
        node: NodeId,
        class: Class,
        shard: ShardId,
        kind: u8,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, TransportError> {
        match self.links.get(&(node, class)) {
            Some(link) => link.request(shard, kind, body, timeout).await,
            None => Err(TransportError::Unreachable {
                node,
                reason: "it is not a member".into(),
            }),
        }
    }

    /// Ends all connections and stops accepting; the port is free on return.
    pub async fn shutdown(&self) {
        self.stop.send_replace(true);
        let accepting = self.accepting.lock().take();
        if let Some(accepting) = accepting {
            let _ = accepting.await;
        }
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// Resolves once we stop.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that `Peers` is gone: the same.
    let _ = stop.wait_for(|stop| *stop).await;
}
