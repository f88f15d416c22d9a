//! Stored credentials: `{SCHEME}text`. New ones are `{ARGON2ID}`; SHA-2 forms that other servers left are verified.
//! `{SHA}` and `{SSHA}` (SHA-1) are known by name and refused, as all others are.

use crate::limits::{
    ARGON2_LANES_MAX, ARGON2_MEMORY_KIB_MAX, ARGON2_PASSES_MAX, CREDENTIAL_BYTES_MAX,
};
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params, PasswordHasher, PasswordVerifier};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256, Sha512};
use std::sync::LazyLock;
use thiserror::Error;

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum PasswordError {
    #[error("a credential is {{SCHEME}}text, of at most {CREDENTIAL_BYTES_MAX} octets")]
    NoScheme,
    #[error(
        "password scheme {{{0}}} is not supported: use ARGON2ID, SSHA512, SHA512, SSHA256 or SHA256"
    )]
    UnknownScheme(String),
    #[error("the text does not fit its scheme {{{0}}}")]
    Malformed(&'static str),
    #[error("the hash asks for more memory, passes or lanes than this server gives to a login")]
    TooCostly,
    #[error("no random numbers, or not enough memory")]
    Unavailable,
}

/// A credential that this version can verify.
#[derive(Debug)]
pub(crate) enum Credential {
    Argon2(Box<PasswordHash>),
    Sha256 { digest: Vec<u8>, salt: Vec<u8> },
    Sha512 { digest: Vec<u8>, salt: Vec<u8> },
}

/// Verified where there is no account or its scheme is cheap, so that a failure takes the same time for all names.
/// Nobody knows a password for it: it is of random bytes.
static DUMMY: LazyLock<Option<Credential>> = LazyLock::new(|| {
    let mut secret = [0u8; 32];
    getrandom::fill(&mut secret).ok()?;
    parse(&hash(&STANDARD.encode(secret)).ok()?).ok()
});

/// `{ARGON2ID}$argon2id$…` with a fresh salt. Slow by design: call it on a blocking thread.
pub(crate) fn hash(password: &str) -> Result<String, PasswordError> {
    let hashed: PasswordHash = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(|_| PasswordError::Unavailable)?;
    Ok(format!("{{ARGON2ID}}{hashed}"))
}

pub(crate) fn parse(stored: &str) -> Result<Credential, PasswordError> {
    if stored.len() > CREDENTIAL_BYTES_MAX {
        return Err(PasswordError::NoScheme);
    }
    let (scheme, text) = stored
        .strip_prefix('{')
        .and_then(|rest| rest.split_once('}'))
        .ok_or(PasswordError::NoScheme)?;
    match scheme.to_ascii_uppercase().as_str() {
        "ARGON2ID" | "ARGON2I" => argon2_hash(text),
        "SHA256" => {
            let (digest, salt) = digest_and_salt(text, 32, false, "SHA256")?;
            Ok(Credential::Sha256 { digest, salt })
        }
        "SSHA256" => {
            let (digest, salt) = digest_and_salt(text, 32, true, "SSHA256")?;
            Ok(Credential::Sha256 { digest, salt })
        }
        "SHA512" => {
            let (digest, salt) = digest_and_salt(text, 64, false, "SHA512")?;
            Ok(Credential::Sha512 { digest, salt })
        }
        "SSHA512" => {
            let (digest, salt) = digest_and_salt(text, 64, true, "SSHA512")?;
            Ok(Credential::Sha512 { digest, salt })
        }
        _ => Err(PasswordError::UnknownScheme(
            scheme.chars().take(32).collect(),
        )),
    }
}

fn argon2_hash(text: &str) -> Result<Credential, PasswordError> {
    let malformed = PasswordError::Malformed("ARGON2ID");
    let hash = PasswordHash::new(text).map_err(|_| malformed.clone())?;
    if !matches!(hash.algorithm.as_str(), "argon2id" | "argon2i")
        || hash.salt.is_none()
        || hash.hash.is_none()
    {
        return Err(malformed);
    }
    let params = Params::try_from(&hash).map_err(|_| malformed)?;
    if params.m_cost() > ARGON2_MEMORY_KIB_MAX
        || params.t_cost() > ARGON2_PASSES_MAX
        || params.p_cost() > ARGON2_LANES_MAX
    {
        return Err(PasswordError::TooCostly);
    }
    Ok(Credential::Argon2(Box::new(hash)))
}

/// Base64 of digest ‖ salt, as OpenLDAP and Dovecot store it.
fn digest_and_salt(
    text: &str,
    digest_len: usize,
    salted: bool,
    scheme: &'static str,
) -> Result<(Vec<u8>, Vec<u8>), PasswordError> {
    let mut digest = STANDARD
        .decode(text)
        .map_err(|_| PasswordError::Malformed(scheme))?;
    if digest.len() < digest_len || (digest.len() > digest_len) != salted {
        return Err(PasswordError::Malformed(scheme));
    }
    let salt = digest.split_off(digest_len);
    Ok((digest, salt))
}

impl Credential {
    fn matches(&self, password: &[u8]) -> bool {
        match self {
            Credential::Argon2(hash) => Argon2::default()
                .verify_password(password, hash.as_ref())
                .is_ok(),
            Credential::Sha256 { digest, salt } => equal(
                digest,
                &Sha256::new()
                    .chain_update(password)
                    .chain_update(salt)
                    .finalize(),
            ),
            Credential::Sha512 { digest, salt } => equal(
                digest,
                &Sha512::new()
                    .chain_update(password)
                    .chain_update(salt)
                    .finalize(),
            ),
        }
    }
}

/// Slow by design: call it on a blocking thread. `None`: there is no such account, or its credential cannot be used;
/// the answer is no, after the time that a real check takes.
pub(crate) fn verify(credential: Option<&Credential>, password: &[u8]) -> bool {
    let right = credential.is_some_and(|credential| credential.matches(password));
    if !right && !matches!(credential, Some(Credential::Argon2(_))) {
        // Its result does not count: whoever is not known is not let in, even by chance.
        let _ = DUMMY.as_ref().is_some_and(|dummy| dummy.matches(password));
    }
    right
}

/// In a time that does not depend on where they differ.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |sum, (x, y)| sum | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stored: &str, password: &str, expect: &str) {
        let shown = match parse(stored) {
            Err(error) => format!("{error:?}"),
            Ok(credential) => verify(Some(&credential), password.as_bytes()).to_string(),
        };
        assert_eq!(shown, expect, "{stored}");
    }

    #[test]
    fn nobody_is_let_in_without_a_credential() {
        assert!(!verify(None, b""));
        assert!(!verify(None, b"demo"));
    }

    #[test]
    fn what_we_make_we_verify() {
        let stored = hash("demo").unwrap();
        assert!(stored.starts_with("{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$"));
        check(&stored, "demo", "true");
        check(&stored, "Demo", "false");
        check(&stored, "", "false");
        assert_ne!(stored, hash("demo").unwrap(), "every hash has its own salt");
    }

    #[test]
    fn schemes_of_other_servers() {
        // From `openssl dgst -binary | base64`; the salted one with `salt` hashed and stored behind.
        let plain = "{SHA256}KpdRbDVLaISM29j1SiJqClWyHtE44getbFy7nACqWuo=";
        check(plain, "demo", "true");
        check(plain, "demp", "false");
        let salted = "{ssha512}PRrvomWieyvBQdmbEKxkdxJv5Vnu5QDLb7GfcmX7EmbqcJ2Ok62m9v+FkyWs7msdivnZJglPw0XLKeZstQpNTXNhbHQ=";
        check(salted, "demo", "true");
        check(salted, "demosalt", "false");
        for (scheme, salt) in [("SHA256", ""), ("SSHA256", "salt")] {
            let digest = Sha256::digest(format!("demo{salt}"));
            let text = STANDARD.encode([digest.as_slice(), salt.as_bytes()].concat());
            check(&format!("{{{scheme}}}{text}"), "demo", "true");
            check(&format!("{{{scheme}}}{text}"), "demp", "false");
        }
        for (scheme, salt) in [("SHA512", ""), ("ssha512", "salt")] {
            let digest = Sha512::digest(format!("demo{salt}"));
            let text = STANDARD.encode([digest.as_slice(), salt.as_bytes()].concat());
            check(&format!("{{{scheme}}}{text}"), "demo", "true");
            check(&format!("{{{scheme}}}{text}"), "demp", "false");
        }
    }

    #[test]
    fn what_cannot_be_verified_is_refused() {
        check("demo", "demo", "NoScheme");
        check("", "", "NoScheme");
        check("{SHA512", "demo", "NoScheme");
        check("{PLAIN}demo", "demo", "UnknownScheme(\"PLAIN\")");
        check("{SSHA}abcd", "demo", "UnknownScheme(\"SSHA\")");
        check("{}demo", "demo", "UnknownScheme(\"\")");
        check("{SHA256}!", "demo", "Malformed(\"SHA256\")");
        check("{SHA256}YWJj", "demo", "Malformed(\"SHA256\")");
        check(
            "{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1",
            "demo",
            "Malformed(\"ARGON2ID\")",
        );
        check(
            "{ARGON2ID}$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "demo",
            "TooCostly",
        );
        check(
            &format!("{{SHA256}}{}", "A".repeat(2_000)),
            "demo",
            "NoScheme",
        );
    }
}
