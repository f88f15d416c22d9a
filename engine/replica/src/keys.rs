//! The keys of a shard: all begin with `be_u32(shard)`, then `be_u64(account)`; account 0 is the shard itself.

use raft_api::ShardId;

/// Half open: every key of the shard and none of another's.
pub fn shard_range(shard: ShardId) -> (Vec<u8>, Vec<u8>) {
    let from = shard.0.to_be_bytes().to_vec();
    let to = match shard.0.checked_add(1) {
        Some(next) => next.to_be_bytes().to_vec(),
        // Above every key of the last shard: no account has the highest id.
        None => vec![0xff; 13],
    };
    (from, to)
}

/// The row that holds the applied position and the digest. Tag `P` (0x50) is not one of the fold's.
pub fn position_key(shard: ShardId) -> Vec<u8> {
    own_key(shard, b'P')
}

/// The row that says that a snapshot is being installed: the rows beside it are a part of the old ones, or of the
/// new ones. It holds the snapshot's position. Tag `I` (0x49) is not one of the fold's.
pub fn installing_key(shard: ShardId) -> Vec<u8> {
    own_key(shard, b'I')
}

/// Rows that a replica keeps of itself: neither in the digest nor in a snapshot.
pub fn is_own(shard: ShardId, key: &[u8]) -> bool {
    key == position_key(shard) || key == installing_key(shard)
}

fn own_key(shard: ShardId, tag: u8) -> Vec<u8> {
    let mut key = shard.0.to_be_bytes().to_vec();
    key.extend_from_slice(&0u64.to_be_bytes());
    key.push(tag);
    key
}
