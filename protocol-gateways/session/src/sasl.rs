//! SASL PLAIN (RFC 4616).

use crate::limits::SASL_PART_BYTES_MAX;
use std::fmt;

/// `Debug` does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct SaslPlain {
    /// Whom the login acts for; `None`: for itself.
    pub authzid: Option<String>,
    /// Whose password it is.
    pub authcid: String,
    pub password: String,
}

impl fmt::Debug for SaslPlain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaslPlain")
            .field("authzid", &self.authzid)
            .field("authcid", &self.authcid)
            .finish_non_exhaustive()
    }
}

/// `[authzid] NUL authcid NUL passwd`, in UTF-8 (RFC 4616 §2), already taken out of base64. An authzid that equals the
/// authcid is `None`.
pub fn sasl_plain(decoded: &[u8]) -> Option<SaslPlain> {
    let mut parts = decoded.split(|&b| b == 0);
    let (authzid, authcid, password) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || authcid.is_empty() || password.is_empty() {
        return None;
    }
    let text = |part: &[u8]| {
        (part.len() <= SASL_PART_BYTES_MAX)
            .then(|| std::str::from_utf8(part).ok().map(str::to_owned))
            .flatten()
    };
    let authcid = text(authcid)?;
    let authzid = text(authzid)?;
    Some(SaslPlain {
        authzid: (!authzid.is_empty() && authzid != authcid).then_some(authzid),
        authcid,
        password: text(password)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(decoded: &[u8], expect: Option<(Option<&str>, &str, &str)>) {
        let plain = sasl_plain(decoded);
        let shown = plain
            .as_ref()
            .map(|p| (p.authzid.as_deref(), &*p.authcid, &*p.password));
        assert_eq!(shown, expect);
    }

    #[test]
    fn plain() {
        check(b"\0alice\0pw", Some((None, "alice", "pw")));
        check(b"bob\0alice\0pw", Some((Some("bob"), "alice", "pw")));
        check(b"alice\0alice\0pw", Some((None, "alice", "pw")));
        check("\0é\0ü".as_bytes(), Some((None, "é", "ü")));
        check(b"", None);
        check(b"alice\0pw", None);
        check(b"\0\0pw", None);
        check(b"\0alice\0", None);
        check(b"\0alice\0pw\0", None);
        check(b"\0alice\0\xff", None);
        check(&[b"\0a\0".as_slice(), &[b'x'; 1_025]].concat(), None);
    }

    #[test]
    fn debug_hides_the_password() {
        let plain = sasl_plain(b"\0alice\0secret").unwrap();
        assert!(!format!("{plain:?}").contains("secret"));
    }
}
