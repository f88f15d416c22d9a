//! `/admin/sessions`: what `gotthard session` calls. Sessions of this node.

use crate::router::AdminParts;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;

pub async fn list(State(parts): State<Arc<AdminParts>>) -> Json<Value> {
    let rows: Vec<Value> = parts
        .sessions
        .list()
        .iter()
        .map(|s| json!({ "id": &*s.id, "user": s.user.as_deref(), "protocol": s.protocol, "address": s.address.to_string() }))
        .collect();
    Json(json!({ "sessions": rows }))
}

pub async fn kick(State(parts): State<Arc<AdminParts>>, Path(id): Path<String>) -> StatusCode {
    if parts.sessions.kick(&id) {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::NOT_FOUND
    }
}
