//! The first frame in each direction: who we are. A stranger gets the reason and is cut off.

use crate::config::Identity;
use crate::frame::read_bounded;
use crate::limits::{MAX_HANDSHAKE_BYTES, PROTOCOL_HIGHEST, PROTOCOL_LOWEST};
use crate::socket::Socket;
use bytes::BufMut;
use prost::Message;
use raft_api::NodeId;
use std::io;
use tokio::io::AsyncWriteExt;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Hello {
    #[prost(bytes = "vec", tag = "1")]
    pub cluster: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub incarnation: u32,
    #[prost(uint64, tag = "3")]
    pub node: u64,
    #[prost(uint32, tag = "4")]
    pub protocol_lowest: u32,
    #[prost(uint32, tag = "5")]
    pub protocol_highest: u32,
    /// Only in the answer: why the peer is refused. Empty: it is welcome.
    #[prost(string, tag = "6")]
    pub refusal: String,
}

fn hello(own: Identity, refusal: String) -> Hello {
    Hello {
        cluster: own.cluster.to_vec(),
        incarnation: own.incarnation,
        node: own.node.0,
        protocol_lowest: PROTOCOL_LOWEST,
        protocol_highest: PROTOCOL_HIGHEST,
        refusal,
    }
}

/// Why `other` is a stranger, if it is.
pub(crate) fn refusal(own: Identity, other: &Hello) -> Option<String> {
    if other.cluster != own.cluster {
        return Some("it belongs to another cluster".into());
    }
    if other.incarnation != own.incarnation {
        return Some(format!(
            "it is of incarnation {}, and ours is {}",
            other.incarnation, own.incarnation
        ));
    }
    if other.protocol_lowest > PROTOCOL_HIGHEST || other.protocol_highest < PROTOCOL_LOWEST {
        return Some(format!(
            "it speaks protocol {} to {}, and we {PROTOCOL_LOWEST} to {PROTOCOL_HIGHEST}",
            other.protocol_lowest, other.protocol_highest
        ));
    }
    None
}

/// The connecting side. On success the peer is `node`, of our cluster.
pub(crate) async fn greet(socket: &mut Socket, own: Identity, node: NodeId) -> io::Result<()> {
    send(socket, &hello(own, String::new())).await?;
    let answer = receive(socket).await?;
    if !answer.refusal.is_empty() {
        return Err(io::Error::other(format!(
            "it refuses us: {}",
            answer.refusal
        )));
    }
    if let Some(reason) = refusal(own, &answer) {
        return Err(io::Error::other(reason));
    }
    if answer.node != node.0 {
        return Err(io::Error::other(format!("it is node {}", answer.node)));
    }
    Ok(())
}

/// The accepting side: who is there. The cluster's authority decides who belongs to it; who votes is Raft's to know.
pub(crate) async fn welcome(socket: &mut Socket, own: Identity) -> io::Result<NodeId> {
    let other = receive(socket).await?;
    let node = NodeId(other.node);
    let reason = refusal(own, &other).or_else(|| {
        if node == own.node {
            return Some(format!("we are node {node}"));
        }
        (!socket.is_for(node)).then(|| format!("its certificate is not for node {node}"))
    });
    send(socket, &hello(own, reason.clone().unwrap_or_default())).await?;
    match reason {
        None => Ok(node),
        Some(reason) => Err(io::Error::other(reason)),
    }
}

async fn send(socket: &mut Socket, hello: &Hello) -> io::Result<()> {
    let body = hello.encode_to_vec();
    let mut frame = Vec::with_capacity(4 + body.len());
    frame.put_u32(body.len() as u32);
    frame.put_slice(&body);
    socket.stream.write_all(&frame).await?;
    socket.stream.flush().await
}

async fn receive(socket: &mut Socket) -> io::Result<Hello> {
    let frame = read_bounded(&mut socket.stream, MAX_HANDSHAKE_BYTES).await?;
    Hello::decode(frame).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
