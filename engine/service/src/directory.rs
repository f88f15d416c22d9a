//! Where mail for an address goes: the exact address, then without its detail, then the domain's catch-all.

use crate::service::rows_failed;
use crate::{AccountState, Freshness, Recipient, RecipientError, Service, Target};
use engine_domain::read::{self, AddressRow, DirectoryAccount};
use engine_domain::{Rows, RowsError};
use engine_replica::View;
use engine_types::{AccountId, Address, MailboxName};
use raft_api::ShardId;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The local part of a catch-all.
pub(crate) const CATCH_ALL: &str = "*";

fn unavailable(error: RowsError) -> RecipientError {
    let _ = rows_failed(error);
    RecipientError::Unavailable
}

/// The row that decides, and the detail (RFC 5233) if the row is that of the address without it.
fn decide(
    rows: &dyn Rows,
    address: &Address,
) -> Result<Option<(AddressRow, Option<String>)>, RowsError> {
    let domain = address.domain().as_str();
    if let Some(row) = read::address(rows, address.local(), domain)? {
        return Ok(Some((row, None)));
    }
    if let Some((user, detail)) = address.split_detail()
        && let Some(row) = read::address(rows, user.local(), domain)?
    {
        return Ok(Some((row, Some(detail.to_owned()))));
    }
    Ok(read::address(rows, CATCH_ALL, domain)?.map(|row| (row, None)))
}

/// RFC 5321 §4.5.1: this word alone is an address everywhere, in any case.
const POSTMASTER: &str = "postmaster";

impl Service {
    /// A sender that is told *no* gives up, and mail that lands in the wrong mailbox stays there: so what this node does not
    /// find is looked for again once it shows all that was acknowledged. What it does find is taken as it is: the fold
    /// has the last word on it.
    pub(crate) async fn current_recipient(
        &self,
        as_given: &str,
    ) -> Result<Recipient, RecipientError> {
        let found = self.recipient(as_given);
        if !self.is_denial(as_given, &found)? {
            return found;
        }
        self.confirm(ShardId::CONTROL).await?;
        for shard in self.shards_of(as_given)? {
            self.confirm(shard).await?;
        }
        self.recipient(as_given)
    }

    /// Whether a node that lags behind might say the same where another answer is right. Only an address's own row is beyond
    /// doubt: a catch-all, or the address without its detail, may stand in for one that is not here yet.
    fn is_denial(
        &self,
        as_given: &str,
        found: &Result<Recipient, RecipientError>,
    ) -> Result<bool, RecipientError> {
        // A word without a domain, or no address at all, is that everywhere.
        let Ok(address) = Address::parse(as_given) else {
            return Ok(false);
        };
        match found {
            Ok(_) => {
                let control = self.control().map_err(|_| RecipientError::Unavailable)?;
                let own = read::address(&control, address.local(), address.domain().as_str());
                Ok(own.map_err(unavailable)?.is_none())
            }
            Err(
                RecipientError::Unknown | RecipientError::Refused(_) | RecipientError::OverQuota,
            ) => Ok(true),
            Err(
                RecipientError::NoPostmaster
                | RecipientError::Deferred
                | RecipientError::Unavailable,
            ) => Ok(false),
        }
    }

    async fn confirm(&self, shard: ShardId) -> Result<(), RecipientError> {
        match self.refresh(shard).await {
            Ok(Freshness::Current) => Ok(()),
            Ok(Freshness::Stale { .. }) | Err(_) => Err(RecipientError::Unavailable),
        }
    }

    /// Where the accounts have their mailboxes that the address names, as this node knows them.
    fn shards_of(&self, as_given: &str) -> Result<BTreeSet<ShardId>, RecipientError> {
        let control = self.control().map_err(|_| RecipientError::Unavailable)?;
        let Ok(address) = Address::parse(as_given) else {
            return Ok(BTreeSet::new());
        };
        let found = decide(&control, &address).map_err(unavailable)?;
        let targets = found.map_or_else(Vec::new, |(row, _)| row.targets);
        let mut shards = BTreeSet::new();
        for (account, _) in targets {
            let row = read::directory_account(&control, account).map_err(unavailable)?;
            shards.extend(row.map(|row| ShardId(row.shard)));
        }
        Ok(shards)
    }

    pub(crate) fn recipient(&self, as_given: &str) -> Result<Recipient, RecipientError> {
        let control = self.control().map_err(|_| RecipientError::Unavailable)?;
        let (row, detail) = if as_given.eq_ignore_ascii_case(POSTMASTER) {
            self.postmaster(&control)
                .map_err(unavailable)?
                .ok_or(RecipientError::NoPostmaster)?
        } else {
            let address = Address::parse(as_given).map_err(|_| RecipientError::Unknown)?;
            if address.local() == CATCH_ALL {
                return Err(RecipientError::Unknown);
            }
            decide(&control, &address)
                .map_err(unavailable)?
                .ok_or(RecipientError::Unknown)?
        };
        if let Some(text) = row.refusal {
            return Err(RecipientError::Refused(text));
        }
        Ok(Recipient {
            as_given: Arc::from(as_given),
            targets: self.takers(&control, &row.targets, detail.as_deref())?,
        })
    }

    /// The configured one; otherwise that of our host name, or of the domain that the name lies in.
    fn postmaster(
        &self,
        rows: &dyn Rows,
    ) -> Result<Option<(AddressRow, Option<String>)>, RowsError> {
        if let Some(address) = &self.parts.postmaster {
            return decide(rows, address);
        }
        let host = self.parts.hostname.as_str();
        let above = host.split_once('.').map(|(_, above)| above);
        for domain in [Some(host), above].into_iter().flatten() {
            if let Ok(address) = Address::new(POSTMASTER, domain)
                && let Some(found) = decide(rows, &address)?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Who of an address's accounts takes mail. One that is suspended defers it for all: mail that waits for its sender
    /// comes to each of them once. One that is full does not keep it from the others.
    fn takers(
        &self,
        control: &View,
        targets: &[(AccountId, String)],
        detail: Option<&str>,
    ) -> Result<Arc<[Target]>, RecipientError> {
        let mut takers = Vec::with_capacity(targets.len());
        let mut full = 0;
        for (account, folder) in targets {
            let row = read::directory_account(control, *account).map_err(unavailable)?;
            // Its removal has reached the directory before the address: nobody waits for its mail.
            let Some(row) = row else { continue };
            match AccountState::from_number(row.state) {
                AccountState::Active | AccountState::NoLogin => {}
                AccountState::Deferred | AccountState::Suspended => {
                    return Err(RecipientError::Deferred);
                }
                AccountState::Removed => continue,
            }
            full += usize::from(self.is_full(&row)?);
            takers.push(Target {
                account: row.account,
                epoch: row.epoch,
                folder: self.folder(&row, detail, folder)?,
                name: Arc::from(row.address),
            });
        }
        match takers.len() {
            0 => Err(RecipientError::Unknown),
            all if all == full => Err(RecipientError::OverQuota),
            _ => Ok(takers.into()),
        }
    }

    /// As this node knows it. Not there: this node lags behind the directory, and the fold decides.
    fn is_full(&self, account: &DirectoryAccount) -> Result<bool, RecipientError> {
        let view = self
            .view(ShardId(account.shard))
            .map_err(|_| RecipientError::Unavailable)?;
        let row = read::account(&view, account.shard, account.account).map_err(unavailable)?;
        Ok(row.is_some_and(|row| row.quota_bytes > 0 && row.used_bytes >= row.quota_bytes))
    }

    /// The mailbox: the detail's, the address's own, INBOX.
    fn folder(
        &self,
        account: &DirectoryAccount,
        detail: Option<&str>,
        folder: &str,
    ) -> Result<MailboxName, RecipientError> {
        let own = MailboxName::new(folder).unwrap_or_else(|_| MailboxName::inbox());
        let Some(detail) = detail else {
            return Ok(own);
        };
        let view = self
            .view(ShardId(account.shard))
            .map_err(|_| RecipientError::Unavailable)?;
        let wanted = detail.to_lowercase();
        let found = read::mailboxes(&view, account.shard, account.account)
            .map_err(unavailable)?
            .into_iter()
            .find(|mailbox| mailbox.name.as_str().to_lowercase() == wanted);
        Ok(found.map_or(own, |mailbox| mailbox.name))
    }
}
