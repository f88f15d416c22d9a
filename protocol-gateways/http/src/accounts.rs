//! `/admin/accounts`: what `gotthard account` calls.

use crate::failure::Failure;
use crate::router::AdminParts;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use engine_service::{AccountState, NewCredential};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    address: String,
    #[serde(flatten)]
    secret: Secret,
    /// Octets; absent: no bound.
    quota: Option<u64>,
}

/// Exactly one of the two.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Secret {
    Password(String),
    Hash(String),
}

#[derive(Deserialize)]
pub struct After {
    #[serde(default)]
    pub after: String,
}

#[derive(Deserialize)]
pub struct NewQuota {
    quota: Option<u64>,
}

#[derive(Deserialize)]
pub struct NewState {
    state: String,
}

impl From<Secret> for NewCredential {
    fn from(secret: Secret) -> NewCredential {
        match secret {
            Secret::Password(text) => NewCredential::Password(text),
            Secret::Hash(text) => NewCredential::Hash(text),
        }
    }
}

pub fn state_name(state: AccountState) -> &'static str {
    match state {
        AccountState::Active => "active",
        AccountState::NoLogin => "no_login",
        AccountState::Deferred => "deferred",
        AccountState::Suspended => "suspended",
        AccountState::Removed => "removed",
    }
}

fn state_of(name: &str) -> Option<AccountState> {
    [
        AccountState::Active,
        AccountState::NoLogin,
        AccountState::Deferred,
        AccountState::Suspended,
    ]
    .into_iter()
    .find(|state| state_name(*state) == name)
}

pub async fn list(
    State(parts): State<Arc<AdminParts>>,
    Query(page): Query<After>,
) -> Result<Json<Value>, Failure> {
    let accounts = parts.administration.accounts(&page.after).await?;
    let rows: Vec<Value> = accounts
        .iter()
        .map(|a| {
            json!({ "address": a.address, "account": format!("{:016x}", a.account.0), "shard": a.shard,
                "state": state_name(a.state), "quota_used": a.quota_used, "quota_max": a.quota_max })
        })
        .collect();
    Ok(Json(json!({ "accounts": rows })))
}

pub async fn add(
    State(parts): State<Arc<AdminParts>>,
    Json(new): Json<NewAccount>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let account = parts
        .administration
        .add_account(&new.address, new.secret.into(), new.quota)
        .await?;
    Ok((
        StatusCode::CREATED,
        Json(json!({ "account": format!("{:016x}", account.0) })),
    ))
}

pub async fn remove(
    State(parts): State<Arc<AdminParts>>,
    Path(address): Path<String>,
) -> Result<StatusCode, Failure> {
    parts.administration.remove_account(&address).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn set_credential(
    State(parts): State<Arc<AdminParts>>,
    Path(address): Path<String>,
    Json(secret): Json<Secret>,
) -> Result<StatusCode, Failure> {
    parts
        .administration
        .set_credential(&address, secret.into())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn set_quota(
    State(parts): State<Arc<AdminParts>>,
    Path(address): Path<String>,
    Json(new): Json<NewQuota>,
) -> Result<StatusCode, Failure> {
    parts.administration.set_quota(&address, new.quota).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn set_state(
    State(parts): State<Arc<AdminParts>>,
    Path(address): Path<String>,
    Json(new): Json<NewState>,
) -> Result<StatusCode, Failure> {
    let Some(state) = state_of(&new.state) else {
        return Err(Failure::bad_request(
            "state is one of active, no_login, deferred, suspended",
        ));
    };
    parts.administration.set_state(&address, state).await?;
    Ok(StatusCode::NO_CONTENT)
}
