//! What IMAP, LMTP, SMTP and HTTP ask for mail.

use super::acknowledged::{AppendedTo, CopiedTo, Expunged, Receipt, Stored};
use super::find::{RankedQuery, Ranking, TextQuery};
use super::message_bytes::MessageBytes;
use super::refusal::Refusal;
use async_trait::async_trait;
use bytes::Bytes;
use engine_events::Facts;
use engine_types::{
    AccountId, EmailId, Flags, LostModSeqs, MailboxId, MailboxName, ModSeq, SpecialUse, Uid,
    UidSet, UidValidity, UnixMillis,
};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// Who asks, for events, logs and limits. Made once for each connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Names the connection in logs; unique for ever with the node's run.
    pub session: Arc<str>,
    pub address: IpAddr,
    pub tls: Option<Arc<str>>,
    /// `imap`, `lmtp`, `smtp`, `submission` or `http`.
    pub protocol: &'static str,
}

/// A logged-in account. Cheap to clone; holds no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub account: AccountId,
    /// The address that the account was made with, for logs and for NAMESPACE-like answers.
    pub name: Arc<str>,
    pub epoch: u64,
}

/// Why a login failed. `Failed` does not say whether the name or the password was wrong: no oracle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginError {
    Failed,
    /// Right password, but the account may not log in now.
    Locked,
    /// The directory cannot be read now.
    Unavailable,
}

/// How a read stands to what was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Nothing acknowledged before the read began is missing.
    Current,
    /// No majority answered: this copy is as of `as_of` (log time of the last event), newer mail may be missing.
    Stale { as_of: UnixMillis },
}

/// A name in LIST. `id` is `None` for a `\NonExistent` or `\Noselect` parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxEntry {
    pub name: MailboxName,
    pub id: Option<MailboxId>,
    pub special_use: Option<SpecialUse>,
    pub subscribed: bool,
    pub has_children: bool,
}

/// Counters of a mailbox: STATUS and the head of SELECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxStatus {
    pub id: MailboxId,
    pub name: MailboxName,
    pub uid_validity: UidValidity,
    pub uid_next: Uid,
    pub messages: u32,
    pub unseen: u32,
    pub deleted: u32,
    /// Octets of all messages (RFC 8438).
    pub size: u64,
    pub highest_mod_seq: ModSeq,
    pub lost: LostModSeqs,
}

/// A mailbox opened at one moment. `uids` ascend; a session numbers them 1, 2, 3 …
#[derive(Clone, Debug)]
pub struct Opened {
    pub status: MailboxStatus,
    pub uids: Vec<Uid>,
    /// The UID of the first message without `\Seen`.
    pub first_unseen: Option<Uid>,
    /// Keywords in use in this mailbox, for FLAGS and PERMANENTFLAGS; at most 256.
    pub keywords: Vec<String>,
    pub freshness: Freshness,
}

/// A message in a mailbox, without its content.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageRow {
    pub uid: Uid,
    pub email: EmailId,
    pub mod_seq: ModSeq,
    pub flags: Flags,
    pub internal_date: UnixMillis,
    /// Minutes east of UTC, to show INTERNALDATE as it was given.
    pub internal_date_zone: i32,
    /// RFC822.SIZE: trace and message.
    pub size: u64,
    /// When it came into this mailbox (RFC 8514 SAVEDATE).
    pub saved_at: UnixMillis,
    /// Opaque: where its content lives.
    pub body: BodyHandle,
}

/// Names a message's content; only the service opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyHandle {
    pub shard: u32,
    pub log_index: u64,
    pub ordinal: u32,
    /// Octets of the trace before the message.
    pub trace: Bytes,
    /// Octets of the message without trace.
    pub size: u64,
}

/// A message's content. As read by clients it is `trace` followed by the message; offsets in `facts` count from the
/// start of the message, so they are shifted by `trace.len()`.
#[derive(Clone, Debug)]
pub struct Content {
    pub trace: Bytes,
    pub facts: Arc<Facts>,
    pub message: MessageBytes,
}

/// What changed in a mailbox after a MODSEQ.
#[derive(Clone, Debug)]
pub struct Changes {
    pub highest_mod_seq: ModSeq,
    pub uid_next: Uid,
    /// New or changed messages, ascending by UID.
    pub changed: Vec<MessageRow>,
    pub vanished: UidSet,
    /// True: the mailbox was deleted (or replaced under its name): the session must end or deselect.
    pub gone: bool,
}

/// STORE's instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagMode {
    Replace,
    Add,
    Remove,
}

/// A recipient that mail can go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The address as the sender gave it.
    pub as_given: Arc<str>,
    /// Never empty; more than one where the address is a list.
    pub targets: Arc<[Target]>,
}

/// An account that a recipient's mail goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub account: AccountId,
    pub epoch: u64,
    /// The account's address.
    pub name: Arc<str>,
    /// Where `user+folder` or an alias sends it; INBOX if it does not exist.
    pub folder: MailboxName,
}

/// What became of one recipient's mail: a result for each of its targets, in order. The recipient's mail is delivered
/// once all of them are `Ok`; a sender that tries again reaches only those that lack it (while outcomes are kept).
pub type Delivered = Vec<Result<AppendedTo, Refusal>>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientError {
    /// 550 5.1.1
    Unknown,
    /// `postmaster` without a domain, and there is no such address here: 550 5.1.1.
    NoPostmaster,
    /// 550 5.7.1, with the operator's text.
    Refused(String),
    /// 452 4.2.1: deliveries are deferred, or the account is suspended.
    Deferred,
    /// All targets are. 552 5.2.2, or 452 4.2.2 where `quota.tempfail` is set.
    OverQuota,
    /// 451 4.4.1
    Unavailable,
}

/// One message for one or more recipients.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// `MAIL FROM`, without the brackets; empty for a bounce.
    pub sender: String,
    pub recipients: Vec<Recipient>,
    /// The message as it came in, without trace.
    pub message: Bytes,
    /// `LHLO`/`EHLO` name of the peer, for the Received line.
    pub helo: String,
    /// RFC 3848 `with` word: `LMTP`, `LMTPS`, `ESMTPS` …
    pub with: &'static str,
}

#[derive(Clone, Debug)]
pub struct AppendRequest {
    pub mailbox: MailboxName,
    pub flags: Flags,
    /// `None`: now.
    pub internal_date: Option<(UnixMillis, i32)>,
    pub message: Bytes,
    /// Imports may keep a UID; refused below UIDNEXT.
    pub uid: Option<Uid>,
    /// The operator's imports pass quotas by.
    pub check_quota: bool,
}

/// Everything that a gateway may ask. Changes resolve when promise P1 holds for them *and* this node's views show
/// them; reads answer from this node's views at the mark.
#[async_trait]
pub trait Mail: Send + Sync + 'static {
    // ---- who ----
    /// Checks a password. Bounded hashing, cached once verified; the caller adds the delay after a failure.
    async fn login(&self, peer: &Peer, name: &str, password: &str)
    -> Result<Principal, LoginError>;
    /// SASL PLAIN with an authzid other than the authcid: allowed for operators' master accounts only.
    async fn login_as(
        &self,
        peer: &Peer,
        authzid: &str,
        authcid: &str,
        password: &str,
    ) -> Result<Principal, LoginError>;

    // ---- mail in ----
    /// `local@domain`, or `postmaster` alone (RFC 5321 §4.5.1).
    async fn resolve_recipient(&self, address: &str) -> Result<Recipient, RecipientError>;
    /// One result for each recipient, in order. The same bytes are stored once per shard.
    async fn deliver(&self, peer: &Peer, delivery: Delivery) -> Vec<Delivered>;
    async fn append(
        &self,
        peer: &Peer,
        who: &Principal,
        request: AppendRequest,
    ) -> Result<AppendedTo, Refusal>;
    /// This node's clock.
    fn now(&self) -> UnixMillis;
    /// The largest message that is taken, in octets.
    fn message_bytes_max(&self) -> u64;

    /// Those of `uids` (ascending) that the query is true of. What does not exist at this node's position is not found.
    async fn find_text(
        &self,
        who: &Principal,
        mailbox: MailboxId,
        query: TextQuery,
        uids: Vec<Uid>,
    ) -> Result<Vec<Uid>, Refusal>;

    /// What of the mailbox, or of all of them, has every word of the query, the best first.
    async fn rank(
        &self,
        who: &Principal,
        mailbox: Option<MailboxId>,
        query: RankedQuery,
    ) -> Result<Ranking, Refusal>;

    // ---- mailboxes ----
    /// All mailboxes and subscribed names, ordered by name, INBOX first.
    async fn mailboxes(&self, who: &Principal) -> Result<Vec<MailboxEntry>, Refusal>;
    async fn create_mailbox(
        &self,
        peer: &Peer,
        who: &Principal,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Result<(MailboxId, Receipt), Refusal>;
    async fn delete_mailbox(
        &self,
        peer: &Peer,
        who: &Principal,
        name: &MailboxName,
    ) -> Result<Receipt, Refusal>;
    async fn rename_mailbox(
        &self,
        peer: &Peer,
        who: &Principal,
        from: &MailboxName,
        to: &MailboxName,
    ) -> Result<Receipt, Refusal>;
    async fn subscribe(
        &self,
        peer: &Peer,
        who: &Principal,
        name: &MailboxName,
        subscribed: bool,
    ) -> Result<Receipt, Refusal>;
    /// Linearizable where a majority answers.
    async fn status(
        &self,
        who: &Principal,
        name: &MailboxName,
    ) -> Result<(MailboxStatus, Freshness), Refusal>;
    /// Linearizable where a majority answers.
    async fn open_mailbox(&self, who: &Principal, name: &MailboxName) -> Result<Opened, Refusal>;
    /// Waits until this node shows all that was acknowledged before the call (NOOP, CHECK, IDLE's start).
    async fn catch_up(&self, who: &Principal) -> Freshness;
    /// (used, bound) in octets; a bound of `None` means none.
    async fn quota(&self, who: &Principal) -> Result<(u64, Option<u64>), Refusal>;

    // ---- messages: reads from this node's views, no network ----
    /// Rows of the given UIDs that exist, ascending, at most `PAGE_MESSAGES_MAX` per call starting at the lowest.
    fn messages(
        &self,
        who: &Principal,
        mailbox: MailboxId,
        uids: &UidSet,
    ) -> Result<Vec<MessageRow>, Refusal>;
    /// All that happened in the mailbox after `since`.
    fn changes(
        &self,
        who: &Principal,
        mailbox: MailboxId,
        since: ModSeq,
    ) -> Result<Changes, Refusal>;
    /// Reads and decompresses; blocking I/O of a few hundred KiB happens off the async threads.
    async fn content(&self, body: &BodyHandle) -> Result<Content, Refusal>;
    /// The account's highest visible MODSEQ on this node; changes when anything of the account changes.
    fn watch(&self, who: &Principal) -> watch::Receiver<ModSeq>;

    // ---- messages: changes ----
    #[allow(
        clippy::too_many_arguments,
        reason = "each is a part of STORE's own grammar (RFC 9051 §6.4.6)"
    )]
    async fn store_flags(
        &self,
        peer: &Peer,
        who: &Principal,
        mailbox: MailboxId,
        uids: &UidSet,
        mode: FlagMode,
        flags: &Flags,
        unchanged_since: Option<ModSeq>,
    ) -> Result<Stored, Refusal>;
    async fn copy(
        &self,
        peer: &Peer,
        who: &Principal,
        from: MailboxId,
        uids: &UidSet,
        to: &MailboxName,
    ) -> Result<CopiedTo, Refusal>;
    async fn move_messages(
        &self,
        peer: &Peer,
        who: &Principal,
        from: MailboxId,
        uids: &UidSet,
        to: &MailboxName,
    ) -> Result<CopiedTo, Refusal>;
    /// `uids` `None`: all that carry `\Deleted` (EXPUNGE, CLOSE); otherwise only those among them that carry it.
    async fn expunge(
        &self,
        peer: &Peer,
        who: &Principal,
        mailbox: MailboxId,
        uids: Option<&UidSet>,
    ) -> Result<Expunged, Refusal>;
}
