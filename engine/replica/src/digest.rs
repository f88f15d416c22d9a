//! One number for all rows of a shard: the sum modulo 2^128 of row hashes. Order does not matter, so that it can be
//! kept while rows come and go, and any two replicas at one position must agree (promise P6).

use raft_api::LogId;
use xxhash_rust::xxh3::Xxh3;

/// Equal positions with unequal values: one of the replicas is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    pub position: Option<LogId>,
    /// Big endian.
    pub value: [u8; 16],
}

/// The length goes first, so that no octet can move between key and value unseen.
pub fn row_hash(key: &[u8], value: &[u8]) -> u128 {
    let mut hash = Xxh3::new();
    hash.update(&(key.len() as u64).to_le_bytes());
    hash.update(key);
    hash.update(value);
    hash.digest128()
}
