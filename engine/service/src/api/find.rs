//! Search over text: the door's question, and the port behind which whoever wires the node puts an index.

use crate::{BodyHandle, Content, MessageRow};
use engine_domain::read;
use engine_types::{AccountId, EmailId, MailboxName};
use raft_api::ShardId;
use std::ops::Range;

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

/// What was typed, to be ranked: words, `beginnings*`, `"phrases"`. All of them must be in a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RankedQuery {
    pub text: String,
    /// ISO 639-1: in which inflections count as the word itself. Unknown ones are passed over; none: a usual few.
    pub languages: Vec<String>,
    /// Messages that are shown, at most a thousand; all are counted.
    pub limit: usize,
    /// Count labels.
    pub facets: bool,
}

/// Why a message was found: text of its body, and what to highlight, as octets of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snippet {
    pub text: String,
    pub marks: Vec<Range<usize>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RankedEmail {
    pub email: EmailId,
    pub score: f64,
    pub snippet: Snippet,
}

/// What the messages are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FacetKind {
    Mailbox,
    Sender,
    Year,
    HasAttachment,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facet {
    pub kind: FacetKind,
    pub label: String,
    pub messages: usize,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct RankedEmails {
    /// The best first.
    pub best: Vec<RankedEmail>,
    /// All that were found.
    pub count: usize,
    /// By kind, the most frequent labels first.
    pub facets: Vec<Facet>,
    /// Of how many of the best the labels were counted.
    pub faceted: usize,
    /// As in `Found`.
    pub scanned: usize,
    pub unread: usize,
}

/// A message that was found by rank. One that is in several mailboxes is told once, in INBOX if it is there.
#[derive(Clone, Debug, PartialEq)]
pub struct RankedMessage {
    pub mailbox: MailboxName,
    pub row: MessageRow,
    pub score: f64,
    pub snippet: Snippet,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranking {
    /// The best first.
    pub best: Vec<RankedMessage>,
    /// All that were found.
    pub count: usize,
    pub facets: Vec<Facet>,
    /// Of how many of the best the facets were counted.
    pub faceted: usize,
}

/// A bound of the query is broken; the text says which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooMuch(pub String);

/// Search in one account.
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

    /// Those of `messages` that have every word, the best first. Statistics are of `messages` alone. Blocks.
    fn rank(
        &self,
        shard: ShardId,
        account: AccountId,
        query: &RankedQuery,
        messages: &[EmailId],
        contents: &dyn Contents,
    ) -> Result<RankedEmails, TooMuch>;
}

/// What the index does not hold is read from here, and what is shown of a message.
pub trait Contents: Send + Sync {
    /// `None`: it cannot be read.
    fn content(&self, email: EmailId) -> Option<Content>;

    /// What a message is counted by.
    fn labels(&self, _: EmailId) -> Vec<(FacetKind, String)> {
        Vec::new()
    }
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

    fn rank(
        &self,
        _: ShardId,
        _: AccountId,
        _: &RankedQuery,
        _: &[EmailId],
        _: &dyn Contents,
    ) -> Result<RankedEmails, TooMuch> {
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
