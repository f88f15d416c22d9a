//! Search over text: the door's question, and the port behind which whoever wires the node puts an index.

use crate::{BodyHandle, Content};
use engine_domain::read;
use engine_types::{AccountId, EmailId};
use raft_api::ShardId;

/// SEARCH's keys that look into text (RFC 9051 §6.4.4). Needles are decoded, and not folded yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextQuery {
    And(Vec<TextQuery>),
    Or(Vec<TextQuery>),
    Not(Box<TextQuery>),
    /// Anywhere.
    Text(String),
    Body(String),
    /// FROM, TO, CC, BCC and SUBJECT too, under the fields' own names. An empty value: the field is there.
    Header {
        name: String,
        value: String,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Ascending.
    pub emails: Vec<EmailId>,
    /// Messages that were read and looked through, since the index did not hold them.
    pub scanned: usize,
    /// Messages that could not be read, and so were not found.
    pub unread: usize,
}

/// A bound of the query is broken; the text says which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooMuch(pub String);

/// Exact search in one account.
pub trait Finder: Send + Sync {
    /// Those of `messages` (ascending, each once) that the query is true of: just those that a look into every one of them
    /// would find, whatever the index holds. Blocks.
    fn find(
        &self,
        shard: ShardId,
        account: AccountId,
        query: &TextQuery,
        messages: &[EmailId],
        contents: &dyn Contents,
    ) -> Result<Found, TooMuch>;
}

/// What the index does not hold is read from here.
pub trait Contents: Send + Sync {
    /// `None`: it cannot be read.
    fn content(&self, email: EmailId) -> Option<Content>;
}

/// The node has no search: what only looks at flags, dates and sizes still works.
pub struct NoFinder;

impl Finder for NoFinder {
    fn find(
        &self,
        _: ShardId,
        _: AccountId,
        _: &TextQuery,
        _: &[EmailId],
        _: &dyn Contents,
    ) -> Result<Found, TooMuch> {
        Err(TooMuch("this node does not search in text".to_owned()))
    }
}

impl BodyHandle {
    /// Of a message's row in a shard.
    pub fn of(shard: ShardId, row: &read::MessageRow) -> BodyHandle {
        BodyHandle {
            shard: shard.0,
            log_index: row.body.index,
            ordinal: row.body.ordinal,
            trace: row.trace.clone(),
            size: row.size,
        }
    }
}
