//! A request that was refused or failed, and the status of each kind.

use crate::answer::AnswerError;
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use nodedb::ErrorKind;
use serde_json::json;
use std::{error::Error, fmt};

/// Why a request was not done. Answered as `{"error": {"kind", "message"}}`.
#[derive(Debug)]
pub(crate) struct Refusal {
    kind: ErrorKind,
    message: String,
    status: StatusCode,
}

impl Refusal {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), status: status_of(kind) }
    }

    pub(crate) fn input(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::InvalidInput, message.to_string())
    }

    pub(crate) fn busy(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Busy, message)
    }

    /// The same with a status that says more than its kind.
    #[must_use]
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

/// The status of a kind.
pub(crate) const fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::AlreadyExists | ErrorKind::Conflict | ErrorKind::WrongHistory => {
            StatusCode::CONFLICT
        }
        ErrorKind::SnapshotExpired | ErrorKind::IdempotencyExpired => StatusCode::GONE,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::NoSpace => StatusCode::INSUFFICIENT_STORAGE,
        ErrorKind::Busy
        | ErrorKind::ReadOnly
        | ErrorKind::Locked
        | ErrorKind::ArchiveBackpressure
        | ErrorKind::Fenced
        | ErrorKind::Poisoned
        | ErrorKind::Closed => StatusCode::SERVICE_UNAVAILABLE,
        // What no caller can correct; also a kind of the future.
        ErrorKind::Corrupt
        | ErrorKind::Gap
        | ErrorKind::UnsupportedFormat
        | ErrorKind::Io
        | ErrorKind::Internal
        | _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<nodedb::Error> for Refusal {
    fn from(error: nodedb::Error) -> Self {
        Self::new(error.kind(), line(&error))
    }
}

impl From<AnswerError> for Refusal {
    fn from(error: AnswerError) -> Self {
        Self::new(error.kind(), line(&error))
    }
}

/// Message and causes in one line; a cause that the message repeats already stands once.
fn line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({"error": {"kind": self.kind.name(), "message": self.message}});
        let mut response = (self.status, Json(body)).into_response();
        if self.kind.is_temporary() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
