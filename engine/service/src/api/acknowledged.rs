//! What a change that is acknowledged answers with.

use engine_types::{MailboxId, MailboxName, ModSeq, Uid, UidSet, UidValidity};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub changed: UidSet,
    /// Left alone by UNCHANGEDSINCE.
    pub modified: UidSet,
    /// `None` if nothing changed.
    pub mod_seq: Option<ModSeq>,
    pub receipt: Receipt,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expunged {
    pub uids: UidSet,
    pub receipt: Receipt,
}

/// Where a change stands in the log, and which sites had it on stable storage when it was acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// `<cluster.incarnation:shard:term:log_index>`
    pub id: String,
    /// Ascending, with commas.
    pub sites: String,
}

impl std::fmt::Display for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} sites={}", self.id, self.sites)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendedTo {
    pub mailbox: MailboxId,
    pub mailbox_name: MailboxName,
    pub uid_validity: UidValidity,
    pub uid: Uid,
    pub receipt: Receipt,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedTo {
    pub mailbox: MailboxId,
    pub uid_validity: UidValidity,
    /// Pairs (source, target), ascending by source.
    pub uids: Vec<(Uid, Uid)>,
    pub receipt: Receipt,
}
