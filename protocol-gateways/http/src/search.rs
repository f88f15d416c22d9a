//! `/admin/search` and `/admin/index`: what `gotthard search` and `gotthard index` call.

use crate::failure::Failure;
use crate::messages::{mailbox_name, operator_found, principal};
use crate::router::AdminParts;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use engine_service::{FacetKind, Mail, MailboxEntry, Principal, RankedQuery, TextQuery};
use engine_types::{MailboxId, UidSet};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// The node's search index, as operators work on it.
#[async_trait::async_trait]
pub trait IndexSource: Send + Sync + 'static {
    fn states(&self) -> Vec<IndexView>;
    /// False: the shard has no index here.
    fn rebuild(&self, shard: u32) -> bool;
    /// Holds an account's index against a scan.
    async fn verify(&self, address: &str, queries: usize) -> Result<IndexVerdict, String>;
    /// Where the account's shard is applied to on this node: `shard:log_index`.
    async fn position(&self, address: &str) -> Option<String>;
}

#[derive(Clone, Debug, Serialize)]
pub struct IndexView {
    pub shard: u32,
    /// All messages up to this log index are in the index.
    pub indexed: Option<u64>,
    pub applied: Option<u64>,
    pub state: String,
    pub damage: Option<String>,
    pub messages: u64,
    /// Octets of folded text.
    pub text_bytes: u64,
    pub file_bytes: u64,
    pub runs: usize,
}

#[derive(Clone, Debug, Serialize)]
pub struct IndexVerdict {
    pub messages: usize,
    pub queries: usize,
    pub scanned: usize,
    pub differences: Vec<String>,
}

#[derive(Deserialize)]
pub struct Asked {
    q: String,
    #[serde(default)]
    mode: Mode,
    /// `text`, `body`, or the name of a field; only in exact mode.
    #[serde(default = "anywhere")]
    key: String,
    /// Only in ranked mode: ISO 639-1, separated by commas.
    #[serde(default)]
    languages: String,
    /// Only in ranked mode: count by mailbox, sender, year and attachment.
    #[serde(default)]
    facets: bool,
    mailbox: Option<String>,
    /// Messages that are shown; all are counted.
    #[serde(default = "some")]
    limit: usize,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Exact,
    Ranked,
}

fn anywhere() -> String {
    "text".to_owned()
}

fn some() -> usize {
    50
}

/// Messages of one answer.
const SHOWN_MAX: usize = 1_000;

fn query(asked: &Asked) -> TextQuery {
    let value = asked.q.clone();
    match asked.key.to_ascii_lowercase().as_str() {
        "text" => TextQuery::Text(value),
        "body" => TextQuery::Body(value),
        field => TextQuery::Header {
            name: field.to_owned(),
            value,
        },
    }
}

/// The header `Gotthard-Position` says what the answer is complete to.
pub async fn search(
    State(parts): State<Arc<AdminParts>>,
    Path(address): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    let who = principal(&parts, &address).await?;
    let mail = &parts.mail;
    let wanted = asked.mailbox.as_deref().map(mailbox_name).transpose()?;
    let position = parts.index.position(&address).await.unwrap_or_default();
    let mailboxes = mail.mailboxes(&who).await?;
    let mailboxes: Vec<(MailboxId, MailboxEntry)> = mailboxes
        .into_iter()
        .filter(|entry| wanted.as_ref().is_none_or(|name| *name == entry.name))
        .filter_map(|entry| Some((entry.id?, entry)))
        .collect();
    if mailboxes.is_empty() {
        return Err(engine_service::Refusal::NoSuchMailbox.into());
    }
    let mut body = match asked.mode {
        Mode::Exact => exact(mail.as_ref(), &who, &asked, mailboxes).await?,
        Mode::Ranked => {
            let mailbox = wanted.and_then(|_| mailboxes.first().map(|(id, _)| *id));
            ranked(mail.as_ref(), &who, &asked, mailbox).await?
        }
    };
    body["position"] = json!(position);
    Ok(([("gotthard-position", position)], Json(body)).into_response())
}

async fn exact(
    mail: &dyn Mail,
    who: &Principal,
    asked: &Asked,
    mailboxes: Vec<(MailboxId, MailboxEntry)>,
) -> Result<Value, Failure> {
    let (mut count, mut shown) = (0, Vec::new());
    for (id, entry) in mailboxes {
        let opened = mail.open_mailbox(who, &entry.name).await?;
        let found = mail.find_text(who, id, query(asked), opened.uids);
        let found = found.await?;
        count += found.len();
        // The newest first.
        let left = asked.limit.min(SHOWN_MAX) - shown.len();
        let newest: UidSet = found.iter().rev().take(left).copied().collect();
        for row in mail.messages(who, id, &newest)?.iter().rev() {
            shown.push(operator_found(mail, entry.name.as_str(), row).await);
        }
    }
    Ok(json!({ "count": count, "messages": shown }))
}

/// Highlights are octets of the snippet's text in UTF-8: from, up to.
async fn ranked(
    mail: &dyn Mail,
    who: &Principal,
    asked: &Asked,
    mailbox: Option<MailboxId>,
) -> Result<Value, Failure> {
    let languages = asked.languages.split(',').filter(|code| !code.is_empty());
    let query = RankedQuery {
        text: asked.q.clone(),
        languages: languages.map(str::to_owned).collect(),
        limit: asked.limit.min(SHOWN_MAX),
        facets: asked.facets,
    };
    // Waits until this node shows all that was acknowledged anywhere.
    mail.status(who, &mailbox_name("INBOX")?).await?;
    let ranking = mail.rank(who, mailbox, query).await?;
    let mut shown = Vec::new();
    for hit in &ranking.best {
        let mut row = operator_found(mail, hit.mailbox.as_str(), &hit.row).await;
        let marks = hit.snippet.marks.iter();
        let highlights: Vec<Value> = marks.map(|mark| json!([mark.start, mark.end])).collect();
        row["score"] = json!(hit.score);
        row["snippet"] = json!({ "text": hit.snippet.text, "highlights": highlights });
        shown.push(row);
    }
    let mut body = json!({ "count": ranking.count, "messages": shown });
    if asked.facets {
        let of = |kind: FacetKind| {
            let own = ranking.facets.iter().filter(|facet| facet.kind == kind);
            own.map(|facet| json!({ "value": facet.label, "messages": facet.messages }))
                .collect::<Vec<Value>>()
        };
        body["facets"] = json!({
            "of": ranking.faceted,
            "mailbox": of(FacetKind::Mailbox),
            "sender": of(FacetKind::Sender),
            "year": of(FacetKind::Year),
            "has_attachment": of(FacetKind::HasAttachment),
        });
    }
    Ok(body)
}

pub async fn status(State(parts): State<Arc<AdminParts>>) -> Json<Value> {
    Json(json!({ "shards": parts.index.states() }))
}

pub async fn rebuild(
    State(parts): State<Arc<AdminParts>>,
    Path(shard): Path<u32>,
) -> Result<Json<Value>, Failure> {
    match parts.index.rebuild(shard) {
        true => Ok(Json(json!({ "shard": shard }))),
        false => Err(Failure::bad_request(format!(
            "shard {shard} has no search index on this node"
        ))),
    }
}

#[derive(Deserialize)]
pub struct Check {
    #[serde(default = "queries")]
    queries: usize,
}

fn queries() -> usize {
    200
}

pub async fn verify(
    State(parts): State<Arc<AdminParts>>,
    Path(address): Path<String>,
    Query(check): Query<Check>,
) -> Result<Json<IndexVerdict>, Failure> {
    let verdict = parts
        .index
        .verify(&address, check.queries.min(10_000))
        .await;
    verdict.map(Json).map_err(Failure::bad_request)
}
