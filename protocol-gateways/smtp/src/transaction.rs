//! One message on its way in: sender, recipients, chunks. RFC 5321 §4.1.4 has the order of commands.

use crate::body::Body;
use crate::command::MailFrom;
use crate::limits::TARGETS_MAX;
use engine_service::Recipient;

pub struct Transaction {
    pub sender: String,
    pub smtputf8: bool,
    /// Accepted ones, in order: each gets a reply after the data.
    pub recipients: Vec<Recipient>,
    pub chunks: Chunks,
}

/// BDAT's progress (RFC 3030).
pub enum Chunks {
    None,
    Begun(Body),
    /// A chunk was refused: the others are thrown away until RSET.
    Failed,
}

impl Transaction {
    pub fn new(mail: MailFrom) -> Transaction {
        Transaction {
            sender: mail.sender,
            smtputf8: mail.smtputf8,
            recipients: Vec::new(),
            chunks: Chunks::None,
        }
    }

    /// A first recipient always has: see `TARGETS_MAX`.
    pub fn has_room(&self, more: &Recipient) -> bool {
        let taken: usize = self.recipients.iter().map(|r| r.targets.len()).sum();
        taken == 0 || taken + more.targets.len() <= TARGETS_MAX
    }
}
