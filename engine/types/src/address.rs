//! Mail addresses: domains match as A-labels in lower case, local parts in NFC and lower case.

use crate::limits::{DOMAIN_BYTES_MAX, LOCAL_PART_BYTES_MAX};
use std::fmt;
use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

/// A domain in lower case: what is compared and stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(String);

/// An address in the form that is compared. The spelling as given is kept by whoever needs it (traces, logs).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    local: String,
    domain: Domain,
}

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AddressError {
    #[error("an address is local-part@domain")]
    NoAt,
    #[error("the local part has 1 to {LOCAL_PART_BYTES_MAX} octets without control characters")]
    LocalPart,
    #[error("{0:?} is not a domain name")]
    Domain(String),
}

impl Domain {
    /// Letters, digits, hyphens and dots; labels of 1 to 63 octets (RFC 1035 §2.3.4). U-labels are refused:
    /// the caller converts them first.
    pub fn new(text: &str) -> Result<Domain, AddressError> {
        let lower = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let label_ok = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if lower.len() > DOMAIN_BYTES_MAX || !lower.split('.').all(label_ok) {
            return Err(AddressError::Domain(text.to_owned()));
        }
        Ok(Domain(lower))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Address {
    pub fn new(local: &str, domain: &str) -> Result<Address, AddressError> {
        // Lower case can leave what is not composed ("İ"), so it comes first.
        let local: String = local.to_lowercase().nfc().collect();
        if local.is_empty()
            || local.len() > LOCAL_PART_BYTES_MAX
            || local.chars().any(char::is_control)
        {
            return Err(AddressError::LocalPart);
        }
        Ok(Address {
            local,
            domain: Domain::new(domain)?,
        })
    }

    /// Splits at the last `@`. Quotes around the local part (RFC 5321 `Quoted-string`) are taken off.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        let (local, domain) = text.rsplit_once('@').ok_or(AddressError::NoAt)?;
        match local
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
        {
            None => Address::new(local, domain),
            Some(quoted) => {
                let mut plain = String::with_capacity(quoted.len());
                let mut chars = quoted.chars();
                while let Some(c) = chars.next() {
                    plain.extend(if c == '\\' { chars.next() } else { Some(c) });
                }
                Address::new(&plain, domain)
            }
        }
    }

    pub fn local(&self) -> &str {
        &self.local
    }

    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// `user+detail@domain` → (`user@domain`, `detail`); `None` without a detail (RFC 5233).
    pub fn split_detail(&self) -> Option<(Address, &str)> {
        let (user, detail) = self.local.split_once('+')?;
        (!user.is_empty() && !detail.is_empty()).then(|| {
            (
                Address {
                    local: user.to_owned(),
                    domain: self.domain.clone(),
                },
                detail,
            )
        })
    }
}

/// RFC 5321 §4.1.2 `atext`.
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What `Address::parse` reads back: a local part that is no dot-string is quoted (RFC 5321 §4.1.2).
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self
            .local
            .chars()
            .all(|c| !c.is_ascii() || is_atext(c) || c == '.')
        {
            return write!(f, "{}@{}", self.local, self.domain);
        }
        let quoted = self.local.replace('\\', "\\\\").replace('"', "\\\"");
        write!(f, "\"{quoted}\"@{}", self.domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let shown = Address::parse(text).map_or_else(|e| format!("{e:?}"), |a| a.to_string());
        assert_eq!(shown, expect, "{text:?}");
    }

    #[test]
    fn addresses() {
        check("Alice@Example.ORG", "alice@example.org");
        check("\"a b\"@x.org", "\"a b\"@x.org");
        check("\"a\\\"b\"@x.org", "\"a\\\"b\"@x.org");
        check("a@b@x.org", "\"a@b\"@x.org");
        check("\"\"\"\"\"@w2", "\"\\\"\\\"\\\"\"@w2");
        check("Ärger@x.org", "ärger@x.org");
        check("a@x.org.", "a@x.org");
        check("a", "NoAt");
        check("@x.org", "LocalPart");
        check("a@-x.org", "Domain(\"-x.org\")");
        check("a@x..org", "Domain(\"x..org\")");
        check("a@bücher.example", "Domain(\"bücher.example\")");
    }

    #[test]
    fn detail() {
        let address = Address::parse("user+Lists@x.org").unwrap();
        let (user, detail) = address.split_detail().unwrap();
        assert_eq!((user.to_string().as_str(), detail), ("user@x.org", "lists"));
        assert!(Address::parse("+x@x.org").unwrap().split_detail().is_none());
    }
}
