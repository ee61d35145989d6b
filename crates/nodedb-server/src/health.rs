//! `/healthz` and `/v1/status`.

use crate::{answer::StatusAnswer, refusal::Refusal, state::Shared};
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use nodedb::Health;
use serde_json::json;

/// 200 if the database does all that it should, else 503 with the reasons.
pub(crate) async fn healthz(State(shared): State<Shared>) -> Result<Response, Refusal> {
    let health = shared.database.status()?.health;
    let is_ok = health == Health::Ok;
    let status = if is_ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({"health": health.name(), "reasons": health.reasons()});
    Ok((status, Json(body)).into_response())
}

/// Reads memory only, so it is answered also when no thread for requests is free.
pub(crate) async fn status(State(shared): State<Shared>) -> Result<Json<StatusAnswer>, Refusal> {
    Ok(Json(StatusAnswer::from(shared.database.status()?)))
}
