//! Which path leads where, who may walk it, and the listener's life.

use crate::failure::Failure;
use crate::limits::{DRAIN_MAX, IMPORT_SLACK_BYTES, JSON_BYTES_MAX};
use crate::{
    HealthSource, IndexSource, Membership, ReceiptSource, TraceSource, accounts, addresses, health,
    membership, messages, receipt, search, sessions, trace,
};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use engine_service::{Administration, Mail};
use gateway_session::Sessions;
use std::future::IntoFuture;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What the admin listener works on.
pub struct AdminParts {
    pub administration: Arc<dyn Administration>,
    pub mail: Arc<dyn Mail>,
    pub health: Arc<dyn HealthSource>,
    pub membership: Arc<dyn Membership>,
    pub sessions: Sessions,
    pub trace: Arc<dyn TraceSource>,
    pub receipts: Arc<dyn ReceiptSource>,
    pub index: Arc<dyn IndexSource>,
    /// The bearer token of `/admin`. Never logged.
    pub token: String,
}

fn router(parts: Arc<AdminParts>) -> Router {
    let import_bytes_max = parts.mail.message_bytes_max() as usize + IMPORT_SLACK_BYTES;
    let admin = Router::new()
        .route("/accounts", get(accounts::list).post(accounts::add))
        .route("/accounts/{address}", delete(accounts::remove))
        .route(
            "/accounts/{address}/password",
            put(accounts::set_credential),
        )
        .route("/accounts/{address}/quota", put(accounts::set_quota))
        .route("/accounts/{address}/state", put(accounts::set_state))
        .route("/addresses", get(addresses::list).post(addresses::add))
        .route("/addresses/{address}", delete(addresses::remove))
        .route("/cluster", get(membership::cluster))
        .route("/nodes", post(membership::add))
        .route("/nodes/{node}", delete(membership::remove))
        .route("/leader", post(membership::transfer))
        .route("/policy", put(membership::set_policy))
        .route("/trace", get(trace::trace))
        .route("/receipt", get(receipt::receipt))
        .route("/search/{address}", get(search::search))
        .route("/index", get(search::status))
        .route("/index/{shard}/rebuild", post(search::rebuild))
        .route("/index/verify/{address}", get(search::verify))
        .route("/sessions", get(sessions::list))
        .route("/sessions/{id}", delete(sessions::kick))
        .layer(DefaultBodyLimit::max(JSON_BYTES_MAX))
        .merge(
            Router::new()
                .route("/mailboxes/{address}", get(messages::mailboxes))
                .route("/messages/{address}", get(messages::page))
                .route("/messages/{address}/{uid}", get(messages::content))
                .route("/messages/{address}", post(messages::import))
                .layer(DefaultBodyLimit::max(import_bytes_max)),
        )
        .layer(middleware::from_fn_with_state(
            Arc::clone(&parts),
            with_token,
        ));
    Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/health/replication", get(health::replication))
        .route("/metrics", get(health::metrics))
        .nest("/admin", admin)
        .with_state(parts)
}

/// Compares in time that does not depend on where the tokens differ.
fn same_token(given: &str, expected: &str) -> bool {
    given.len() == expected.len()
        && given
            .bytes()
            .zip(expected.bytes())
            .fold(0, |sum, (a, b)| sum | (a ^ b))
            == 0
}

async fn with_token(
    State(parts): State<Arc<AdminParts>>,
    request: Request,
    next: Next,
) -> Response {
    let given = request
        .headers()
        .get("authorization")
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.strip_prefix("Bearer "));
    match given {
        Some(token) if same_token(token, &parts.token) => next.run(request).await,
        _ => Failure::unauthorized().into_response(),
    }
}

/// Serves until `shutdown` turns true, then lets open requests end within `DRAIN_MAX`.
pub async fn serve(
    listener: TcpListener,
    parts: AdminParts,
    shutdown: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut drain = shutdown.clone();
    let mut end = shutdown;
    let serving =
        axum::serve(listener, router(Arc::new(parts))).with_graceful_shutdown(async move {
            // An error means that the server itself is gone: shut down as well.
            let _ = drain.wait_for(|down| *down).await;
        });
    tokio::select! {
        result = serving.into_future() => result,
        () = async {
            let _ = end.wait_for(|down| *down).await;
            tokio::time::sleep(DRAIN_MAX).await;
        } => Ok(()),
    }
}
