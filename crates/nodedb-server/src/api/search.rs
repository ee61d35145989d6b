//! Nearest documents.

use super::ask::{Named, SentJson, Whose};
use crate::{answer::Row, refusal::Refusal, state::Shared};
use axum::{Json, extract::State};
use nodedb::{Collection, Effort, Near, SearchOptions};
use serde::{Deserialize, Serialize};

/// Hits, unless the request says otherwise.
const HITS: usize = 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    field: String,
    vector: Option<Vec<f32>>,
    like: Option<String>,
    k: Option<usize>,
    filter: Option<String>,
    ef: Option<usize>,
    #[serde(default)]
    exact: bool,
}

#[derive(Serialize)]
pub(crate) struct Found {
    hits: Vec<FoundHit>,
}

#[derive(Serialize)]
struct FoundHit {
    distance: f32,
    #[serde(flatten)]
    row: Row,
}

pub(crate) async fn search(
    State(shared): State<Shared>,
    whose: Whose,
    Named(name): Named<String>,
    body: SentJson,
) -> Result<Json<Found>, Refusal> {
    let options = options(body.parse()?)?;
    let search = shared.call(move |database| found(&whose.collection(database, &name)?, options));
    Ok(Json(search.await?))
}

fn options(search: Search) -> Result<SearchOptions, Refusal> {
    let near = match (search.vector, search.like) {
        (Some(vector), None) => {
            if let Some(at) = vector.iter().position(|number| !number.is_finite()) {
                return Err(Refusal::input(format!("number {} is out of range", at + 1)));
            }
            Near::Vector(vector)
        }
        (None, Some(key)) => Near::Key(key.into_bytes()),
        _ => return Err(Refusal::input("give either `vector` or `like`")),
    };
    let effort = match (search.ef, search.exact) {
        (None, false) => Effort::Usual,
        (Some(candidates), false) => Effort::Candidates(candidates),
        (None, true) => Effort::Exact,
        (Some(_), true) => return Err(Refusal::input("give either `ef` or `exact`")),
    };
    let k = search.k.unwrap_or(HITS);
    Ok(SearchOptions { field: search.field, near, k, filter: search.filter, effort })
}

fn found(collection: &Collection, options: SearchOptions) -> Result<Found, Refusal> {
    let hits = collection.search(options)?.into_iter().map(|hit| {
        let row = Row::of(collection.kind(), &hit.document)?;
        Ok(FoundHit { distance: hit.distance, row })
    });
    Ok(Found { hits: hits.collect::<Result<_, Refusal>>()? })
}
