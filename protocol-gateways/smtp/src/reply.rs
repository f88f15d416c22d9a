//! Replies: `code enhanced text`, without CRLF, in printable ASCII.

use crate::body::Overflow;
use crate::command::SyntaxError;
use crate::limits::REPLY_TEXT_BYTES_MAX;
use engine_service::{AppendedTo, Recipient, RecipientError, Refusal};
use std::borrow::Cow;

pub type Reply = Cow<'static, str>;

pub const OK: &str = "250 2.0.0 OK";
pub const NOT_UTF8: &str = "553 5.6.7 an address in UTF-8 needs SMTPUTF8";
pub const LINE_TOO_LONG: &str = "500 5.5.2 line too long";
pub const BARE_LF: &str = "500 5.5.2 lines end with CR LF";
pub const USE_LHLO: &str = "500 5.5.1 this is LMTP: say LHLO";
pub const LHLO_FIRST: &str = "503 5.5.1 say LHLO first";
pub const NESTED_MAIL: &str = "503 5.5.1 a transaction is open already";
pub const MAIL_FIRST: &str = "503 5.5.1 say MAIL first";
pub const NO_RECIPIENTS: &str = "503 5.5.1 no valid recipients";
pub const CHUNKS_BEGUN: &str = "503 5.5.1 only BDAT or RSET after BDAT";
pub const CHUNKS_FAILED: &str = "503 5.5.1 an earlier BDAT failed: say RSET";
pub const NO_TLS: &str = "502 5.5.1 no TLS here";
pub const TLS_ALREADY: &str = "503 5.5.1 TLS is active already";
pub const GO_TLS: &str = "220 2.0.0 begin TLS";
pub const SEND_DATA: &str = "354 send the message, end with a line of a single dot";
pub const VRFY: &str = "252 2.5.0 cannot verify, but will try to deliver";
pub const BYE: &str = "221 2.0.0 bye";
pub const TOO_MANY_RECIPIENTS: &str =
    "452 4.5.3 too many recipients: send the others in a message of their own";
pub const TOO_MANY_ERRORS: &str = "421 4.7.0 too many errors";
pub const TIMED_OUT: &str = "421 4.4.2 waited too long";
pub const SHUTTING_DOWN: &str = "421 4.3.2 shutting down, try again later";
pub const KICKED: &str = "421 4.3.2 ended by the operator";
/// P8: the sender tries again; the message may then be there twice, but it is never lost.
pub const OUTCOME_UNKNOWN: &str = "451 4.4.2 outcome unknown";
pub const TOO_BIG: &str = "552 5.3.4 the message is larger than this server takes";
const NO_MEMORY: &str = "452 4.3.1 too many large messages at once, try again later";
const NO_SUCH_RECIPIENT: &str = "550 5.1.1 no such recipient";
const NO_POSTMASTER: &str = "550 5.1.1 this server has no postmaster address: name a domain";
const DEFERRED: &str = "452 4.2.1 the mailbox takes no mail now, try again later";

pub fn syntax(error: SyntaxError) -> &'static str {
    match error {
        SyntaxError::NotText => "500 5.5.2 not a line of text",
        SyntaxError::Unknown => "500 5.5.1 command not recognised",
        SyntaxError::Arguments => "501 5.5.4 wrong arguments",
        SyntaxError::SenderPath => "501 5.1.7 the sender is not <address>",
        SyntaxError::RecipientPath => "501 5.1.3 the recipient is not <address>",
        SyntaxError::Parameter => "555 5.5.4 parameter not supported",
        SyntaxError::ParameterValue => "501 5.5.4 wrong value of a parameter",
        SyntaxError::BadChunk => "501 5.5.4 BDAT needs a size",
    }
}

pub fn overflow(overflow: Overflow) -> &'static str {
    match overflow {
        Overflow::TooBig => TOO_BIG,
        Overflow::NoMemory => NO_MEMORY,
    }
}

pub fn recipient(error: &RecipientError, quota_tempfail: bool) -> Reply {
    match error {
        RecipientError::Unknown => NO_SUCH_RECIPIENT.into(),
        RecipientError::NoPostmaster => NO_POSTMASTER.into(),
        RecipientError::Refused(text) => format!("550 5.7.1 {}", printable(text)).into(),
        RecipientError::Deferred => DEFERRED.into(),
        RecipientError::OverQuota => over_quota(quota_tempfail).into(),
        RecipientError::Unavailable => "451 4.4.1 the directory is not available".into(),
    }
}

/// The one reply for a recipient: 250 only if all of its targets have the message. Otherwise a temporary answer comes
/// before a final one: the sender's next try brings the message to those that lack it, and only to them.
pub fn outcome(
    recipient: &Recipient,
    results: &[Result<AppendedTo, Refusal>],
    quota_tempfail: bool,
) -> Reply {
    if results.len() != recipient.targets.len() {
        return OUTCOME_UNKNOWN.into();
    }
    let refusals = results.iter().filter_map(|result| result.as_ref().err());
    let mut refused: Vec<Reply> = refusals.map(|r| refusal(r, quota_tempfail)).collect();
    let temporary = refused.iter().position(|reply| reply.starts_with('4'));
    if !refused.is_empty() {
        return refused.swap_remove(temporary.unwrap_or(0));
    }
    match results {
        [Ok(to), others @ ..] => delivered(to, others.len()),
        _ => OUTCOME_UNKNOWN.into(),
    }
}

/// `250 2.0.0 <receipt> sites=a,b stored in FOLDER`, and how many others have it.
fn delivered(to: &AppendedTo, others: usize) -> Reply {
    let more = match others {
        0 => String::new(),
        1 => " and for 1 other account".to_owned(),
        many => format!(" and for {many} other accounts"),
    };
    let text = format!("{} stored in {}", to.receipt, to.mailbox_name);
    format!("250 2.0.0 {}{more}", printable(&text)).into()
}

pub fn refusal(refusal: &Refusal, quota_tempfail: bool) -> Reply {
    match refusal {
        Refusal::OverQuota => over_quota(quota_tempfail).into(),
        Refusal::TooBig => TOO_BIG.into(),
        Refusal::NulOctet => "550 5.6.0 the message holds a NUL octet".into(),
        Refusal::Unavailable(why) => {
            format!("451 4.4.1 temporarily unavailable: {}", printable(why)).into()
        }
        Refusal::OutcomeUnknown => OUTCOME_UNKNOWN.into(),
        // What exactly is damaged is the operator's business: it is in health and in the log.
        Refusal::Damaged(_) => "451 4.3.0 stored data cannot be read".into(),
        Refusal::Quarantined => {
            "451 4.3.0 the mailbox takes no messages until it is repaired".into()
        }
        Refusal::AccountUnavailable => DEFERRED.into(),
        Refusal::NoSuchAddress => NO_SUCH_RECIPIENT.into(),
        Refusal::NotAllowed => "550 5.7.1 not allowed".into(),
        Refusal::Limit(what) => format!("452 4.3.1 a limit is reached: {}", printable(what)).into(),
        // Only a race with the owner's own changes: the next attempt meets a settled account.
        Refusal::NoSuchMailbox | Refusal::Changed => {
            "451 4.3.0 the mailbox was changed meanwhile, try again".into()
        }
        Refusal::MailboxExists
        | Refusal::Cannot(_)
        | Refusal::AddressTaken
        | Refusal::Invalid(_) => "554 5.3.0 the message cannot be stored".into(),
    }
}

fn over_quota(tempfail: bool) -> &'static str {
    if tempfail {
        "452 4.2.2 the mailbox is over quota"
    } else {
        "552 5.2.2 the mailbox is over quota"
    }
}

/// One line of ASCII, bounded: other characters are escaped, since only an SMTPUTF8 client could read them
/// (RFC 6531 §3.7.4.2).
fn printable(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c == ' ' || c.is_ascii_graphic() {
            out.push(c);
        } else {
            out.extend(c.escape_unicode());
        }
        if out.len() > REPLY_TEXT_BYTES_MAX {
            out.truncate(REPLY_TEXT_BYTES_MAX);
            break;
        }
    }
    out
}
