//! The door of this room: requests to peers go out here, and theirs come in through the handler.

use crate::TransportError;
use crate::config::{Carrier, Class, Handler, Identity, Letter, PeersConfig, TlsConfig, Way};
use crate::link::Link;
use crate::serve::{Server, accept_all};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use raft_api::{NodeId, NodeInfo, ShardId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub struct Peers {
    own: Identity,
    tls: Option<TlsConfig>,
    /// PEERS-1: nobody is added once `stop` is true, so that `shutdown` ends every link there is.
    known: RwLock<BTreeMap<NodeId, Known>>,
    stop: watch::Sender<bool>,
    accepting: Mutex<Option<JoinHandle<()>>>,
    /// Instead of links.
    carrier: Option<Arc<dyn Carrier>>,
}

/// A peer that requests can go to.
struct Known {
    peer_addr: String,
    /// By `Class as usize`.
    links: [Arc<Link>; Class::ALL.len()],
    /// Ends this peer's connections; so does dropping it.
    stop: watch::Sender<bool>,
}

impl Peers {
    /// Starts to accept. Connections to peers are made by the first request of each class. Within a tokio runtime.
    pub fn new(config: PeersConfig, handler: Arc<dyn Handler>) -> Arc<Peers> {
        let own = config.identity;
        let (stop, stopped) = watch::channel(false);
        let (accepting, carrier) = match config.way {
            Way::Tcp(listener) => {
                let tls = config.tls.clone();
                let server = Arc::new(Server { own, tls, handler });
                let accepting = tokio::spawn(accept_all(server, listener, stopped));
                (Some(accepting), None)
            }
            Way::Carried(carrier) => {
                carrier.attach(own.node, handler);
                (None, Some(carrier))
            }
        };
        let peers = Peers {
            own,
            tls: config.tls,
            known: RwLock::default(),
            stop,
            accepting: Mutex::new(accepting),
            carrier,
        };
        for peer in config.peers {
            peers.know(peer);
        }
        Arc::new(peers)
    }

    pub fn own(&self) -> NodeId {
        self.own.node
    }

    /// All peers that requests can go to, in order.
    pub fn others(&self) -> Vec<NodeId> {
        self.known.read().keys().copied().collect()
    }

    /// From now on requests can go to this peer. One that is known under another address has moved: connections to
    /// the old one end. Telling what is known already, or of ourselves, changes nothing.
    pub fn know(&self, peer: NodeInfo) {
        let mut known = self.known.write();
        let is_known = known
            .get(&peer.id)
            .is_some_and(|known| known.peer_addr == peer.peer_addr);
        if is_known || peer.id == self.own.node || *self.stop.borrow() {
            return;
        }
        let (stop, stopped) = watch::channel(false);
        let links = Class::ALL.map(|_| {
            let link = Link::new(self.own, peer.clone(), self.tls.clone(), stopped.clone());
            Arc::new(link)
        });
        let moved = known.insert(
            peer.id,
            Known {
                peer_addr: peer.peer_addr,
                links,
                stop,
            },
        );
        if let Some(old) = moved {
            old.stop.send_replace(true);
        }
    }

    /// Ends the connections to a peer; requests to it fail. It may still ask us.
    pub fn forget(&self, node: NodeId) {
        if let Some(old) = self.known.write().remove(&node) {
            old.stop.send_replace(true);
        }
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
        if let Some(carrier) = &self.carrier {
            let letter = Letter {
                from: self.own.node,
                to: node,
                class,
                shard,
                kind,
                body,
            };
            return carrier.carry(letter, timeout).await;
        }
        match self.link(node, class) {
            Some(link) => link.request(shard, kind, body, timeout).await,
            None => Err(TransportError::Unreachable {
                node,
                reason: "its address is not known".into(),
            }),
        }
    }

    fn link(&self, node: NodeId, class: Class) -> Option<Arc<Link>> {
        let known = self.known.read();
        Some(known.get(&node)?.links[class as usize].clone())
    }

    /// Ends all connections and stops accepting; the port is free on return.
    pub async fn shutdown(&self) {
        self.stop.send_replace(true);
        for known in self.known.read().values() {
            known.stop.send_replace(true);
        }
        if let Some(carrier) = &self.carrier {
            carrier.detach(self.own.node);
        }
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
