//! Before the faults: accounts and mailboxes.

use crate::clients::{Known, names, peer};
use crate::run::Run;
use crate::world::ACCOUNTS;
use engine_service::{Administration, Mail, NewCredential};
use std::time::Duration;
use tokio::time::sleep;

/// What `{SHA}` of `password` is; nobody logs in.
const HASH: &str = "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=";

/// The accounts and mailboxes that clients use.
pub async fn found(run: &Run) -> Known {
    let service = loop {
        match run.access(0) {
            Some(access) => break access.service,
            None => sleep(Duration::from_millis(50)).await,
        }
    };
    let mut known = Known {
        principals: Vec::new(),
        mailboxes: Vec::new(),
    };
    for (account, address) in ACCOUNTS.iter().enumerate() {
        let hash = || NewCredential::Hash(HASH.to_owned());
        // Until there are leaders.
        while service.principal(address).await.is_err() {
            let _ = service.add_account(address, hash(), None).await;
            sleep(Duration::from_millis(100)).await;
        }
        let Ok(who) = service.principal(address).await else {
            continue;
        };
        let mut ids = Vec::new();
        for (mailbox, name) in names().iter().enumerate() {
            let opened = loop {
                let _ = service.create_mailbox(&peer(0), &who, name, None).await;
                if let Ok(opened) = service.open_mailbox(&who, name).await {
                    break opened;
                }
                sleep(Duration::from_millis(100)).await;
            };
            let validity = opened.status.uid_validity.0;
            run.validities.lock().insert((account, mailbox), validity);
            ids.push(opened.status.id);
        }
        known.principals.push(who);
        known.mailboxes.push(ids);
    }
    known
}
