//! What can go wrong with a request. The caller needs to know one thing: may the peer have seen it?

use raft_api::NodeId;
use thiserror::Error;

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TransportError {
    /// Nothing was sent.
    #[error("node {node} cannot be reached: {reason}")]
    Unreachable { node: NodeId, reason: String },
    /// Nothing was sent: too many requests wait for answers.
    #[error("too many requests to node {0} are in flight")]
    Busy(NodeId),
    /// Nothing was sent.
    #[error("{bytes} bytes are more than a frame holds")]
    TooLarge { bytes: usize },
    /// The peer may or may not have acted on it.
    #[error("the connection to node {0} ended before the answer")]
    Closed(NodeId),
    /// The peer may or may not have acted on it.
    #[error("node {0} did not answer in time")]
    Timeout(NodeId),
    /// The peer's handler failed; what it had done by then is not known.
    #[error("node {node} answered with an error: {reason}")]
    Remote { node: NodeId, reason: String },
}

impl TransportError {
    /// True if the peer has certainly not seen the request.
    pub fn is_unsent(&self) -> bool {
        matches!(
            self,
            TransportError::Unreachable { .. }
                | TransportError::Busy(_)
                | TransportError::TooLarge { .. }
        )
    }
}
