//! Logins: bounded hashing off the async threads, a cache of what was verified, the same time for unknown names.

use crate::limits::{
    LOGINS_CACHED_MAX, PASSWORD_BYTES_MAX, PASSWORD_CHECKS_MAX, PASSWORD_WAIT_MAX, REHASHES_MAX,
};
use crate::password::{self, equal};
use crate::{AccountState, Freshness, LoginError, Peer, Principal, Service};
use engine_domain::read;
use engine_domain::read::DirectoryAccount;
use engine_types::{AccountId, Address};
use parking_lot::Mutex;
use raft_api::ShardId;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Verified logins, and the turns at hashing.
pub(crate) struct Logins {
    /// Random for each run: what is cached is of no use outside this process.
    key: [u8; 32],
    cache: Mutex<HashMap<AccountId, Verified>>,
    turns: Semaphore,
    /// Accounts whose credential is being replaced (`rehash.rs`).
    rehashing: Mutex<HashSet<AccountId>>,
}

/// Digests under the run's key. Another credential makes the entry worthless, so that a change of password counts at
/// once on every node that has folded it.
struct Verified {
    credential: [u8; 32],
    password: [u8; 32],
}

impl Logins {
    pub(crate) fn new() -> Logins {
        let mut key = [0u8; 32];
        if getrandom::fill(&mut key).is_err() {
            // Without chance the cache is off: see `remember`.
            key = [0u8; 32];
        }
        Logins {
            key,
            cache: Mutex::new(HashMap::new()),
            turns: Semaphore::new(PASSWORD_CHECKS_MAX),
            rehashing: Mutex::new(HashSet::new()),
        }
    }

    fn digest(&self, label: &[u8], text: &str) -> [u8; 32] {
        Sha256::new()
            .chain_update(self.key)
            .chain_update(label)
            .chain_update(text)
            .finalize()
            .into()
    }

    fn knows(&self, account: AccountId, credential: &str, password: &str) -> bool {
        let mut cache = self.cache.lock();
        let Some(verified) = cache.get(&account) else {
            return false;
        };
        if !equal(
            &verified.credential,
            &self.digest(b"credential", credential),
        ) {
            cache.remove(&account);
            return false;
        }
        equal(&verified.password, &self.digest(b"password", password))
    }

    pub(crate) fn remember(&self, account: AccountId, credential: &str, password: &str) {
        if self.key == [0u8; 32] {
            return;
        }
        let verified = Verified {
            credential: self.digest(b"credential", credential),
            password: self.digest(b"password", password),
        };
        let mut cache = self.cache.lock();
        if cache.len() >= LOGINS_CACHED_MAX {
            cache.clear();
        }
        cache.insert(account, verified);
    }

    pub(crate) fn forget(&self, account: AccountId) {
        self.cache.lock().remove(&account);
    }

    /// True: the caller has the replacement of this account's credential for itself, until `rehashed`.
    pub(crate) fn begin_rehash(&self, account: AccountId) -> bool {
        let mut rehashing = self.rehashing.lock();
        rehashing.len() < REHASHES_MAX && rehashing.insert(account)
    }

    pub(crate) fn rehashed(&self, account: AccountId) {
        self.rehashing.lock().remove(&account);
    }

    /// Runs one slow hashing job when its turn comes. `None`: the turn did not come in time.
    pub(crate) async fn hashing<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let _turn = timeout(PASSWORD_WAIT_MAX, self.turns.acquire())
            .await
            .ok()?
            .ok()?;
        tokio::task::spawn_blocking(job).await.ok()
    }
}

impl Service {
    /// `acts_for`: SASL PLAIN's authzid. No master accounts exist yet, so it must name the same account.
    pub(crate) async fn check_login(
        &self,
        peer: &Peer,
        name: &str,
        password: &str,
        acts_for: Option<&str>,
    ) -> Result<Principal, LoginError> {
        let mut result = self.check_current(peer, name, password).await;
        if let (Ok(who), Some(other)) = (&result, acts_for)
            && !self.names_currently(who.account, other).await
        {
            result = Err(LoginError::Failed);
        }
        let (session, address) = (&peer.session, peer.address);
        let (protocol, tls) = (peer.protocol, peer.tls.as_deref().unwrap_or(""));
        match &result {
            Ok(who) => {
                tracing::debug!(event = "login", %session, protocol, %address, tls, user = %who.name);
            }
            Err(reason) => {
                // A name as typed may be a password typed in the wrong field: at most 64 characters of it.
                let user: String = name.chars().take(64).collect();
                tracing::debug!(event = "login_failed", %session, protocol, %address, tls, ?user, ?reason);
            }
        }
        result
    }

    /// What this node does not know, it may only not know yet: a failure is told once it shows all that was acknowledged.
    /// Where no majority answers it is *unavailable*, whatever the name: no oracle.
    async fn check_current(
        &self,
        peer: &Peer,
        name: &str,
        password: &str,
    ) -> Result<Principal, LoginError> {
        let before = self.login_row(name)?;
        let first = self.check_password(peer, name, password).await;
        let is_denied = matches!(first, Err(LoginError::Failed | LoginError::Locked));
        if !is_denied || Address::parse(name).is_err() {
            return first;
        }
        let is_current = matches!(self.refresh(ShardId::CONTROL).await, Ok(Freshness::Current));
        let now = self.login_row(name)?;
        match (is_current, now == before) {
            (_, false) => self.check_password(peer, name, password).await,
            (true, true) => first,
            (false, true) => Err(LoginError::Unavailable),
        }
    }

    /// A name that was added a moment ago may not be here yet.
    async fn names_currently(&self, account: AccountId, name: &str) -> bool {
        if self.names(account, name) {
            return true;
        }
        let _ = self.refresh(ShardId::CONTROL).await;
        self.names(account, name)
    }

    fn names(&self, account: AccountId, name: &str) -> bool {
        let (Ok(address), Ok(control)) = (Address::parse(name), self.control()) else {
            return false;
        };
        let row = read::login(&control, &address.to_string());
        matches!(row, Ok(Some(row)) if row.account == account)
    }

    async fn check_password(
        &self,
        peer: &Peer,
        name: &str,
        password: &str,
    ) -> Result<Principal, LoginError> {
        let row = self.login_row(name)?;
        let cached = row
            .as_ref()
            .is_some_and(|row| self.logins.knows(row.account, &row.credential, password));
        let mut foreign = false;
        if !cached {
            let stored = row.as_ref().map(|row| row.credential.clone());
            let secret = password.to_owned();
            let checked = self.logins.hashing(move || check(stored, &secret)).await;
            match checked.ok_or(LoginError::Unavailable)? {
                Checked::Wrong => return Err(LoginError::Failed),
                Checked::Right { foreign: is } => foreign = is,
            }
        }
        let row = row.ok_or(LoginError::Failed)?;
        match AccountState::from_number(row.state) {
            AccountState::Active | AccountState::Deferred => {}
            AccountState::NoLogin | AccountState::Suspended => return Err(LoginError::Locked),
            AccountState::Removed => return Err(LoginError::Failed),
        }
        // What cannot be replaced now is not remembered, so that the next login tries again.
        if !cached && (!foreign || self.rehash(peer, &row, password)) {
            self.logins.remember(row.account, &row.credential, password);
        }
        Ok(Principal {
            account: row.account,
            name: Arc::from(row.address.as_str()),
            epoch: row.epoch,
        })
    }

    fn login_row(&self, name: &str) -> Result<Option<DirectoryAccount>, LoginError> {
        let Ok(address) = Address::parse(name) else {
            return Ok(None);
        };
        let view = self.control().map_err(|_| LoginError::Unavailable)?;
        read::login(&view, &address.to_string()).map_err(|error| {
            tracing::error!(%error, "the directory cannot be read");
            LoginError::Unavailable
        })
    }
}

enum Checked {
    Wrong,
    /// `foreign`: by a scheme that is to be replaced.
    Right {
        foreign: bool,
    },
}

/// Slow by design.
fn check(stored: Option<String>, secret: &str) -> Checked {
    let too_long = secret.len() > PASSWORD_BYTES_MAX;
    let secret = if too_long { "" } else { secret };
    let credential = stored.and_then(|stored| match password::parse(&stored) {
        Ok(credential) => Some(credential),
        Err(error) => {
            tracing::error!(%error, "a stored credential cannot be used");
            None
        }
    });
    let right = password::verify(credential.as_ref(), secret.as_bytes()) && !too_long;
    match credential {
        Some(credential) if right => Checked::Right {
            foreign: credential.is_foreign(),
        },
        _ => Checked::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_credential_or_password_is_not_in_the_cache() {
        let logins = Logins::new();
        let account = AccountId(7);
        assert!(!logins.knows(account, "{A}1", "demo"));
        logins.remember(account, "{A}1", "demo");
        assert!(logins.knows(account, "{A}1", "demo"));
        assert!(!logins.knows(account, "{A}1", "demp"));
        assert!(!logins.knows(AccountId(8), "{A}1", "demo"));
        assert!(!logins.knows(account, "{A}2", "demo"));
        assert!(
            !logins.knows(account, "{A}1", "demo"),
            "a changed credential drops the entry"
        );
    }

    #[test]
    fn the_cache_has_a_bound() {
        let logins = Logins::new();
        for account in 0..=LOGINS_CACHED_MAX as u64 {
            logins.remember(AccountId(account), "{A}1", "demo");
        }
        assert!(logins.cache.lock().len() <= LOGINS_CACHED_MAX);
        assert!(logins.knows(AccountId(LOGINS_CACHED_MAX as u64), "{A}1", "demo"));
    }
}
