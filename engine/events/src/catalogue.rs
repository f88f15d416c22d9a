//! Every event, in the order of its number. Numbers and meanings never change; a change of meaning is a new number.

use crate::block::Block;
use bytes::Bytes;

// ---- the control group: 10 to 19 -------------------------------------------------------------------------------

/// A domain is served here, or no longer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DomainSet {
    /// A-labels, lower case.
    #[prost(string, tag = "1")]
    pub domain: String,
    #[prost(bool, tag = "2")]
    pub served: bool,
}

/// An account joins the directory, after its shard has opened it. Its address becomes its first login name.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AccountRegistered {
    #[prost(uint64, tag = "1")]
    pub account: u64,
    /// The shard that holds its mail.
    #[prost(uint32, tag = "2")]
    pub shard: u32,
    #[prost(uint64, tag = "3")]
    pub epoch: u64,
    /// `local@domain`, normalised. Refused if it is taken.
    #[prost(string, tag = "4")]
    pub address: String,
    /// `{SCHEME}text`.
    #[prost(string, tag = "5")]
    pub credential: String,
}

/// Whether the account may log in and receive. Numbers: `domain::AccountState`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AccountStateSet {
    #[prost(uint64, tag = "1")]
    pub account: u64,
    #[prost(uint32, tag = "2")]
    pub state: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct CredentialSet {
    #[prost(uint64, tag = "1")]
    pub account: u64,
    /// `{SCHEME}text`.
    #[prost(string, tag = "2")]
    pub credential: String,
    /// If not empty: refused unless the present credential equals it (a re-hash must not undo a change).
    #[prost(string, tag = "3")]
    pub only_if: String,
}

/// An address and where its mail goes. Replaces what was there.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AddressSet {
    /// Local part in NFC and lower case, or `*` for all others of the domain.
    #[prost(string, tag = "1")]
    pub local: String,
    #[prost(string, tag = "2")]
    pub domain: String,
    #[prost(message, repeated, tag = "3")]
    pub targets: Vec<AddressTarget>,
    /// If not empty, mail is refused with this text (`550`).
    #[prost(string, tag = "4")]
    pub refusal: String,
    /// True if the address is also a name to log in with; it then has one target.
    #[prost(bool, tag = "5")]
    pub login: bool,
    /// True: refuse if the address exists already.
    #[prost(bool, tag = "6")]
    pub only_new: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct AddressTarget {
    #[prost(uint64, tag = "1")]
    pub account: u64,
    /// A mailbox name; empty means INBOX.
    #[prost(string, tag = "2")]
    pub folder: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct AddressRemoved {
    #[prost(string, tag = "1")]
    pub local: String,
    #[prost(string, tag = "2")]
    pub domain: String,
}

/// An account and its addresses leave the directory; its shard closes it afterwards.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AccountForgotten {
    #[prost(uint64, tag = "1")]
    pub account: u64,
}

// ---- an account: 20 to 29 --------------------------------------------------------------------------------------

/// An account begins in this shard, with its first mailboxes. Refused if it exists.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AccountOpened {
    #[prost(message, repeated, tag = "1")]
    pub mailboxes: Vec<MailboxCreated>,
    /// Octets; 0 means no bound.
    #[prost(uint64, tag = "2")]
    pub quota_bytes: u64,
}

/// All of the account's rows go.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AccountClosed {}

#[derive(Clone, PartialEq, prost::Message)]
pub struct QuotaSet {
    /// Octets; 0 means no bound.
    #[prost(uint64, tag = "1")]
    pub quota_bytes: u64,
}

/// CREATE (RFC 9051 §6.3.4). Missing parents are made, as §6.3.4 asks.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MailboxCreated {
    #[prost(string, tag = "1")]
    pub name: String,
    /// `SpecialUse` as a number; 0 for none.
    #[prost(uint32, tag = "2")]
    pub special_use: u32,
    /// From an import; 0: the fold gives one.
    #[prost(uint32, tag = "3")]
    pub uid_validity: u32,
    #[prost(bool, tag = "4")]
    pub subscribed: bool,
}

/// RENAME (RFC 9051 §6.3.6), by name, with all that lies below. From INBOX: its messages move to a new mailbox.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MailboxRenamed {
    #[prost(string, tag = "1")]
    pub from: String,
    #[prost(string, tag = "2")]
    pub to: String,
}

/// DELETE (RFC 9051 §6.3.5). A mailbox with children keeps its name as `\Noselect`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MailboxDeleted {
    #[prost(string, tag = "1")]
    pub name: String,
}

/// SUBSCRIBE and UNSUBSCRIBE (RFC 9051 §6.3.7, §6.3.8): a name, whether it exists or not.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SubscriptionSet {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(bool, tag = "2")]
    pub subscribed: bool,
}

// ---- messages: 30 to 49 ----------------------------------------------------------------------------------------

/// A message's bytes, once for all its copies in this shard. The log entry is their home; views hold references.
#[derive(Clone, PartialEq, prost::Message)]
pub struct BodyStored {
    /// Whole (no chunks): facts and message, see `BodyStored::open`. With chunks: the facts alone.
    #[prost(message, optional, tag = "1")]
    pub block: Option<Block>,
    /// Length of the encoded `Facts` at the head of the block's content.
    #[prost(uint32, tag = "2")]
    pub facts_len: u32,
    /// Octets of the message as it came in.
    #[prost(uint64, tag = "3")]
    pub size: u64,
    /// 128 bits, big endian: XXH3 of the message as it came in.
    #[prost(bytes = "bytes", tag = "4")]
    pub hash: Bytes,
    /// Log indexes of its chunks in this shard, in order.
    #[prost(uint64, repeated, tag = "5")]
    pub chunks: Vec<u64>,
}

/// A piece of a large message, ahead of the entry that names it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct BodyChunkStored {
    #[prost(message, optional, tag = "1")]
    pub block: Option<Block>,
}

/// A message enters a mailbox: delivery, APPEND or import.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MessageAppended {
    /// The mailbox's name.
    #[prost(string, tag = "1")]
    pub mailbox: String,
    /// Deliveries: INBOX takes it if `mailbox` does not exist. Otherwise that is refused (`TRYCREATE`).
    #[prost(bool, tag = "2")]
    pub or_inbox: bool,
    /// The ordinal, in this command, of its `BodyStored`.
    #[prost(uint32, tag = "3")]
    pub body: u32,
    /// What delivery adds before the message: Return-Path, Delivered-To, Received. Empty for APPEND and import.
    #[prost(bytes = "bytes", tag = "4")]
    pub trace: Bytes,
    /// INTERNALDATE in Unix milliseconds; 0: log time.
    #[prost(int64, tag = "5")]
    pub internal_date: i64,
    #[prost(message, optional, tag = "6")]
    pub flags: Option<FlagSet>,
    /// From an import; 0: the fold gives the next one. Refused below UIDNEXT.
    #[prost(uint32, tag = "7")]
    pub uid: u32,
    /// 64-bit hashes of this message's Message-ID, and of those it refers to: keys of its thread.
    #[prost(fixed64, repeated, tag = "8")]
    pub thread_keys: Vec<u64>,
    /// Over quota: true asks for the refusal, false takes the message anyway (imports by the operator).
    #[prost(bool, tag = "9")]
    pub check_quota: bool,
    /// Minute offset of INTERNALDATE's zone, as the client gave it.
    #[prost(sint32, tag = "10")]
    pub internal_date_zone: i32,
    /// Names one delivery to this account (16 bytes), or empty: while its outcome is kept, an event of any command
    /// that bears the same name adds nothing and gets that outcome. A refusal is not kept under it.
    #[prost(bytes = "bytes", tag = "11")]
    pub once: Bytes,
}

/// Flags as bits and keywords; see `convert.rs`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FlagSet {
    /// `SystemFlag` bits.
    #[prost(uint32, tag = "1")]
    pub system: u32,
    #[prost(string, repeated, tag = "2")]
    pub keywords: Vec<String>,
}

/// Inclusive ranges of UIDs, ascending.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UidRanges {
    /// first, last, first, last …
    #[prost(uint32, repeated, tag = "1")]
    pub bounds: Vec<u32>,
}

/// STORE (RFC 9051 §6.4.6, RFC 7162 §3.1.3).
#[derive(Clone, PartialEq, prost::Message)]
pub struct FlagsChanged {
    #[prost(uint64, tag = "1")]
    pub mailbox: u64,
    #[prost(message, optional, tag = "2")]
    pub uids: Option<UidRanges>,
    #[prost(enumeration = "FlagMode", tag = "3")]
    pub mode: i32,
    #[prost(message, optional, tag = "4")]
    pub flags: Option<FlagSet>,
    /// Messages changed after this are left alone and reported; `None`: no condition.
    #[prost(uint64, optional, tag = "5")]
    pub unchanged_since: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum FlagMode {
    Replace = 0,
    Add = 1,
    Remove = 2,
}

/// COPY and MOVE (RFC 9051 §6.4.7, §6.4.8) within one account. UIDs that do not exist are ignored.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MessagesCopied {
    #[prost(uint64, tag = "1")]
    pub from: u64,
    #[prost(message, optional, tag = "2")]
    pub uids: Option<UidRanges>,
    /// The target's name. Refused if it does not exist (`TRYCREATE`).
    #[prost(string, tag = "3")]
    pub to: String,
    /// True for MOVE: the originals are expunged in the same event.
    #[prost(bool, tag = "4")]
    pub remove: bool,
}

/// EXPUNGE, UID EXPUNGE and CLOSE (RFC 9051 §6.4.3, §6.4.9).
#[derive(Clone, PartialEq, prost::Message)]
pub struct MessagesExpunged {
    #[prost(uint64, tag = "1")]
    pub mailbox: u64,
    #[prost(message, optional, tag = "2")]
    pub uids: Option<UidRanges>,
    /// True: only those that carry `\Deleted` when the event is folded.
    #[prost(bool, tag = "3")]
    pub only_deleted: bool,
}

// ---- a shard: 50 to 59 -----------------------------------------------------------------------------------------

/// The shard goes on from what the nodes of one site had. Every number that a client can hold jumps.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct ShardRecovered {
    /// Refused unless it is higher than before.
    #[prost(uint32, tag = "1")]
    pub incarnation: u32,
}
