//! `/admin/addresses`: what `gotthard address` calls.

use crate::accounts::After;
use crate::failure::Failure;
use crate::router::AdminParts;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAddress {
    address: String,
    #[serde(default)]
    targets: Vec<Target>,
    refusal: Option<String>,
    #[serde(default)]
    login: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    account: String,
    #[serde(default)]
    folder: String,
}

pub async fn list(
    State(parts): State<Arc<AdminParts>>,
    Query(page): Query<After>,
) -> Result<Json<Value>, Failure> {
    let addresses = parts.administration.addresses(&page.after).await?;
    let rows: Vec<Value> = addresses
        .iter()
        .map(|a| {
            let targets: Vec<Value> =
                a.targets.iter().map(|(account, folder)| json!({ "account": account, "folder": folder })).collect();
            json!({ "address": a.address, "targets": targets, "refusal": a.refusal, "login": a.login })
        })
        .collect();
    Ok(Json(json!({ "addresses": rows })))
}

pub async fn add(
    State(parts): State<Arc<AdminParts>>,
    Json(new): Json<NewAddress>,
) -> Result<StatusCode, Failure> {
    let targets = new
        .targets
        .into_iter()
        .map(|t| (t.account, t.folder))
        .collect();
    parts
        .administration
        .add_address(&new.address, targets, new.refusal, new.login)
        .await?;
    Ok(StatusCode::CREATED)
}

pub async fn remove(
    State(parts): State<Arc<AdminParts>>,
    Path(address): Path<String>,
) -> Result<StatusCode, Failure> {
    parts.administration.remove_address(&address).await?;
    Ok(StatusCode::NO_CONTENT)
}
