//! The network: requests and answers take time, keep their order within a connection, and are lost where a way is cut.
//!
//! NET-1: what a node sent before it died may still arrive; nothing that it sends afterwards does, and nothing reaches it.

use crate::chance::{is_lucky, millis};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use raft_api::NodeId;
use raft_log::faulty_disk::Chance;
use raft_transport::{Carrier, Class, Handler, Letter, TransportError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

/// A connection that was refused, or a cut way on which nothing comes back, is given up after this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// On one way at a time: as many as a link of the real transport has in flight.
const PACKETS_MAX: usize = 4096;

pub struct Net {
    state: Mutex<State>,
}

struct State {
    chance: Chance,
    /// Who can be reached, each with the number of its start.
    nodes: BTreeMap<NodeId, (u64, Arc<dyn Handler>)>,
    starts: u64,
    sites: BTreeMap<NodeId, usize>,
    /// One way: from, to.
    cut: BTreeSet<(NodeId, NodeId)>,
    /// All requests between nodes, on top of the distance.
    slow: Duration,
    ways: BTreeMap<(NodeId, NodeId, Class), mpsc::Sender<Packet>>,
}

struct Packet {
    arrives: Instant,
    start: u64,
    letter: Letter,
    answer: oneshot::Sender<Result<Bytes, String>>,
}

/// One start of one node: it is cut off when the node dies, whatever still runs of it.
pub struct Port {
    net: Arc<Net>,
    node: NodeId,
    start: u64,
}

impl Net {
    pub fn new(chance: Chance, sites: BTreeMap<NodeId, usize>) -> Arc<Net> {
        Arc::new(Net {
            state: Mutex::new(State {
                chance,
                nodes: BTreeMap::new(),
                starts: 0,
                sites,
                cut: BTreeSet::new(),
                slow: Duration::ZERO,
                ways: BTreeMap::new(),
            }),
        })
    }

    pub fn port(self: &Arc<Net>, node: NodeId) -> Arc<Port> {
        let mut state = self.state.lock();
        state.starts += 1;
        Arc::new(Port {
            net: self.clone(),
            node,
            start: state.starts,
        })
    }

    pub fn place(&self, node: NodeId, site: usize) {
        self.state.lock().sites.insert(node, site);
    }

    pub fn cut(&self, from: NodeId, to: NodeId) {
        self.state.lock().cut.insert((from, to));
    }

    pub fn slow_down(&self, by: Duration) {
        self.state.lock().slow = by;
    }

    pub fn heal(&self) {
        let mut state = self.state.lock();
        state.cut.clear();
        state.slow = Duration::ZERO;
    }

    pub fn down(&self, node: NodeId) {
        self.state.lock().nodes.remove(&node);
    }

    fn is_up(&self, node: NodeId, start: u64) -> bool {
        let state = self.state.lock();
        state.nodes.get(&node).is_some_and(|(at, _)| *at == start)
    }

    fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.state.lock().cut.contains(&(from, to))
    }

    fn distance(&self, from: NodeId, to: NodeId) -> Duration {
        let mut state = self.state.lock();
        let far = state.sites.get(&from) != state.sites.get(&to);
        let mut takes = match far {
            true => millis(&mut state.chance, 2, 6),
            false => millis(&mut state.chance, 0, 2),
        };
        // A lost packet is sent again.
        if is_lucky(&mut state.chance, 1) {
            takes += millis(&mut state.chance, 10, 250);
        }
        takes + state.slow
    }

    fn way(self: &Arc<Net>, from: NodeId, to: NodeId, class: Class) -> mpsc::Sender<Packet> {
        let mut state = self.state.lock();
        let way = state.ways.entry((from, to, class)).or_insert_with(|| {
            let (sender, packets) = mpsc::channel(PACKETS_MAX);
            tokio::spawn(carry(Arc::downgrade(self), to, packets));
            sender
        });
        way.clone()
    }
}

/// One after the other, each when it arrives, to whoever is there then.
async fn carry(net: std::sync::Weak<Net>, to: NodeId, mut packets: mpsc::Receiver<Packet>) {
    while let Some(packet) = packets.recv().await {
        sleep_until(packet.arrives).await;
        let Some(net) = net.upgrade() else { return };
        let handler = match net.state.lock().nodes.get(&to) {
            Some((start, handler)) if *start == packet.start => handler.clone(),
            _ => continue,
        };
        tokio::spawn(async move {
            let Letter {
                from,
                shard,
                kind,
                body,
                ..
            } = packet.letter;
            let handled = handler.handle(from, shard, kind, body);
            let _ = packet.answer.send(handled.await);
        });
    }
}

#[async_trait]
impl Carrier for Port {
    fn attach(&self, node: NodeId, handler: Arc<dyn Handler>) {
        let mut state = self.net.state.lock();
        state.nodes.insert(node, (self.start, handler));
    }

    fn detach(&self, node: NodeId) {
        let mut state = self.net.state.lock();
        if state
            .nodes
            .get(&node)
            .is_some_and(|(at, _)| *at == self.start)
        {
            state.nodes.remove(&node);
        }
    }

    async fn carry(&self, letter: Letter, timeout: Duration) -> Result<Bytes, TransportError> {
        let (from, to) = (letter.from, letter.to);
        let net = &self.net;
        let unreachable = |reason: &str| TransportError::Unreachable {
            node: to,
            reason: reason.to_owned(),
        };
        let deadline = Instant::now() + timeout;
        if !net.is_up(self.node, self.start) {
            // A dead node's tasks: nobody sees what they do.
            sleep(timeout).await;
            return Err(unreachable("we are dead"));
        }
        let there = net.state.lock().nodes.get(&to).map(|(start, _)| *start);
        let Some(start) = there else {
            sleep(net.distance(from, to)).await;
            return Err(unreachable("connection refused"));
        };
        if net.is_cut(from, to) {
            sleep_until(deadline.min(Instant::now() + CONNECT_TIMEOUT)).await;
            return Err(unreachable("connecting takes too long"));
        }
        let (answer, answered) = oneshot::channel();
        let packet = Packet {
            arrives: Instant::now() + net.distance(from, to),
            start,
            answer,
            letter,
        };
        let way = net.way(from, to, packet.letter.class);
        if way.try_send(packet).is_err() {
            return Err(TransportError::Busy(to));
        }
        let answer = match timeout_at(deadline, answered).await {
            Err(_) => return Err(TransportError::Timeout(to)),
            Ok(Err(_)) => return Err(TransportError::Closed(to)),
            Ok(Ok(answer)) => answer,
        };
        if !net.is_up(to, start) {
            return Err(TransportError::Closed(to));
        }
        if net.is_cut(to, from) {
            sleep_until(deadline).await;
            return Err(TransportError::Timeout(to));
        }
        sleep(net.distance(to, from)).await;
        if Instant::now() >= deadline {
            return Err(TransportError::Timeout(to));
        }
        if !net.is_up(self.node, self.start) {
            return Err(TransportError::Closed(to));
        }
        answer.map_err(|reason| TransportError::Remote { node: to, reason })
    }
}
