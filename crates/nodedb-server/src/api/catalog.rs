//! Collections: list, create, drop.

use super::{
    ask::{Named, SentJson, Whose},
    words,
};
use crate::{answer::CollectionAnswer, refusal::Refusal, state::Shared};
use axum::{Json, extract::State};
use nodedb::{FieldPath, NewCollection, NewIndex, VectorField};
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
pub(crate) struct Collections {
    collections: Vec<CollectionAnswer>,
}

#[derive(Serialize)]
pub(crate) struct Dropped {
    lsn: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    name: String,
    kind: Option<String>,
    partitions: Option<u16>,
    #[serde(default)]
    vectors: Vec<Vector>,
    #[serde(default)]
    indexes: Vec<Ordered>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    field: String,
    dimensions: u32,
    metric: String,
    storage: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ordered {
    path: String,
    #[serde(default)]
    unique: bool,
}

pub(crate) async fn list(
    State(shared): State<Shared>,
    whose: Whose,
) -> Result<Json<Collections>, Refusal> {
    let listed = shared.call(move |database| Ok(whose.tenant(database)?.collections()?)).await?;
    Ok(answer(listed.into_iter().map(CollectionAnswer::from).collect()))
}

pub(crate) async fn create(
    State(shared): State<Shared>,
    whose: Whose,
    body: SentJson,
) -> Result<Json<Collections>, Refusal> {
    let new = new_collection(body.parse()?)?;
    let create = shared.call(move |database| Ok(whose.tenant(database)?.create_collection(new)?));
    Ok(answer(vec![CollectionAnswer::from(create.await?)]))
}

pub(crate) async fn drop_collection(
    State(shared): State<Shared>,
    whose: Whose,
    Named(name): Named<String>,
) -> Result<Json<Dropped>, Refusal> {
    let lsn = shared.call(move |database| Ok(whose.tenant(database)?.drop_collection(&name)?));
    Ok(Json(Dropped { lsn: lsn.await?.get() }))
}

fn answer(collections: Vec<CollectionAnswer>) -> Json<Collections> {
    Json(Collections { collections })
}

fn new_collection(create: Create) -> Result<NewCollection, Refusal> {
    let kind = words::kind(create.kind.as_deref())?;
    let vector = |vector: Vector| {
        Ok(NewIndex::Vector(VectorField {
            field: vector.field,
            dimensions: vector.dimensions,
            metric: words::metric(&vector.metric)?,
            storage: words::storage(vector.storage.as_deref())?,
        }))
    };
    let vectors = create.vectors.into_iter().map(vector);
    let mut indexes = vectors.collect::<Result<Vec<_>, Refusal>>()?;
    let ordered = |Ordered { path, unique }| NewIndex::Field(FieldPath { path, unique });
    indexes.extend(create.indexes.into_iter().map(ordered));
    Ok(NewCollection { name: create.name, kind, partitions: create.partitions, indexes })
}
