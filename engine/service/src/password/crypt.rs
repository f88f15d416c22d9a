//! Slow schemes of other servers, as crypt(3) and Dovecot write them: bcrypt, SHA-crypt, PBKDF2. What a stored hash may
//! ask for is bounded when it is brought along, so that no login takes a core for minutes.

use super::{PasswordError, equal};
use crate::limits::{BCRYPT_COST_MAX, PBKDF2_ROUNDS_MAX, SHA_CRYPT_ROUNDS_MAX};
use sha_crypt::{PasswordHash, PasswordVerifier, ShaCrypt};
use sha1::Sha1;

/// `$5$…` or `$6$…`, with `rounds=N` or without (Drepper, "Unix crypt using SHA-256 and SHA-512").
#[derive(Debug)]
pub(crate) struct ShaCrypted(PasswordHash);

impl ShaCrypted {
    /// `prefix`: `$5$` or `$6$`.
    pub(crate) fn parse(
        text: &str,
        prefix: &str,
        scheme: &'static str,
    ) -> Result<ShaCrypted, PasswordError> {
        let malformed = PasswordError::Malformed(scheme);
        let rest = text.strip_prefix(prefix).ok_or(malformed.clone())?;
        let fields: Vec<&str> = rest.split('$').collect();
        let rounds = match fields.as_slice() {
            [_salt, _hash] => None,
            [rounds, _salt, _hash] => Some(rounds.strip_prefix("rounds=")),
            _ => return Err(malformed),
        };
        if let Some(rounds) = rounds {
            let rounds: Option<u32> = rounds.and_then(|rounds| rounds.parse().ok());
            let rounds = rounds.ok_or(malformed.clone())?;
            if rounds > SHA_CRYPT_ROUNDS_MAX {
                return Err(PasswordError::TooCostly);
            }
            sha_crypt::Params::new(rounds).map_err(|_| malformed.clone())?;
        }
        let hash = PasswordHash::new(text).map_err(|_| malformed)?;
        Ok(ShaCrypted(hash))
    }

    pub(crate) fn matches(&self, password: &[u8]) -> bool {
        ShaCrypt::default()
            .verify_password(password, &self.0)
            .is_ok()
    }
}

/// `$2a$`, `$2b$` or `$2y$`. Only the first 72 octets of a password count, as everywhere with bcrypt. `$2x$` marks
/// hashes of a faulty version, which nobody should verify.
#[derive(Debug)]
pub(crate) struct Bcrypted(String);

impl Bcrypted {
    pub(crate) fn parse(text: &str) -> Result<Bcrypted, PasswordError> {
        let malformed = PasswordError::Malformed("BLF-CRYPT");
        let parts: bcrypt::HashParts = text.parse().map_err(|_| malformed.clone())?;
        match parts.get_cost() {
            _ if text.starts_with("$2x$") => Err(malformed),
            // bcrypt's own least cost.
            0..=3 => Err(malformed),
            cost if cost > BCRYPT_COST_MAX => Err(PasswordError::TooCostly),
            _ => Ok(Bcrypted(text.to_owned())),
        }
    }

    pub(crate) fn matches(&self, password: &[u8]) -> bool {
        bcrypt::verify(password, &self.0).unwrap_or(false)
    }
}

/// `$1$salt$rounds$hex`, as Dovecot writes it: PBKDF2 (RFC 8018) with HMAC-SHA-1 and the salt's own characters.
#[derive(Debug)]
pub(crate) struct Pbkdf2 {
    salt: String,
    rounds: u32,
    key: [u8; SHA1_BYTES],
}

const SHA1_BYTES: usize = 20;

impl Pbkdf2 {
    pub(crate) fn parse(text: &str) -> Result<Pbkdf2, PasswordError> {
        let parsed = Pbkdf2::fields(text).ok_or(PasswordError::Malformed("PBKDF2"))?;
        match parsed.rounds {
            0 => Err(PasswordError::Malformed("PBKDF2")),
            rounds if rounds > PBKDF2_ROUNDS_MAX => Err(PasswordError::TooCostly),
            _ => Ok(parsed),
        }
    }

    fn fields(text: &str) -> Option<Pbkdf2> {
        let mut fields = text.strip_prefix("$1$")?.split('$');
        let (salt, rounds, key) = (fields.next()?, fields.next()?, fields.next()?);
        if fields.next().is_some() || salt.is_empty() {
            return None;
        }
        Some(Pbkdf2 {
            salt: salt.to_owned(),
            rounds: rounds.parse().ok()?,
            key: from_hex(key)?.try_into().ok()?,
        })
    }

    pub(crate) fn matches(&self, password: &[u8]) -> bool {
        let mut key = [0u8; SHA1_BYTES];
        pbkdf2::pbkdf2_hmac::<Sha1>(password, self.salt.as_bytes(), self.rounds, &mut key);
        equal(&key, &self.key)
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let pairs = (0..text.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}
