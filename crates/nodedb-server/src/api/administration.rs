//! Checkpoints and restore points.

use super::ask::SentJson;
use crate::{answer::CheckpointAnswer, refusal::Refusal, state::Shared};
use axum::{Json, extract::State};
use nodedb::CheckpointRequest;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Checkpoint {
    #[serde(default)]
    wait_archive: bool,
    #[serde(default)]
    base: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPoint {
    name: String,
}

#[derive(Serialize)]
pub(crate) struct Point {
    name: String,
    lsn: u64,
    unix_ms: u64,
}

pub(crate) async fn checkpoint(
    State(shared): State<Shared>,
    body: SentJson,
) -> Result<Json<CheckpointAnswer>, Refusal> {
    let Checkpoint { wait_archive, base } = body.parse()?;
    let request = CheckpointRequest { wait_archive, base, ..CheckpointRequest::default() };
    let report = shared.call(move |database| Ok(database.checkpoint(request)?)).await?;
    Ok(Json(CheckpointAnswer::from(report)))
}

pub(crate) async fn restore_point(
    State(shared): State<Shared>,
    body: SentJson,
) -> Result<Json<Point>, Refusal> {
    let NewPoint { name } = body.parse()?;
    let named = name.clone();
    let point = shared.call(move |database| Ok(database.restore_point(&named)?)).await?;
    Ok(Json(Point { name, lsn: point.lsn.get(), unix_ms: point.time_ms }))
}
