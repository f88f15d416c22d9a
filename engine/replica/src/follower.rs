//! Who is told of messages beside the rows: search.

use engine_domain::read::MessageMoved;
use raft_api::{LogId, ShardId};

/// Told what came into mailboxes and left them, after it is written and in the order of the log. It must not block: the
/// fold waits.
pub trait Follower: Send + Sync {
    fn moved(&self, shard: ShardId, at: LogId, moved: Vec<MessageMoved>);
    /// All rows were replaced by a snapshot's.
    fn replaced(&self, shard: ShardId, at: LogId);
}
