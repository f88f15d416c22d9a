//! Mailbox names: UTF-8, hierarchy by `/`, INBOX in any case (RFC 9051 §5.1).

use crate::limits::{MAILBOX_DEPTH_MAX, MAILBOX_NAME_BYTES_MAX};
use std::fmt;
use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

/// A full mailbox name in NFC. `INBOX` at the top is always upper case. Ordered by its bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(String);

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum MailboxNameError {
    #[error("a mailbox name has 1 to {MAILBOX_NAME_BYTES_MAX} octets")]
    Length,
    #[error("a mailbox name has at most {MAILBOX_DEPTH_MAX} levels")]
    TooDeep,
    #[error("a level of a mailbox name cannot be empty")]
    EmptyLevel,
    #[error("a mailbox name holds no control characters and no % or *")]
    Forbidden,
}

impl MailboxName {
    pub const SEPARATOR: char = '/';

    /// A single trailing separator, which RFC 9051 §6.3.4 allows in CREATE, is dropped.
    pub fn new(text: &str) -> Result<MailboxName, MailboxNameError> {
        let text = text.strip_suffix(Self::SEPARATOR).unwrap_or(text);
        if text.is_empty() || text.len() > MAILBOX_NAME_BYTES_MAX {
            return Err(MailboxNameError::Length);
        }
        if text
            .chars()
            .any(|c| c.is_control() || matches!(c, '%' | '*' | '\u{2028}' | '\u{2029}'))
        {
            return Err(MailboxNameError::Forbidden);
        }
        let mut name: String = text.nfc().collect();
        if name.len() > MAILBOX_NAME_BYTES_MAX {
            return Err(MailboxNameError::Length);
        }
        if name.split(Self::SEPARATOR).count() > MAILBOX_DEPTH_MAX {
            return Err(MailboxNameError::TooDeep);
        }
        if name.split(Self::SEPARATOR).any(str::is_empty) {
            return Err(MailboxNameError::EmptyLevel);
        }
        let top = name.split(Self::SEPARATOR).next().map_or(0, str::len);
        if name[..top].eq_ignore_ascii_case("INBOX") {
            name.replace_range(..top, "INBOX");
        }
        Ok(MailboxName(name))
    }

    pub fn inbox() -> MailboxName {
        MailboxName("INBOX".to_owned())
    }

    pub fn is_inbox(&self) -> bool {
        self.0 == "INBOX"
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn parent(&self) -> Option<MailboxName> {
        self.0
            .rsplit_once(Self::SEPARATOR)
            .map(|(parent, _)| MailboxName(parent.to_owned()))
    }

    /// True if `self` lies below `other`, at any depth.
    pub fn is_below(&self, other: &MailboxName) -> bool {
        self.0
            .strip_prefix(&other.0)
            .is_some_and(|rest| rest.starts_with(Self::SEPARATOR))
    }

    /// `self` with the leading `from` replaced by `to`; `None` if it is neither `from` nor below it.
    pub fn moved(
        &self,
        from: &MailboxName,
        to: &MailboxName,
    ) -> Option<Result<MailboxName, MailboxNameError>> {
        if self == from {
            return Some(Ok(to.clone()));
        }
        self.is_below(from)
            .then(|| MailboxName::new(&format!("{}{}", to.0, &self.0[from.0.len()..])))
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// RFC 6154 §2. The numbers are persisted and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpecialUse {
    Archive = 1,
    Drafts = 2,
    Junk = 3,
    Sent = 4,
    Trash = 5,
    All = 6,
    Flagged = 7,
}

impl SpecialUse {
    pub const EVERY: [SpecialUse; 7] = [
        SpecialUse::Archive,
        SpecialUse::Drafts,
        SpecialUse::Junk,
        SpecialUse::Sent,
        SpecialUse::Trash,
        SpecialUse::All,
        SpecialUse::Flagged,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            SpecialUse::Archive => "\\Archive",
            SpecialUse::Drafts => "\\Drafts",
            SpecialUse::Junk => "\\Junk",
            SpecialUse::Sent => "\\Sent",
            SpecialUse::Trash => "\\Trash",
            SpecialUse::All => "\\All",
            SpecialUse::Flagged => "\\Flagged",
        }
    }

    pub fn from_number(number: u32) -> Option<SpecialUse> {
        SpecialUse::EVERY.into_iter().find(|u| *u as u32 == number)
    }

    pub fn parse(text: &str) -> Option<SpecialUse> {
        SpecialUse::EVERY
            .into_iter()
            .find(|u| u.as_str().eq_ignore_ascii_case(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let shown = MailboxName::new(text).map_or_else(|e| format!("{e:?}"), |n| n.0);
        assert_eq!(shown, expect, "{text:?}");
    }

    #[test]
    fn names() {
        check("inbox", "INBOX");
        check("Inbox/Sub", "INBOX/Sub");
        check("Inboxes", "Inboxes");
        check("Work/", "Work");
        check("a//b", "EmptyLevel");
        check("/a", "EmptyLevel");
        check("", "Length");
        check("/", "Length");
        check("a*", "Forbidden");
        check("a\rb", "Forbidden");
        check("e\u{301}", "\u{e9}");
        check(&"a/".repeat(33), "TooDeep");
        check(&"a".repeat(1_025), "Length");
    }

    #[test]
    fn moved_takes_whole_levels() {
        let name = |t: &str| MailboxName::new(t).unwrap();
        assert_eq!(
            name("a/b/c").moved(&name("a/b"), &name("z")),
            Some(Ok(name("z/c")))
        );
        assert_eq!(name("a/bc").moved(&name("a/b"), &name("z")), None);
    }
}
