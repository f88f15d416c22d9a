//! Where clients reach the nodes that there are.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};

pub const PEER_PORT: u16 = 1700;
const IMAP_PORT: u16 = 1143;
const LMTP_PORT: u16 = 1024;
const HTTP_PORT: u16 = 1080;

pub struct Endpoints {
    /// The first three octets.
    network: [u8; 3],
    nodes: Mutex<Vec<u64>>,
}

impl Endpoints {
    pub fn new(network: [u8; 3]) -> Endpoints {
        Endpoints {
            network,
            nodes: Mutex::default(),
        }
    }

    pub fn ip(&self, node: u64) -> Ipv4Addr {
        let [a, b, c] = self.network;
        Ipv4Addr::new(a, b, c, (node % 250) as u8)
    }

    /// The trial itself.
    pub fn hub(&self) -> Ipv4Addr {
        let [a, b, c] = self.network;
        Ipv4Addr::new(a, b, c, 254)
    }

    pub fn imap(&self, node: u64) -> SocketAddr {
        self.at(node, IMAP_PORT)
    }

    pub fn lmtp(&self, node: u64) -> SocketAddr {
        self.at(node, LMTP_PORT)
    }

    pub fn http(&self, node: u64) -> SocketAddr {
        self.at(node, HTTP_PORT)
    }

    pub fn peer(&self, node: u64) -> SocketAddr {
        self.at(node, PEER_PORT)
    }

    fn at(&self, node: u64, port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.ip(node)), port)
    }

    pub fn nodes(&self) -> Vec<u64> {
        self.nodes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub fn add(&self, node: u64) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.push(node);
    }

    pub fn remove(&self, node: u64) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|known| *known != node);
    }
}
