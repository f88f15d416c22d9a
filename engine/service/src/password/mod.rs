//! Stored credentials: `{SCHEME}text`. New ones are `{ARGON2ID}`; what other servers left is verified, and replaced at
//! the next good login (`login.rs`). Plain text and all that is not named here is refused.

mod crypt;
mod md5_crypt;
#[cfg(test)]
mod tests;

use crate::limits::{
    ARGON2_LANES_MAX, ARGON2_MEMORY_KIB_MAX, ARGON2_PASSES_MAX, CREDENTIAL_BYTES_MAX,
};
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params, PasswordHasher, PasswordVerifier};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypt::{Bcrypted, Pbkdf2, ShaCrypted};
use md5_crypt::Md5Crypt;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use std::sync::LazyLock;
use thiserror::Error;

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum PasswordError {
    #[error("a credential is {{SCHEME}}text, of at most {CREDENTIAL_BYTES_MAX} octets")]
    NoScheme,
    #[error(
        "password scheme {{{0}}} is not supported: use ARGON2ID, ARGON2I, BLF-CRYPT, SHA512-CRYPT, SHA256-CRYPT, \
         SSHA512, SHA512, SSHA256, SHA256, SSHA, SHA, PBKDF2 or MD5-CRYPT"
    )]
    UnknownScheme(String),
    #[error("the text does not fit its scheme {{{0}}}")]
    Malformed(&'static str),
    #[error("the hash asks for more memory, passes or rounds than this server gives to a login")]
    TooCostly,
    #[error("no random numbers, or not enough memory")]
    Unavailable,
}

/// A credential that this version can verify.
#[derive(Debug)]
pub(crate) enum Credential {
    Argon2(Box<PasswordHash>),
    Bcrypt(Bcrypted),
    ShaCrypt(ShaCrypted),
    Pbkdf2(Pbkdf2),
    Md5Crypt(Md5Crypt),
    Digest(Digested),
}

/// One pass of a fast hash over password ‖ salt, as LDAP servers and Dovecot store it.
#[derive(Debug)]
pub(crate) struct Digested {
    hash: Hash,
    digest: Vec<u8>,
    /// Empty for the schemes without salt.
    salt: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum Hash {
    Sha1,
    Sha256,
    Sha512,
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
    let scheme = scheme.to_ascii_uppercase();
    let digested = |hash, salted, name| Digested::parse(text, hash, salted, name);
    Ok(match scheme.as_str() {
        "ARGON2ID" | "ARGON2I" => return argon2_hash(text),
        "BLF-CRYPT" => Credential::Bcrypt(Bcrypted::parse(text)?),
        "SHA512-CRYPT" => Credential::ShaCrypt(ShaCrypted::parse(text, "$6$", "SHA512-CRYPT")?),
        "SHA256-CRYPT" => Credential::ShaCrypt(ShaCrypted::parse(text, "$5$", "SHA256-CRYPT")?),
        "SSHA512" => Credential::Digest(digested(Hash::Sha512, true, "SSHA512")?),
        "SHA512" => Credential::Digest(digested(Hash::Sha512, false, "SHA512")?),
        "SSHA256" => Credential::Digest(digested(Hash::Sha256, true, "SSHA256")?),
        "SHA256" => Credential::Digest(digested(Hash::Sha256, false, "SHA256")?),
        "SSHA" => Credential::Digest(digested(Hash::Sha1, true, "SSHA")?),
        "SHA" => Credential::Digest(digested(Hash::Sha1, false, "SHA")?),
        "PBKDF2" => Credential::Pbkdf2(Pbkdf2::parse(text)?),
        "MD5-CRYPT" => md5_crypt::parse(text)
            .map(Credential::Md5Crypt)
            .ok_or(PasswordError::Malformed("MD5-CRYPT"))?,
        _ => {
            return Err(PasswordError::UnknownScheme(
                scheme.chars().take(32).collect(),
            ));
        }
    })
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

impl Digested {
    /// Base64 of digest ‖ salt.
    fn parse(
        text: &str,
        hash: Hash,
        salted: bool,
        scheme: &'static str,
    ) -> Result<Digested, PasswordError> {
        let malformed = PasswordError::Malformed(scheme);
        let mut digest = STANDARD.decode(text).map_err(|_| malformed.clone())?;
        let len = hash.digest(&[], &[]).len();
        if digest.len() < len || (digest.len() > len) != salted {
            return Err(malformed);
        }
        let salt = digest.split_off(len);
        Ok(Digested { hash, digest, salt })
    }
}

impl Hash {
    fn digest(self, password: &[u8], salt: &[u8]) -> Vec<u8> {
        fn over<D: Digest>(password: &[u8], salt: &[u8]) -> Vec<u8> {
            let hasher = D::new().chain_update(password).chain_update(salt);
            hasher.finalize().to_vec()
        }
        match self {
            Hash::Sha1 => over::<Sha1>(password, salt),
            Hash::Sha256 => over::<Sha256>(password, salt),
            Hash::Sha512 => over::<Sha512>(password, salt),
        }
    }
}

impl Credential {
    /// Anything but `{ARGON2ID}`: to be replaced once the password is known.
    pub(crate) fn is_foreign(&self) -> bool {
        !matches!(self, Credential::Argon2(hash) if hash.algorithm.as_str() == "argon2id")
    }

    fn matches(&self, password: &[u8]) -> bool {
        match self {
            Credential::Argon2(hash) => Argon2::default()
                .verify_password(password, hash.as_ref())
                .is_ok(),
            Credential::Bcrypt(hash) => hash.matches(password),
            Credential::ShaCrypt(hash) => hash.matches(password),
            Credential::Pbkdf2(hash) => hash.matches(password),
            Credential::Md5Crypt(hash) => hash.matches(password),
            Credential::Digest(Digested { hash, digest, salt }) => {
                equal(digest, &hash.digest(password, salt))
            }
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
