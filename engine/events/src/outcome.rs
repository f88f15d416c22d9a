//! What a fold decided: one `Outcome` for a command, one `EventOutcome` for each of its events.
//! Kept per command id, so that a repeated command gets the same answer (promise P8).

use crate::catalogue::UidRanges;
use bytes::Bytes;
use prost::Message;

#[derive(Clone, PartialEq, prost::Message)]
pub struct Outcome {
    #[prost(message, repeated, tag = "1")]
    pub events: Vec<EventOutcome>,
    /// True: the id was known, nothing was applied again.
    #[prost(bool, tag = "2")]
    pub repeated: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct EventOutcome {
    #[prost(oneof = "event_outcome::Result", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub result: Option<event_outcome::Result>,
}

pub mod event_outcome {
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Result {
        #[prost(message, tag = "1")]
        Done(super::Done),
        #[prost(enumeration = "super::Refusal", tag = "2")]
        Refused(i32),
        #[prost(message, tag = "3")]
        Mailbox(super::MailboxMade),
        #[prost(message, tag = "4")]
        Appended(super::Appended),
        #[prost(message, tag = "5")]
        Flags(super::FlagsStored),
        #[prost(message, tag = "6")]
        Copied(super::Copied),
        #[prost(message, tag = "7")]
        Expunged(super::Expunged),
    }
}

/// Applied; nothing more to say.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Done {}

/// A fold's refusal: equal on all replicas. Numbers never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum Refusal {
    /// The event breaks a rule of its type (bad name, empty set …); a correct gateway never sends it.
    Invalid = 0,
    NoSuchAccount = 1,
    /// The shard does not own the account at that epoch.
    WrongShard = 2,
    NoSuchMailbox = 3,
    MailboxExists = 4,
    OverQuota = 5,
    /// INBOX cannot be deleted, and so on.
    NotAllowed = 6,
    /// A bound of `limits.rs`.
    Limit = 7,
    AddressTaken = 8,
    NoSuchAddress = 9,
    /// A condition (`only_if`) does not hold.
    Changed = 10,
    AccountExists = 11,
    /// UIDs of the mailbox are used up.
    UidsExhausted = 12,
    /// An earlier poison event: the mailbox takes no changes until it is repaired.
    Quarantined = 13,
    /// A body names a chunk that is no longer kept, or never was: its sender was away for too long.
    TooOld = 14,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct MailboxMade {
    #[prost(uint64, tag = "1")]
    pub mailbox: u64,
    #[prost(uint32, tag = "2")]
    pub uid_validity: u32,
}

/// APPENDUID (RFC 4315 §3).
#[derive(Clone, PartialEq, prost::Message)]
pub struct Appended {
    #[prost(uint64, tag = "1")]
    pub mailbox: u64,
    #[prost(uint32, tag = "2")]
    pub uid_validity: u32,
    #[prost(uint32, tag = "3")]
    pub uid: u32,
    #[prost(uint64, tag = "4")]
    pub mod_seq: u64,
    #[prost(uint64, tag = "5")]
    pub email: u64,
    /// The mailbox's name at that moment: where a delivery with `or_inbox` went.
    #[prost(string, tag = "6")]
    pub mailbox_name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct FlagsStored {
    /// Those that got new flags, all with `mod_seq`.
    #[prost(message, optional, tag = "1")]
    pub changed: Option<UidRanges>,
    /// Left alone by UNCHANGEDSINCE.
    #[prost(message, optional, tag = "2")]
    pub modified: Option<UidRanges>,
    /// 0 if nothing changed.
    #[prost(uint64, tag = "3")]
    pub mod_seq: u64,
}

/// COPYUID (RFC 4315 §3): `from` and `to` have equally many UIDs, in the same order.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Copied {
    #[prost(uint64, tag = "1")]
    pub mailbox: u64,
    #[prost(uint32, tag = "2")]
    pub uid_validity: u32,
    #[prost(message, optional, tag = "3")]
    pub from: Option<UidRanges>,
    #[prost(message, optional, tag = "4")]
    pub to: Option<UidRanges>,
    #[prost(uint64, tag = "5")]
    pub mod_seq: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Expunged {
    #[prost(message, optional, tag = "1")]
    pub uids: Option<UidRanges>,
    /// 0 if nothing went.
    #[prost(uint64, tag = "2")]
    pub mod_seq: u64,
}

impl Outcome {
    pub fn encode_outcome(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    pub fn decode_outcome(bytes: &[u8]) -> Result<Outcome, prost::DecodeError> {
        Outcome::decode(bytes)
    }
}

impl EventOutcome {
    pub fn done() -> EventOutcome {
        EventOutcome {
            result: Some(event_outcome::Result::Done(Done {})),
        }
    }

    pub fn refused(refusal: Refusal) -> EventOutcome {
        EventOutcome {
            result: Some(event_outcome::Result::Refused(refusal as i32)),
        }
    }

    /// The refusal, if it is one. A missing or unknown result counts as `Invalid`.
    pub fn refusal(&self) -> Option<Refusal> {
        match &self.result {
            None => Some(Refusal::Invalid),
            Some(event_outcome::Result::Refused(code)) => {
                Some(Refusal::try_from(*code).unwrap_or(Refusal::Invalid))
            }
            Some(_) => None,
        }
    }
}
