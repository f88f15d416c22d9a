//! `Administration`: accounts and addresses. Shard first, then directory; the reverse on removal (design §3).

use crate::directory::CATCH_ALL;
use crate::limits::PAGE_DIRECTORY_MAX;
use crate::service::rows_failed;
use crate::{
    AccountInfo, AccountState, AddressInfo, Administration, NewCredential, Principal, Refusal,
    Service, password,
};
use async_trait::async_trait;
use engine_domain::limits::{TARGETS_PER_ADDRESS_MAX, TEXT_BYTES_MAX};
use engine_domain::read::{self, DirectoryAccount};
use engine_events as ev;
use engine_events::{Event, Kind};
use engine_types::{AccountId, Address, Domain, MailboxName, SpecialUse};
use raft_api::ShardId;
use std::sync::Arc;

/// What the log names as the session of an operator's change.
const SESSION: &str = "operator";
/// Accounts begin with it; it rises when an account moves.
const FIRST_EPOCH: u64 = 1;

/// What a new account has, all of it subscribed.
const FIRST_MAILBOXES: [(&str, Option<SpecialUse>); 6] = [
    ("INBOX", None),
    ("Drafts", Some(SpecialUse::Drafts)),
    ("Sent", Some(SpecialUse::Sent)),
    ("Junk", Some(SpecialUse::Junk)),
    ("Trash", Some(SpecialUse::Trash)),
    ("Archive", Some(SpecialUse::Archive)),
];

fn parse(address: &str) -> Result<Address, Refusal> {
    Address::parse(address).map_err(|error| Refusal::Invalid(error.to_string()))
}

/// An address of one person: a catch-all is none.
fn parse_personal(address: &str) -> Result<Address, Refusal> {
    let address = parse(address)?;
    if address.local() == CATCH_ALL {
        return Err(Refusal::Invalid(
            "an account cannot be a catch-all".to_owned(),
        ));
    }
    Ok(address)
}

fn quota_octets(quota: Option<u64>) -> Result<u64, Refusal> {
    match quota {
        Some(0) => Err(Refusal::Invalid("a quota is at least one octet".to_owned())),
        other => Ok(other.unwrap_or(0)),
    }
}

fn opened(quota_bytes: u64) -> Kind {
    let mailboxes = FIRST_MAILBOXES
        .into_iter()
        .map(|(name, special_use)| ev::MailboxCreated {
            name: name.to_owned(),
            special_use: special_use.map_or(0, |special_use| special_use as u32),
            uid_validity: 0,
            subscribed: true,
        })
        .collect();
    Kind::AccountOpened(ev::AccountOpened {
        mailboxes,
        quota_bytes,
    })
}

impl Service {
    async fn credential(&self, new: NewCredential) -> Result<String, Refusal> {
        let checked = match new {
            NewCredential::Hash(stored) => password::parse(&stored).map(|_| stored),
            NewCredential::Password(text) if text.is_empty() => {
                return Err(Refusal::Invalid("the password is empty".to_owned()));
            }
            NewCredential::Password(text) if text.len() > crate::limits::PASSWORD_BYTES_MAX => {
                return Err(Refusal::Invalid("the password is too long".to_owned()));
            }
            NewCredential::Password(text) => self
                .logins
                .hashing(move || password::hash(&text))
                .await
                .ok_or(Refusal::Unavailable("too many logins"))?,
        };
        checked.map_err(|error| Refusal::Invalid(error.to_string()))
    }

    /// The account with this login name, after what was acknowledged before.
    async fn account_of(&self, address: &str) -> Result<DirectoryAccount, Refusal> {
        let address = parse(address)?.to_string();
        self.refresh(ShardId::CONTROL).await?;
        read::login(&self.control()?, &address)
            .map_err(rows_failed)?
            .ok_or(Refusal::NoSuchAddress)
    }

    async fn submit_control(&self, events: Vec<Kind>) -> Result<(), Refusal> {
        let count = events.len();
        let events = events
            .into_iter()
            .map(|kind| Event::new(AccountId(0), 0, kind))
            .collect();
        self.submit(ShardId::CONTROL, AccountId(0), SESSION, events)
            .await?
            .done(count)
    }

    async fn submit_account(
        &self,
        shard: ShardId,
        account: AccountId,
        epoch: u64,
        kind: Kind,
    ) -> Result<(), Refusal> {
        let events = vec![Event::new(account, epoch, kind)];
        self.submit(shard, AccountId(0), SESSION, events)
            .await?
            .done(1)
    }

    /// A random account id and its shard.
    fn new_home(&self) -> Result<(AccountId, ShardId), Refusal> {
        // 63 bits: SQL and JSON readers of exports have signed numbers. 0 means none.
        let drawn = (self.parts.chance)().ok_or(Refusal::Unavailable("no random numbers"))?;
        let id = drawn >> 1;
        let account = AccountId(id.max(1));
        let shards = self.mail_shards.len() as u64;
        if shards == 0 {
            return Err(Refusal::Unavailable("no group for mail is known"));
        }
        Ok((account, self.mail_shards[(account.0 % shards) as usize]))
    }

    fn account_info(&self, row: DirectoryAccount) -> Result<AccountInfo, Refusal> {
        let mail = match self.view(ShardId(row.shard)) {
            Ok(view) => read::account(&view, row.shard, row.account).map_err(rows_failed)?,
            // Another node's shard: the directory's part is all that is known here.
            Err(_) => None,
        };
        Ok(AccountInfo {
            account: row.account,
            address: row.address,
            shard: row.shard,
            state: AccountState::from_number(row.state),
            quota_used: mail.as_ref().map_or(0, |mail| mail.used_bytes),
            quota_max: mail.map(|mail| mail.quota_bytes).filter(|&max| max > 0),
        })
    }

    async fn targets(
        &self,
        targets: Vec<(String, String)>,
    ) -> Result<Vec<ev::AddressTarget>, Refusal> {
        if targets.len() > TARGETS_PER_ADDRESS_MAX {
            return Err(Refusal::Limit("targets of one address"));
        }
        let mut found: Vec<ev::AddressTarget> = Vec::with_capacity(targets.len());
        for (account, folder) in targets {
            let folder = match folder.as_str() {
                "" => String::new(),
                name => MailboxName::new(name)
                    .map_err(|error| Refusal::Invalid(error.to_string()))?
                    .as_str()
                    .to_owned(),
            };
            let account = self.account_of(&account).await?;
            // An account takes one copy of a message for an address, so one place for it.
            if found.iter().any(|other| other.account == account.account.0) {
                let text = format!("{} is a target twice", account.address);
                return Err(Refusal::Invalid(text));
            }
            found.push(ev::AddressTarget {
                account: account.account.0,
                folder,
            });
        }
        Ok(found)
    }
}

#[async_trait]
impl Administration for Service {
    async fn add_account(
        &self,
        address: &str,
        credential: NewCredential,
        quota: Option<u64>,
    ) -> Result<AccountId, Refusal> {
        let address = parse_personal(address)?;
        let quota = quota_octets(quota)?;
        self.refresh(ShardId::CONTROL).await?;
        let taken = read::address(&self.control()?, address.local(), address.domain().as_str())
            .map_err(rows_failed)?
            .is_some();
        if taken {
            return Err(Refusal::AddressTaken);
        }
        let credential = self.credential(credential).await?;
        let (account, shard) = self.new_home()?;
        self.submit_account(shard, account, FIRST_EPOCH, opened(quota))
            .await?;
        let registered = Kind::AccountRegistered(ev::AccountRegistered {
            account: account.0,
            shard: shard.0,
            epoch: FIRST_EPOCH,
            address: address.to_string(),
            credential,
        });
        let result = self.submit_control(vec![registered]).await;
        match result {
            Ok(()) => Ok(account),
            // It may be in the directory: its shard must keep it.
            Err(Refusal::OutcomeUnknown) => Err(Refusal::OutcomeUnknown),
            Err(refusal) => {
                let close = Kind::AccountClosed(ev::AccountClosed {});
                if let Err(error) = self
                    .submit_account(shard, account, FIRST_EPOCH, close)
                    .await
                {
                    tracing::warn!(%account, %shard, %error, "an account without an address stays in its shard");
                }
                Err(refusal)
            }
        }
    }

    async fn remove_account(&self, address: &str) -> Result<(), Refusal> {
        let row = self.account_of(address).await?;
        self.submit_control(vec![Kind::AccountForgotten(ev::AccountForgotten {
            account: row.account.0,
        })])
        .await?;
        self.logins.forget(row.account);
        let close = Kind::AccountClosed(ev::AccountClosed {});
        self.submit_account(ShardId(row.shard), row.account, row.epoch, close)
            .await
    }

    async fn set_credential(
        &self,
        address: &str,
        credential: NewCredential,
    ) -> Result<(), Refusal> {
        let row = self.account_of(address).await?;
        let credential = self.credential(credential).await?;
        self.submit_control(vec![Kind::CredentialSet(ev::CredentialSet {
            account: row.account.0,
            credential,
            only_if: String::new(),
        })])
        .await
    }

    async fn set_quota(&self, address: &str, quota: Option<u64>) -> Result<(), Refusal> {
        let quota_bytes = quota_octets(quota)?;
        let row = self.account_of(address).await?;
        let kind = Kind::QuotaSet(ev::QuotaSet { quota_bytes });
        self.submit_account(ShardId(row.shard), row.account, row.epoch, kind)
            .await
    }

    async fn set_state(&self, address: &str, state: AccountState) -> Result<(), Refusal> {
        let row = self.account_of(address).await?;
        self.submit_control(vec![Kind::AccountStateSet(ev::AccountStateSet {
            account: row.account.0,
            state: state as u32,
        })])
        .await
    }

    async fn accounts(&self, after: &str) -> Result<Vec<AccountInfo>, Refusal> {
        self.refresh(ShardId::CONTROL).await?;
        read::directory_accounts(&self.control()?, after, PAGE_DIRECTORY_MAX)
            .map_err(rows_failed)?
            .into_iter()
            .map(|row| self.account_info(row))
            .collect()
    }

    async fn add_address(
        &self,
        address: &str,
        targets: Vec<(String, String)>,
        refusal: Option<String>,
        login: bool,
    ) -> Result<(), Refusal> {
        let address = parse(address)?;
        let refusal = refusal.unwrap_or_default();
        if targets.is_empty() == refusal.is_empty() {
            return Err(Refusal::Invalid(
                "an address has a target or a refusal".to_owned(),
            ));
        }
        if refusal.len() > TEXT_BYTES_MAX {
            return Err(Refusal::Invalid(
                "the refusal's text is too long".to_owned(),
            ));
        }
        if login && (targets.len() != 1 || address.local() == CATCH_ALL) {
            return Err(Refusal::Invalid(
                "a name to log in with has one account".to_owned(),
            ));
        }
        let targets = self.targets(targets).await?;
        self.refresh(ShardId::CONTROL).await?;
        let domain: &Domain = address.domain();
        let served = read::domain_served(&self.control()?, domain.as_str()).map_err(rows_failed)?;
        let mut events = Vec::with_capacity(2);
        if !served {
            events.push(Kind::DomainSet(ev::DomainSet {
                domain: domain.as_str().to_owned(),
                served: true,
            }));
        }
        events.push(Kind::AddressSet(ev::AddressSet {
            local: address.local().to_owned(),
            domain: domain.as_str().to_owned(),
            targets,
            refusal,
            login,
            only_new: true,
        }));
        self.submit_control(events).await
    }

    async fn remove_address(&self, address: &str) -> Result<(), Refusal> {
        let address = parse(address)?;
        let own = match self.account_of(&address.to_string()).await {
            Ok(row) => row.address == address.to_string(),
            Err(Refusal::NoSuchAddress) => false,
            Err(refusal) => return Err(refusal),
        };
        if own {
            return Err(Refusal::Cannot(
                "it is the account's own address; remove the account",
            ));
        }
        self.submit_control(vec![Kind::AddressRemoved(ev::AddressRemoved {
            local: address.local().to_owned(),
            domain: address.domain().as_str().to_owned(),
        })])
        .await
    }

    async fn addresses(&self, after: &str) -> Result<Vec<AddressInfo>, Refusal> {
        self.refresh(ShardId::CONTROL).await?;
        let control = self.control()?;
        let rows = read::addresses(&control, after, PAGE_DIRECTORY_MAX).map_err(rows_failed)?;
        let mut list = Vec::with_capacity(rows.len());
        for (address, row) in rows {
            let mut targets = Vec::with_capacity(row.targets.len());
            for (account, folder) in row.targets {
                let known = read::directory_account(&control, account).map_err(rows_failed)?;
                targets.extend(known.map(|account| (account.address, folder)));
            }
            list.push(AddressInfo {
                address,
                targets,
                refusal: row.refusal,
                login: row.login,
            });
        }
        Ok(list)
    }

    async fn principal(&self, address: &str) -> Result<Principal, Refusal> {
        let row = self.account_of(address).await?;
        Ok(Principal {
            account: row.account,
            name: Arc::from(row.address.as_str()),
            epoch: row.epoch,
        })
    }
}
