//! Documents in the order of their keys, a page at a time.

use super::{
    ask::{Asked, Named, Whose},
    words,
};
use crate::{answer::Row, refusal::Refusal, state::Shared};
use axum::{Json, extract::State};
use nodedb::{Collection, Direction, KeyRange, ScanOptions};
use serde::{Deserialize, Serialize};
use std::ops::Bound;

/// Rows of a page, unless the request says otherwise.
const ROWS: usize = 100;
/// Most rows of a page.
const ROWS_MAX: usize = 10_000;
/// A page ends behind the row that brings it to so many bytes of keys and values.
const PAGE_BYTES: usize = 8 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Words {
    prefix: Option<String>,
    from: Option<String>,
    to: Option<String>,
    #[serde(default)]
    reverse: bool,
    filter: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
    consistency: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Scanned {
    rows: Vec<Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

pub(crate) async fn scan(
    State(shared): State<Shared>,
    whose: Whose,
    Named(name): Named<String>,
    Asked(words): Asked<Words>,
) -> Result<Json<Scanned>, Refusal> {
    let options = options(words)?;
    let page = shared.call(move |database| page(&whose.collection(database, &name)?, options));
    Ok(Json(page.await?))
}

fn options(words: Words) -> Result<ScanOptions, Refusal> {
    let limit = words.limit.unwrap_or(ROWS);
    if !(1..=ROWS_MAX).contains(&limit) {
        return Err(Refusal::input(format!("a limit of {limit} rows: give 1 to {ROWS_MAX}")));
    }
    let from = words.from.as_ref().map_or(Bound::Unbounded, Bound::Included);
    let to = words.to.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    Ok(ScanOptions {
        range: KeyRange::new::<String>((from, to)),
        prefix: words.prefix.unwrap_or_default().into_bytes(),
        direction: if words.reverse { Direction::Descending } else { Direction::Ascending },
        filter: words.filter,
        limit: Some(limit),
        cursor: words.cursor,
        consistency: words::consistency(words.consistency.as_deref())?,
    })
}

/// What is left, by rows or by bytes, is behind the cursor.
fn page(collection: &Collection, options: ScanOptions) -> Result<Scanned, Refusal> {
    let mut scan = collection.scan(options)?;
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while bytes < PAGE_BYTES
        && let Some(document) = scan.next()
    {
        let document = document?;
        bytes += document.key.len() + document.value.len();
        rows.push(Row::of(collection.kind(), &document)?);
    }
    Ok(Scanned { rows, cursor: scan.cursor() })
}
