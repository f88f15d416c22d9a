//! What operators ask: accounts, addresses, sessions, where a message is.

use super::refusal::Refusal;
use async_trait::async_trait;
use engine_types::AccountId;

/// What an account may do. Numbers are persisted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountState {
    Active = 0,
    /// Mail comes in, nobody logs in (`account lock`).
    NoLogin = 1,
    /// Mail is answered with a temporary error.
    Deferred = 2,
    /// Neither.
    Suspended = 3,
    /// Hidden at once, erased after retention.
    Removed = 4,
}

impl AccountState {
    /// A number of a newer version counts as `Suspended`: nothing is let in or out by mistake.
    pub fn from_number(number: u32) -> AccountState {
        match number {
            0 => AccountState::Active,
            1 => AccountState::NoLogin,
            2 => AccountState::Deferred,
            4 => AccountState::Removed,
            _ => AccountState::Suspended,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountInfo {
    pub account: AccountId,
    pub address: String,
    pub shard: u32,
    pub state: AccountState,
    pub quota_used: u64,
    pub quota_max: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressInfo {
    /// `local@domain` or `*@domain`.
    pub address: String,
    /// Addresses of the accounts that it goes to, each with a folder (empty: INBOX).
    pub targets: Vec<(String, String)>,
    pub refusal: Option<String>,
    pub login: bool,
}

/// A new account's secret.
#[derive(Clone, Debug)]
pub enum NewCredential {
    Password(String),
    /// `{SCHEME}text`, as another server stored it.
    Hash(String),
}

#[async_trait]
pub trait Administration: Send + Sync + 'static {
    async fn add_account(
        &self,
        address: &str,
        credential: NewCredential,
        quota: Option<u64>,
    ) -> Result<AccountId, Refusal>;
    async fn remove_account(&self, address: &str) -> Result<(), Refusal>;
    async fn set_credential(&self, address: &str, credential: NewCredential)
    -> Result<(), Refusal>;
    async fn set_quota(&self, address: &str, quota: Option<u64>) -> Result<(), Refusal>;
    async fn set_state(&self, address: &str, state: AccountState) -> Result<(), Refusal>;
    /// Ordered by address. At most 10,000 after `after`.
    async fn accounts(&self, after: &str) -> Result<Vec<AccountInfo>, Refusal>;
    /// `targets`: `(account address, folder)`.
    async fn add_address(
        &self,
        address: &str,
        targets: Vec<(String, String)>,
        refusal: Option<String>,
        login: bool,
    ) -> Result<(), Refusal>;
    async fn remove_address(&self, address: &str) -> Result<(), Refusal>;
    async fn addresses(&self, after: &str) -> Result<Vec<AddressInfo>, Refusal>;
    /// A principal for the operator's own work on an account (import, export).
    async fn principal(&self, address: &str) -> Result<super::mail::Principal, Refusal>;
}
