//! Reads of the control group's directory. Names are given in the form that is compared (`engine_types::Address`).

use crate::fold::CONTROL_SHARD;
use crate::keys::{self, Scope, tag};
use crate::records::{AddressRecord, DirectoryRecord, NameRecord};
use crate::rows::{self, Rows, RowsError};
use engine_types::AccountId;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryAccount {
    pub account: AccountId,
    pub shard: u32,
    pub epoch: u64,
    pub address: String,
    /// `{SCHEME}text`
    pub credential: String,
    /// A number of `engine-service`'s `AccountState`.
    pub state: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressRow {
    /// Accounts, each with a mailbox name; an empty one means INBOX.
    pub targets: Vec<(AccountId, String)>,
    pub refusal: Option<String>,
    pub login: bool,
}

pub(crate) const CONTROL: Scope = Scope {
    shard: CONTROL_SHARD,
    account: 0,
};

pub fn directory_account(
    rows: &dyn Rows,
    account: AccountId,
) -> Result<Option<DirectoryAccount>, RowsError> {
    let record: Option<DirectoryRecord> =
        rows::get(rows, &CONTROL.by_number(tag::DIRECTORY, account.0))?;
    Ok(record.map(|record| DirectoryAccount {
        account,
        shard: record.shard,
        epoch: record.epoch,
        address: record.address,
        credential: record.credential,
        state: record.state,
    }))
}

/// The account that `name`, an address in the form that is compared, logs in to.
pub fn login(rows: &dyn Rows, name: &str) -> Result<Option<DirectoryAccount>, RowsError> {
    let record: Option<AddressRecord> = rows::get(rows, &CONTROL.by_text(tag::ADDRESS, name))?;
    match record.filter(|record| record.login) {
        Some(AddressRecord { targets, .. }) => match targets.first() {
            Some(target) => directory_account(rows, AccountId(target.account)),
            None => Ok(None),
        },
        None => Ok(None),
    }
}

/// Exactly this address; the caller looks for `*` itself, after detail (`user+folder`) was taken off.
pub fn address(
    rows: &dyn Rows,
    local: &str,
    domain: &str,
) -> Result<Option<AddressRow>, RowsError> {
    let key = CONTROL.by_text(tag::ADDRESS, &format!("{local}@{domain}"));
    Ok(rows::get::<AddressRecord>(rows, &key)?.map(address_row))
}

pub fn domain_served(rows: &dyn Rows, domain: &str) -> Result<bool, RowsError> {
    Ok(rows.get(&CONTROL.by_text(tag::DOMAIN, domain))?.is_some())
}

/// Ordered by address, those behind `after`.
pub fn directory_accounts(
    rows: &dyn Rows,
    after: &str,
    limit: usize,
) -> Result<Vec<DirectoryAccount>, RowsError> {
    let prefix = CONTROL.tagged(tag::DIRECTORY_NAME);
    let mut ids = Vec::new();
    rows::scan(
        rows,
        &prefix,
        &behind(tag::DIRECTORY_NAME, after),
        &keys::end(&prefix),
        &mut |_, name: NameRecord| {
            if ids.len() < limit {
                ids.push(AccountId(name.id));
            }
            Ok(ids.len() < limit)
        },
    )?;
    let mut accounts = Vec::with_capacity(ids.len());
    for id in ids {
        accounts.extend(directory_account(rows, id)?);
    }
    Ok(accounts)
}

/// Ordered by address, those behind `after`.
pub fn addresses(
    rows: &dyn Rows,
    after: &str,
    limit: usize,
) -> Result<Vec<(String, AddressRow)>, RowsError> {
    let prefix = CONTROL.tagged(tag::ADDRESS);
    let mut found = Vec::new();
    rows::scan(
        rows,
        &prefix,
        &behind(tag::ADDRESS, after),
        &keys::end(&prefix),
        &mut |rest, record| {
            if found.len() < limit {
                let name = String::from_utf8_lossy(rest).into_owned();
                found.push((name, address_row(record)));
            }
            Ok(found.len() < limit)
        },
    )?;
    Ok(found)
}

/// The first key that lies behind `after`.
fn behind(tag: u8, after: &str) -> Vec<u8> {
    let mut key = CONTROL.by_text(tag, after);
    if !after.is_empty() {
        key.push(0);
    }
    key
}

fn address_row(record: AddressRecord) -> AddressRow {
    AddressRow {
        targets: record
            .targets
            .into_iter()
            .map(|target| (AccountId(target.account), target.folder))
            .collect(),
        refusal: (!record.refusal.is_empty()).then_some(record.refusal),
        login: record.login,
    }
}
