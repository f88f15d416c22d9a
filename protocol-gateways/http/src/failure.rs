//! A refusal as an HTTP answer: `{"error": "…"}` with a status that says what to do next.

use crate::NotChanged;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use engine_service::Refusal;
use serde_json::json;

pub struct Failure {
    status: StatusCode,
    text: String,
}

impl Failure {
    pub fn bad_request(text: impl Into<String>) -> Failure {
        Failure {
            status: StatusCode::BAD_REQUEST,
            text: text.into(),
        }
    }

    pub fn unauthorized() -> Failure {
        let text =
            "a bearer token is needed: it stands in the file `admin-token` of the data directory";
        Failure {
            status: StatusCode::UNAUTHORIZED,
            text: text.to_owned(),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        let status = match refusal {
            Refusal::NoSuchMailbox | Refusal::NoSuchAddress => StatusCode::NOT_FOUND,
            Refusal::MailboxExists | Refusal::AddressTaken | Refusal::Changed => {
                StatusCode::CONFLICT
            }
            Refusal::Invalid(_) | Refusal::Cannot(_) | Refusal::NulOctet => StatusCode::BAD_REQUEST,
            Refusal::OverQuota | Refusal::Limit(_) => StatusCode::INSUFFICIENT_STORAGE,
            Refusal::TooBig => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::NotAllowed | Refusal::AccountUnavailable => StatusCode::FORBIDDEN,
            Refusal::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            // 504: whoever repeats it must expect that it was done already (promise P8).
            Refusal::OutcomeUnknown => StatusCode::GATEWAY_TIMEOUT,
            Refusal::Damaged(_) | Refusal::Quarantined => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Failure {
            status,
            text: refusal.to_string(),
        }
    }
}

impl From<NotChanged> for Failure {
    fn from(error: NotChanged) -> Failure {
        let status = match error {
            NotChanged::Refused(_) => StatusCode::CONFLICT,
            NotChanged::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Failure {
            status,
            text: error.to_string(),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.text }))).into_response()
    }
}
