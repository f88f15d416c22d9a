//! The one place where a refusal of the service gets its IMAP words (RFC 5530, RFC 3501 §7.1).

use crate::wire::cursor::Malformed;
use engine_service::Refusal;
use std::io;

/// How a command ends.
#[derive(Debug)]
pub enum Ending {
    /// Text of the tagged answer, with its response code.
    Ok(String),
    No(String),
    Bad(String),
    /// Untagged; the connection ends.
    Bye(String),
    /// `OK`, then the connection ends (LOGOUT).
    Logout,
    /// `OK`, then TLS.
    StartTls,
}

/// Why a handler stopped early.
#[derive(Debug)]
pub enum Fail {
    /// What the command works in is missing: `NONEXISTENT`.
    Refused(Refusal),
    /// What the command puts messages into is missing: `TRYCREATE`.
    Target(Refusal),
    Malformed(Malformed),
    No(&'static str),
    /// The operator ends the session, or the server ends: `BYE` with this text.
    Stopped(&'static str),
    /// The connection is gone.
    Io(io::Error),
}

impl From<Refusal> for Fail {
    fn from(refusal: Refusal) -> Fail {
        Fail::Refused(refusal)
    }
}
impl From<Malformed> for Fail {
    fn from(malformed: Malformed) -> Fail {
        Fail::Malformed(malformed)
    }
}
impl From<io::Error> for Fail {
    fn from(error: io::Error) -> Fail {
        Fail::Io(error)
    }
}

/// `Err`: there is nobody to answer.
pub fn ending(fail: Fail) -> io::Result<Ending> {
    Ok(match fail {
        Fail::Io(error) => return Err(error),
        Fail::Malformed(malformed) => Ending::Bad(malformed.to_string()),
        Fail::No(text) => Ending::No(text.to_owned()),
        Fail::Stopped(text) => Ending::Bye(text.to_owned()),
        Fail::Refused(refusal) => words(&refusal, "NONEXISTENT"),
        Fail::Target(refusal) => words(&refusal, "TRYCREATE"),
    })
}

fn words(refusal: &Refusal, missing: &str) -> Ending {
    let code = match refusal {
        // Promise P8: neither NO nor OK would be true.
        Refusal::OutcomeUnknown => return Ending::Bye("[UNAVAILABLE] outcome unknown".to_owned()),
        Refusal::NoSuchMailbox => missing,
        Refusal::MailboxExists | Refusal::AddressTaken => "ALREADYEXISTS",
        Refusal::OverQuota => "OVERQUOTA",
        Refusal::Cannot(_) | Refusal::Invalid(_) | Refusal::NulOctet => "CANNOT",
        Refusal::Limit(_) => "LIMIT",
        Refusal::TooBig => "TOOBIG",
        Refusal::NotAllowed => "NOPERM",
        Refusal::AccountUnavailable | Refusal::Unavailable(_) => "UNAVAILABLE",
        // The operator's text stays out: it names files and frames.
        Refusal::Damaged(_) => {
            return Ending::No("[CORRUPTION] the stored data cannot be read".to_owned());
        }
        Refusal::Quarantined => "SERVERBUG",
        Refusal::Changed => "INUSE",
        Refusal::NoSuchAddress => "NONEXISTENT",
    };
    Ending::No(format!("[{code}] {}", one_line(&refusal.to_string())))
}

/// Text that cannot break a line of the protocol.
pub fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if (' '..='~').contains(&c) { c } else { '?' })
        .take(400)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(fail: Fail, expect: &str) {
        let shown = match ending(fail) {
            Ok(Ending::No(text)) => format!("NO {text}"),
            Ok(Ending::Bye(text)) => format!("BYE {text}"),
            Ok(Ending::Bad(text)) => format!("BAD {text}"),
            other => format!("{other:?}"),
        };
        assert_eq!(shown, expect);
    }

    #[test]
    fn an_unknown_outcome_is_neither_yes_nor_no() {
        let bye = "BYE [UNAVAILABLE] outcome unknown";
        check(Refusal::OutcomeUnknown.into(), bye);
        check(Fail::Target(Refusal::OutcomeUnknown), bye);
    }

    #[test]
    fn refusals() {
        check(
            Refusal::NoSuchMailbox.into(),
            "NO [NONEXISTENT] no such mailbox",
        );
        check(
            Fail::Target(Refusal::NoSuchMailbox),
            "NO [TRYCREATE] no such mailbox",
        );
        check(Refusal::OverQuota.into(), "NO [OVERQUOTA] over quota");
        check(
            Refusal::Invalid("a\r\nb".to_owned()).into(),
            "NO [CANNOT] invalid: a??b",
        );
        check(
            Refusal::Damaged("/secret".to_owned()).into(),
            "NO [CORRUPTION] the stored data cannot be read",
        );
        check(
            Refusal::Quarantined.into(),
            "NO [SERVERBUG] the mailbox is in quarantine and takes no changes until the operator has seen to it",
        );
    }
}
