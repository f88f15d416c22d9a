//! `/admin/mailboxes` and `/admin/messages`: what `gotthard import` and `gotthard export` call.

use crate::failure::Failure;
use crate::router::AdminParts;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use engine_service::{AppendRequest, Envelope, Mail, MessageRow, Peer, Principal, Refusal};
use engine_types::{Flag, Flags, MailboxName, Uid, UidSet, UnixMillis};
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

#[derive(Deserialize)]
pub struct InMailbox {
    mailbox: String,
    /// Pages begin behind this UID.
    #[serde(default)]
    after: u32,
}

#[derive(Deserialize)]
pub struct ImportOptions {
    mailbox: String,
    /// Separated by blanks.
    #[serde(default)]
    flags: String,
    /// INTERNALDATE, Unix milliseconds.
    date: Option<u64>,
}

/// The operator, as events and logs name it.
fn operator() -> Peer {
    Peer {
        session: Arc::from("admin"),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        tls: None,
        protocol: "http",
    }
}

pub(crate) fn mailbox_name(text: &str) -> Result<MailboxName, Failure> {
    MailboxName::new(text).map_err(|error| Failure::bad_request(error.to_string()))
}

pub(crate) async fn principal(parts: &AdminParts, address: &str) -> Result<Principal, Failure> {
    Ok(parts.administration.principal(address).await?)
}

pub async fn mailboxes(
    State(parts): State<Arc<AdminParts>>,
    Path(address): Path<String>,
) -> Result<Json<Value>, Failure> {
    let who = principal(&parts, &address).await?;
    let entries = parts.mail.mailboxes(&who).await?;
    let rows: Vec<Value> = entries
        .iter()
        .filter(|entry| entry.id.is_some())
        .map(|entry| json!({ "name": entry.name.as_str(), "special_use": entry.special_use.map(|u| u.as_str()) }))
        .collect();
    Ok(Json(json!({ "mailboxes": rows })))
}

/// A message that was found: where it is, and what a reader knows it by.
pub(crate) async fn operator_found(mail: &dyn Mail, mailbox: &str, row: &MessageRow) -> Value {
    let envelope = match mail.content(&row.body).await {
        Ok(content) => content.facts.envelope.clone().unwrap_or_default(),
        // It was found; that it cannot be read shows elsewhere.
        Err(_) => Envelope::default(),
    };
    let text = |octets: Option<axum::body::Bytes>| {
        octets.map(|octets| String::from_utf8_lossy(&octets).into_owned())
    };
    let from = envelope.from.first().map(|from| {
        let part = |octets: &Option<axum::body::Bytes>| text(octets.clone()).unwrap_or_default();
        format!("{}@{}", part(&from.mailbox), part(&from.host))
    });
    json!({
        "mailbox": mailbox, "uid": row.uid.0, "date": row.internal_date.0, "size": row.size,
        "from": from, "subject": text(envelope.subject), "message_id": text(envelope.message_id),
    })
}

/// One page of rows: UID, flags, date, size.
pub async fn page(
    State(parts): State<Arc<AdminParts>>,
    Path(address): Path<String>,
    Query(place): Query<InMailbox>,
) -> Result<Json<Value>, Failure> {
    let who = principal(&parts, &address).await?;
    let (status, _) = parts
        .mail
        .status(&who, &mailbox_name(&place.mailbox)?)
        .await?;
    let uids = UidSet::from_ranges([(Uid(place.after.saturating_add(1)), Uid::MAX)]);
    let rows = parts.mail.messages(&who, status.id, &uids)?;
    let rows: Vec<Value> = rows
        .iter()
        .map(|m| json!({ "uid": m.uid.0, "flags": m.flags.to_string(), "date": m.internal_date.0, "size": m.body.size }))
        .collect();
    Ok(Json(json!({ "messages": rows })))
}

/// A message byte for byte as it came in, without the trace that delivery adds.
pub async fn content(
    State(parts): State<Arc<AdminParts>>,
    Path((address, uid)): Path<(String, u32)>,
    Query(place): Query<InMailbox>,
) -> Result<Response, Failure> {
    let who = principal(&parts, &address).await?;
    let (status, _) = parts
        .mail
        .status(&who, &mailbox_name(&place.mailbox)?)
        .await?;
    let uids: UidSet = [Uid(uid)].into_iter().collect();
    let rows = parts.mail.messages(&who, status.id, &uids)?;
    let Some(row) = rows.first() else {
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    let content = parts.mail.content(&row.body).await?;
    Ok((
        [("content-type", "message/rfc822")],
        content.message.to_bytes(),
    )
        .into_response())
}

/// Adds a message; a mailbox that does not exist is made.
pub async fn import(
    State(parts): State<Arc<AdminParts>>,
    Path(address): Path<String>,
    Query(options): Query<ImportOptions>,
    message: Bytes,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let who = principal(&parts, &address).await?;
    let mailbox = mailbox_name(&options.mailbox)?;
    let flags: Flags = options
        .flags
        .split_ascii_whitespace()
        .map(Flag::parse)
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::bad_request(error.to_string()))?;
    let request = AppendRequest {
        mailbox,
        flags,
        internal_date: options.date.map(|ms| (UnixMillis(ms), 0)),
        message,
        uid: None,
        check_quota: false,
    };
    let appended = match parts.mail.append(&operator(), &who, request.clone()).await {
        Err(Refusal::NoSuchMailbox) => {
            match parts
                .mail
                .create_mailbox(&operator(), &who, &request.mailbox, None)
                .await
            {
                // Another import may have made it meanwhile.
                Ok(_) | Err(Refusal::MailboxExists) => {}
                Err(other) => return Err(other.into()),
            }
            parts.mail.append(&operator(), &who, request).await?
        }
        other => other?,
    };
    Ok((
        StatusCode::CREATED,
        Json(
            json!({ "uid": appended.uid.0, "receipt": appended.receipt.id, "sites": appended.receipt.sites }),
        ),
    ))
}
