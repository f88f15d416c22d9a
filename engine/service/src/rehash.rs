//! Credentials of other servers' schemes become `{ARGON2ID}` at the next good login: in the background, one replacement
//! at a time for an account, and never over a credential that was changed meanwhile.

use crate::{Peer, Service};
use engine_domain::read::DirectoryAccount;
use engine_events::{CredentialSet, Event, Kind};
use engine_types::AccountId;
use std::sync::Arc;

impl Service {
    /// `row`'s credential was verified by `password`. False: too many replacements are under way.
    pub(crate) fn rehash(&self, peer: &Peer, row: &DirectoryAccount, password: &str) -> bool {
        let Some(this) = self.this.upgrade() else {
            return false;
        };
        if !self.logins.begin_rehash(row.account) {
            return false;
        }
        let (session, row, password) = (peer.session.clone(), row.clone(), password.to_owned());
        tokio::spawn(async move {
            this.replace_credential(&session, &row, password).await;
            this.logins.rehashed(row.account);
        });
        true
    }

    async fn replace_credential(
        self: &Arc<Service>,
        session: &str,
        row: &DirectoryAccount,
        password: String,
    ) {
        let user = row.address.as_str();
        let secret = password.clone();
        let hashed = self
            .logins
            .hashing(move || crate::password::hash(&secret))
            .await;
        let Some(Ok(credential)) = hashed else {
            tracing::info!(user, "the password is not re-hashed: no turn at hashing");
            return;
        };
        let set = Kind::CredentialSet(CredentialSet {
            account: row.account.0,
            credential: credential.clone(),
            only_if: row.credential.clone(),
        });
        let events = vec![Event::new(AccountId(0), 0, set)];
        let submitted = self.submit(raft_api::ShardId::CONTROL, row.account, session, events);
        match submitted.await.and_then(|submitted| submitted.done(1)) {
            Ok(()) => self.logins.remember(row.account, &credential, &password),
            Err(refusal) => tracing::info!(user, %refusal, "the password is not re-hashed"),
        }
    }
}
