//! Refusals in mail words. Each says what the caller may do next.

use thiserror::Error;

/// Why a request was not done. All but `OutcomeUnknown` are true: nothing was changed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// `NONEXISTENT`, or `TRYCREATE` where a target was named.
    #[error("no such mailbox")]
    NoSuchMailbox,
    #[error("the mailbox exists already")]
    MailboxExists,
    /// `OVERQUOTA`, SMTP 552 5.2.2.
    #[error("over quota")]
    OverQuota,
    /// `CANNOT`.
    #[error("not possible: {0}")]
    Cannot(&'static str),
    /// `LIMIT`.
    #[error("a limit is reached: {0}")]
    Limit(&'static str),
    /// `TOOBIG`, SMTP 552 5.3.4.
    #[error("the message is larger than this server takes")]
    TooBig,
    /// A NUL octet: SMTP 550 5.6.0. IMAP literals cannot carry one (RFC 9051 §4.3).
    #[error("the message holds a NUL octet")]
    NulOctet,
    /// `NOPERM`.
    #[error("not allowed")]
    NotAllowed,
    /// Locked, suspended or removed.
    #[error("the account is not available")]
    AccountUnavailable,
    /// `UNAVAILABLE`, 451 4.4.1: a second site or a majority cannot be reached, or the server is too busy.
    #[error("temporarily unavailable: {0}")]
    Unavailable(&'static str),
    /// The change may or may not come to be. IMAP ends the session with `* BYE [UNAVAILABLE] outcome unknown`,
    /// LMTP answers `451 4.4.2 outcome unknown`; never NO, never OK (promise P8).
    #[error("the outcome is unknown")]
    OutcomeUnknown,
    /// `CORRUPTION`: named in health; the operator must act.
    #[error("the stored data cannot be read: {0}")]
    Damaged(String),
    /// `SERVERBUG`, 451 4.3.0: an earlier change met a fault in the mailbox; named in health, the operator must act.
    #[error("the mailbox is in quarantine and takes no changes until the operator has seen to it")]
    Quarantined,
    /// A condition of the request does not hold any more.
    #[error("it was changed meanwhile")]
    Changed,
    #[error("no such account or address")]
    NoSuchAddress,
    #[error("the address is taken")]
    AddressTaken,
    #[error("invalid: {0}")]
    Invalid(String),
}
