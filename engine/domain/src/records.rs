//! The rows' values: protobuf, so that a checkpoint is a copy of the range and digests compare across builds.
//! Field numbers never change. All are written by the fold alone.

use bytes::Bytes;
use engine_events::EventOutcome;
use engine_types::{LostModSeqs, ModSeq};

/// A shard's own row.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct ShardRecord {
    /// The greatest stamp so far; only rises.
    #[prost(uint64, tag = "1")]
    pub log_time_ms: u64,
    /// The control group's kept outcomes.
    #[prost(message, optional, tag = "2")]
    pub outcomes: Option<KeptOutcomes>,
    /// Log time of the oldest chunk's row; spares a scan. Without a chunk: none.
    #[prost(uint64, optional, tag = "3")]
    pub oldest_chunk_ms: Option<u64>,
    /// Rows of quarantine; spares a look for each event.
    #[prost(uint32, tag = "4")]
    pub quarantined: u32,
    /// Of the newest recovery from one site; 0: there was none.
    #[prost(uint32, tag = "5")]
    pub incarnation: u32,
}

/// The entry that met a breach. No more: what else could be said differs from build to build.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct QuarantineRecord {
    #[prost(uint64, tag = "1")]
    pub term: u64,
    #[prost(uint64, tag = "2")]
    pub index: u64,
}

/// A piece of a large body came in.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct ChunkRecord {
    /// Log time.
    #[prost(uint64, tag = "1")]
    pub at_ms: u64,
}

/// How many outcomes are kept, and since when; spares a scan for the oldest.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct KeptOutcomes {
    #[prost(uint32, tag = "1")]
    pub count: u32,
    /// Not above the age of the oldest kept one.
    #[prost(uint64, tag = "2")]
    pub oldest_ms: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AccountRecord {
    #[prost(uint64, tag = "1")]
    pub epoch: u64,
    /// 0: no bound.
    #[prost(uint64, tag = "2")]
    pub quota_bytes: u64,
    /// Trace and message of all messages of all mailboxes.
    #[prost(uint64, tag = "3")]
    pub used_bytes: u64,
    /// The last that was given; only rises.
    #[prost(uint64, tag = "4")]
    pub mod_seq: u64,
    /// The last ids that were given; only rise, so none is used twice.
    #[prost(uint64, tag = "5")]
    pub last_mailbox: u64,
    #[prost(uint64, tag = "6")]
    pub last_email: u64,
    /// The greatest UIDVALIDITY given in this account; only rises.
    #[prost(uint32, tag = "7")]
    pub last_uid_validity: u32,
    /// The greatest UIDVALIDITY of a deleted mailbox; only rises. An import may not come back to it (promise P5).
    #[prost(uint32, tag = "8")]
    pub retired_uid_validity: u32,
    #[prost(uint32, tag = "9")]
    pub mailboxes: u32,
    #[prost(uint32, tag = "10")]
    pub subscriptions: u32,
    #[prost(message, optional, tag = "11")]
    pub outcomes: Option<KeptOutcomes>,
}

/// Left behind by `AccountClosed`, so that a repeated `AccountOpened` brings nothing back.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct ClosedRecord {
    #[prost(uint64, tag = "1")]
    pub epoch: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MailboxRecord {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(uint32, tag = "2")]
    pub special_use: u32,
    #[prost(uint32, tag = "3")]
    pub uid_validity: u32,
    /// Only rises (promise P5).
    #[prost(uint32, tag = "4")]
    pub uid_next: u32,
    #[prost(uint32, tag = "5")]
    pub messages: u32,
    #[prost(uint32, tag = "6")]
    pub unseen: u32,
    #[prost(uint32, tag = "7")]
    pub deleted: u32,
    #[prost(uint64, tag = "8")]
    pub size: u64,
    #[prost(uint64, tag = "9")]
    pub highest_mod_seq: u64,
    /// Rows of tombstones.
    #[prost(uint32, tag = "10")]
    pub tombstones: u32,
    /// Tombstones up to this MODSEQ may be gone; only rises.
    #[prost(uint64, tag = "11")]
    pub tombstone_floor: u64,
    /// MODSEQs above this and up to `lost_upto` may have been given by a site that was lost: a client that holds one
    /// has seen what never was here.
    #[prost(uint64, tag = "12")]
    pub lost_after: u64,
    #[prost(uint64, tag = "13")]
    pub lost_upto: u64,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct NameRecord {
    #[prost(uint64, tag = "1")]
    pub id: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MessageRecord {
    #[prost(uint64, tag = "1")]
    pub email: u64,
    #[prost(uint64, tag = "2")]
    pub mod_seq: u64,
    #[prost(uint32, tag = "3")]
    pub system: u32,
    /// Ascending without regard to case.
    #[prost(string, repeated, tag = "4")]
    pub keywords: Vec<String>,
    #[prost(int64, tag = "5")]
    pub internal_date: i64,
    #[prost(sint32, tag = "6")]
    pub zone: i32,
    #[prost(uint64, tag = "7")]
    pub saved_at: u64,
    /// The message, without the trace.
    #[prost(uint64, tag = "8")]
    pub size: u64,
    #[prost(bytes = "bytes", tag = "9")]
    pub trace: Bytes,
    #[prost(uint64, tag = "10")]
    pub body_index: u64,
    #[prost(uint32, tag = "11")]
    pub body_ordinal: u32,
    #[prost(bytes = "bytes", tag = "12")]
    pub hash: Bytes,
    #[prost(fixed64, repeated, tag = "13")]
    pub thread_keys: Vec<u64>,
    /// Log indexes of the body's chunks, as its `BodyStored` has them: a snapshot must bring them too.
    #[prost(uint64, repeated, tag = "14")]
    pub chunks: Vec<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct KeywordRecord {
    /// As first seen in the mailbox.
    #[prost(string, tag = "1")]
    pub spelling: String,
    /// Messages that carry it; a row with 0 does not exist.
    #[prost(uint32, tag = "2")]
    pub messages: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OutcomeRecord {
    #[prost(uint64, tag = "1")]
    pub at_ms: u64,
    #[prost(message, optional, tag = "2")]
    pub outcome: Option<EventOutcome>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct DirectoryRecord {
    #[prost(uint32, tag = "1")]
    pub shard: u32,
    #[prost(uint64, tag = "2")]
    pub epoch: u64,
    #[prost(string, tag = "3")]
    pub address: String,
    #[prost(string, tag = "4")]
    pub credential: String,
    #[prost(uint32, tag = "5")]
    pub state: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AddressRecord {
    #[prost(message, repeated, tag = "1")]
    pub targets: Vec<engine_events::AddressTarget>,
    #[prost(string, tag = "2")]
    pub refusal: String,
    #[prost(bool, tag = "3")]
    pub login: bool,
}

impl MailboxRecord {
    pub fn lost(&self) -> LostModSeqs {
        LostModSeqs {
            after: ModSeq(self.lost_after),
            upto: ModSeq(self.lost_upto),
        }
    }

    /// What can be seen without its messages (MBX-9). Held before each write and after each read.
    pub fn is_sound(&self) -> bool {
        self.unseen <= self.messages
            && self.deleted <= self.messages
            && self.messages < self.uid_next
            && self.uid_validity > 0
            && (self.messages > 0 || self.size == 0)
    }
}

impl MessageRecord {
    /// What it counts in SIZE and quota: RFC822.SIZE.
    pub fn octets(&self) -> u64 {
        self.size + self.trace.len() as u64
    }
}
