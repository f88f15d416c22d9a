//! The control group's directory: domains, accounts, credentials, addresses.
//! Rule as in `context.rs`: check all, then change all.

use crate::context::Step;
use crate::keys::{self, tag};
use crate::limits::{TARGETS_PER_ADDRESS_MAX, TEXT_BYTES_MAX};
use crate::read::CONTROL;
use crate::records::{AddressRecord, DirectoryRecord, NameRecord};
use crate::rows::{self, Rows, RowsMut};
use engine_events::{
    AccountForgotten, AccountRegistered, AccountStateSet, AddressRemoved, AddressSet,
    AddressTarget, CredentialSet, DomainSet, Kind, Refusal,
};
use engine_types::{Address, Domain, MailboxName};
use prost::Message;

/// The greatest number of `AccountState` (removed).
const STATE_MAX: u32 = 4;

pub(crate) fn apply(rows: &mut dyn RowsMut, kind: &Kind) -> Step<()> {
    match kind {
        Kind::DomainSet(event) => set_domain(rows, event),
        Kind::AccountRegistered(event) => register(rows, event),
        Kind::AccountStateSet(event) => set_state(rows, event),
        Kind::CredentialSet(event) => set_credential(rows, event),
        Kind::AddressSet(event) => set_address(rows, event),
        Kind::AddressRemoved(event) => remove_address(rows, event),
        Kind::AccountForgotten(event) => forget(rows, event),
        _ => Err(Refusal::WrongShard.into()),
    }
}

fn set_domain(rows: &mut dyn RowsMut, event: &DomainSet) -> Step<()> {
    let domain = Domain::new(&event.domain).map_err(|_| Refusal::Invalid)?;
    let key = CONTROL.by_text(tag::DOMAIN, domain.as_str());
    match event.served {
        true => rows.put(key, Vec::new()),
        false => rows.delete(key),
    }
    Ok(())
}

/// Adds the domain where it is not served yet, the account, and its address to log in with.
fn register(rows: &mut dyn RowsMut, event: &AccountRegistered) -> Step<()> {
    let parsed = Address::parse(&event.address).map_err(|_| Refusal::Invalid)?;
    let address = parsed.to_string();
    if event.account == 0 || event.credential.len() > TEXT_BYTES_MAX {
        return Err(Refusal::Invalid.into());
    }
    let key = CONTROL.by_number(tag::DIRECTORY, event.account);
    if rows.get(&key)?.is_some() {
        return Err(Refusal::AccountExists.into());
    }
    if find(rows, &address)?.is_some() {
        return Err(Refusal::AddressTaken.into());
    }
    serve(rows, parsed.domain());
    let record = DirectoryRecord {
        shard: event.shard,
        epoch: event.epoch,
        address: address.clone(),
        credential: event.credential.clone(),
        state: 0,
    };
    put_account(rows, event.account, &record);
    let name = NameRecord { id: event.account };
    let key = CONTROL.by_text(tag::DIRECTORY_NAME, &address);
    rows.put(key, name.encode_to_vec());
    let target = AddressTarget {
        account: event.account,
        folder: String::new(),
    };
    let record = AddressRecord {
        targets: vec![target],
        refusal: String::new(),
        login: true,
    };
    put_address(rows, &address, &record);
    Ok(())
}

fn set_state(rows: &mut dyn RowsMut, event: &AccountStateSet) -> Step<()> {
    let mut record = account(rows, event.account)?;
    if event.state > STATE_MAX {
        return Err(Refusal::Invalid.into());
    }
    record.state = event.state;
    put_account(rows, event.account, &record);
    Ok(())
}

fn set_credential(rows: &mut dyn RowsMut, event: &CredentialSet) -> Step<()> {
    let mut record = account(rows, event.account)?;
    if event.credential.len() > TEXT_BYTES_MAX {
        return Err(Refusal::Limit.into());
    }
    if !event.only_if.is_empty() && record.credential != event.only_if {
        return Err(Refusal::Changed.into());
    }
    record.credential = event.credential.clone();
    put_account(rows, event.account, &record);
    Ok(())
}

fn set_address(rows: &mut dyn RowsMut, event: &AddressSet) -> Step<()> {
    let (address, domain) = given_address(&event.local, &event.domain)?;
    let targets_ok = match (event.refusal.is_empty(), event.targets.len()) {
        (true, 0) => false,
        (_, many) => !event.login || (many == 1 && event.local != "*"),
    };
    let folder_ok = |t: &AddressTarget| t.folder.is_empty() || MailboxName::new(&t.folder).is_ok();
    if !targets_ok || !event.targets.iter().all(folder_ok) {
        return Err(Refusal::Invalid.into());
    }
    if event.targets.len() > TARGETS_PER_ADDRESS_MAX || event.refusal.len() > TEXT_BYTES_MAX {
        return Err(Refusal::Limit.into());
    }
    for target in &event.targets {
        account(rows, target.account)?;
    }
    let old = find(rows, &address)?;
    if event.only_new && old.is_some() {
        return Err(Refusal::AddressTaken.into());
    }
    if let Some(owner) = owner(rows, &address)? {
        // An account's own address stays its login.
        let stays = event.login && event.targets[0].account == owner;
        if !stays {
            return Err(Refusal::NotAllowed.into());
        }
    }
    serve(rows, &domain);
    drop_address(rows, &address, old.as_ref());
    let record = AddressRecord {
        targets: event.targets.clone(),
        refusal: event.refusal.clone(),
        login: event.login,
    };
    put_address(rows, &address, &record);
    Ok(())
}

fn remove_address(rows: &mut dyn RowsMut, event: &AddressRemoved) -> Step<()> {
    let (address, _) = given_address(&event.local, &event.domain)?;
    let old = find(rows, &address)?.ok_or(Refusal::NoSuchAddress)?;
    if owner(rows, &address)?.is_some() {
        return Err(Refusal::NotAllowed.into());
    }
    drop_address(rows, &address, Some(&old));
    Ok(())
}

/// The account leaves all addresses; one that is left without a target and without a refusal goes.
fn forget(rows: &mut dyn RowsMut, event: &AccountForgotten) -> Step<()> {
    let record = account(rows, event.account)?;
    let prefix = CONTROL.by_number(tag::ADDRESS_OF, event.account);
    let mut addresses = Vec::new();
    rows.scan(&prefix, &keys::end(&prefix), &mut |key, _| {
        addresses.push(String::from_utf8_lossy(&key[prefix.len()..]).into_owned());
        true
    })?;
    for address in addresses {
        let Some(mut row) = find(rows, &address)? else {
            continue;
        };
        drop_address(rows, &address, Some(&row));
        row.targets.retain(|target| target.account != event.account);
        if !row.targets.is_empty() || !row.refusal.is_empty() {
            row.login = row.login && row.targets.len() == 1;
            put_address(rows, &address, &row);
        }
    }
    rows.delete(CONTROL.by_text(tag::DIRECTORY_NAME, &record.address));
    rows.delete(CONTROL.by_number(tag::DIRECTORY, event.account));
    Ok(())
}

/// `local` may be `*`: all others of the domain.
fn given_address(local: &str, domain: &str) -> Step<(String, Domain)> {
    if local == "*" {
        let domain = Domain::new(domain).map_err(|_| Refusal::Invalid)?;
        return Ok((format!("*@{domain}"), domain));
    }
    let address = Address::new(local, domain).map_err(|_| Refusal::Invalid)?;
    Ok((address.to_string(), address.domain().clone()))
}

fn account(rows: &dyn Rows, account: u64) -> Step<DirectoryRecord> {
    let key = CONTROL.by_number(tag::DIRECTORY, account);
    Ok(rows::get(rows, &key)?.ok_or(Refusal::NoSuchAccount)?)
}

fn find(rows: &dyn Rows, address: &str) -> Step<Option<AddressRecord>> {
    Ok(rows::get(rows, &CONTROL.by_text(tag::ADDRESS, address))?)
}

/// The account that was registered with this address.
fn owner(rows: &dyn Rows, address: &str) -> Step<Option<u64>> {
    let name: Option<NameRecord> = rows::get(rows, &CONTROL.by_text(tag::DIRECTORY_NAME, address))?;
    Ok(name.map(|name| name.id))
}

fn serve(rows: &mut dyn RowsMut, domain: &Domain) {
    rows.put(CONTROL.by_text(tag::DOMAIN, domain.as_str()), Vec::new());
}

fn put_account(rows: &mut dyn RowsMut, account: u64, record: &DirectoryRecord) {
    let key = CONTROL.by_number(tag::DIRECTORY, account);
    rows.put(key, record.encode_to_vec());
}

fn put_address(rows: &mut dyn RowsMut, address: &str, record: &AddressRecord) {
    for target in &record.targets {
        let key = CONTROL.number_and_text(tag::ADDRESS_OF, target.account, address);
        rows.put(key, Vec::new());
    }
    let key = CONTROL.by_text(tag::ADDRESS, address);
    rows.put(key, record.encode_to_vec());
}

fn drop_address(rows: &mut dyn RowsMut, address: &str, record: Option<&AddressRecord>) {
    for target in record.iter().flat_map(|record| &record.targets) {
        rows.delete(CONTROL.number_and_text(tag::ADDRESS_OF, target.account, address));
    }
    rows.delete(CONTROL.by_text(tag::ADDRESS, address));
}
