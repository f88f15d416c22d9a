//! Where mail for an address goes: the exact address, then without its detail, then the domain's catch-all.

use crate::service::rows_failed;
use crate::{AccountState, Recipient, RecipientError, Service};
use engine_domain::read::{self, AddressRow, DirectoryAccount};
use engine_domain::{Rows, RowsError};
use engine_types::{Address, MailboxName};
use raft_api::ShardId;
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

impl Service {
    pub(crate) fn recipient(&self, as_given: &str) -> Result<Recipient, RecipientError> {
        let address = Address::parse(as_given).map_err(|_| RecipientError::Unknown)?;
        if address.local() == CATCH_ALL {
            return Err(RecipientError::Unknown);
        }
        let control = self.control().map_err(|_| RecipientError::Unavailable)?;
        let (row, detail) = decide(&control, &address)
            .map_err(unavailable)?
            .ok_or(RecipientError::Unknown)?;
        if let Some(text) = row.refusal {
            return Err(RecipientError::Refused(text));
        }
        // `add_address` takes one target.
        let (account, folder) = row.targets.first().ok_or(RecipientError::Unknown)?;
        let account = read::directory_account(&control, *account)
            .map_err(unavailable)?
            .ok_or(RecipientError::Unknown)?;
        match AccountState::from_number(account.state) {
            AccountState::Active | AccountState::NoLogin => {}
            AccountState::Deferred | AccountState::Suspended => {
                return Err(RecipientError::Deferred);
            }
            AccountState::Removed => return Err(RecipientError::Unknown),
        }
        let folder = self.folder(&account, detail.as_deref(), folder)?;
        Ok(Recipient {
            account: account.account,
            epoch: account.epoch,
            name: Arc::from(account.address.as_str()),
            folder,
            as_given: Arc::from(as_given),
        })
    }

    /// Checks the quota as this node knows it, and finds the mailbox: the detail's, the address's own, INBOX.
    fn folder(
        &self,
        account: &DirectoryAccount,
        detail: Option<&str>,
        folder: &str,
    ) -> Result<MailboxName, RecipientError> {
        let view = self
            .view(ShardId(account.shard))
            .map_err(|_| RecipientError::Unavailable)?;
        let (shard, id) = (account.shard, account.account);
        let row = read::account(&view, shard, id).map_err(unavailable)?;
        // Not there: this node lags behind the directory. The fold decides.
        if row.is_some_and(|row| row.quota_bytes > 0 && row.used_bytes >= row.quota_bytes) {
            return Err(RecipientError::OverQuota);
        }
        if let Some(detail) = detail {
            let wanted = detail.to_lowercase();
            let found = read::mailboxes(&view, shard, id)
                .map_err(unavailable)?
                .into_iter()
                .find(|mailbox| mailbox.name.as_str().to_lowercase() == wanted);
            if let Some(mailbox) = found {
                return Ok(mailbox.name);
            }
        }
        Ok(MailboxName::new(folder).unwrap_or_else(|_| MailboxName::inbox()))
    }
}
