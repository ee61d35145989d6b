//! Documents by key, and atomic batches.

use super::{
    ask::{Asked, Named, Sent, SentJson, Whose},
    words,
};
use crate::{
    answer::{Row, parse_batch, parse_expect},
    refusal::Refusal,
    state::Shared,
};
use axum::{Json, extract::State};
use nodedb::{BatchOptions, ErrorKind, ReadOptions, Version, WriteOptions};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadWords {
    consistency: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutWords {
    expect: Option<String>,
    ttl_s: Option<u32>,
    idempotency: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteWords {
    expect: Option<String>,
    idempotency: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchWords {
    idempotency: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Put {
    lsn: u64,
    version: String,
}

#[derive(Serialize)]
pub(crate) struct Deleted {
    lsn: u64,
    deleted: u64,
}

#[derive(Serialize)]
pub(crate) struct Batch {
    lsn: u64,
    versions: Vec<String>,
}

pub(crate) async fn get(
    State(shared): State<Shared>,
    whose: Whose,
    Named((name, key)): Named<(String, String)>,
    Asked(words): Asked<ReadWords>,
) -> Result<Json<Row>, Refusal> {
    let consistency = words::consistency(words.consistency.as_deref())?;
    let read = shared.call(move |database| {
        let collection = whose.collection(database, &name)?;
        let document =
            collection.get_with(&key, ReadOptions { consistency })?.ok_or_else(|| {
                let message = format!("collection `{name}` has no key `{key}`");
                Refusal::new(ErrorKind::NotFound, message)
            })?;
        Ok(Row::of(collection.kind(), &document)?)
    });
    Ok(Json(read.await?))
}

/// The body is the value: JSON, or the bytes of a bytes collection.
pub(crate) async fn put(
    State(shared): State<Shared>,
    whose: Whose,
    Named((name, key)): Named<(String, String)>,
    Asked(words): Asked<PutWords>,
    Sent(value): Sent,
) -> Result<Json<Put>, Refusal> {
    let options = WriteOptions {
        expect: words.expect.as_deref().map(parse_expect).transpose()?,
        ttl: words.ttl_s.map(|seconds| Duration::from_secs(seconds.into())),
        idempotency: words::idempotency(words.idempotency.as_deref())?,
        ..WriteOptions::default()
    };
    let write = shared.call(move |database| {
        Ok(whose.collection(database, &name)?.put_raw(&key, &value, options)?)
    });
    let written = write.await?;
    Ok(Json(Put { lsn: written.lsn.get(), version: written.version.to_string() }))
}

pub(crate) async fn delete(
    State(shared): State<Shared>,
    whose: Whose,
    Named((name, key)): Named<(String, String)>,
    Asked(words): Asked<DeleteWords>,
) -> Result<Json<Deleted>, Refusal> {
    let options = WriteOptions {
        expect: words.expect.as_deref().map(parse_expect).transpose()?,
        idempotency: words::idempotency(words.idempotency.as_deref())?,
        ..WriteOptions::default()
    };
    let delete = shared
        .call(move |database| Ok(whose.collection(database, &name)?.delete(&key, options)?));
    Ok(Json(Deleted { lsn: delete.await?.get(), deleted: 1 }))
}

pub(crate) async fn batch(
    State(shared): State<Shared>,
    whose: Whose,
    Asked(words): Asked<BatchWords>,
    SentJson(body): SentJson,
) -> Result<Json<Batch>, Refusal> {
    let options = BatchOptions { idempotency: words::idempotency(words.idempotency.as_deref())? };
    let write = shared.call(move |database| {
        let tenant = whose.tenant(database)?;
        Ok(tenant.batch_with(&parse_batch(&body, &tenant)?, options)?)
    });
    let written = write.await?;
    let versions = written.versions.iter().map(Version::to_string).collect();
    Ok(Json(Batch { lsn: written.lsn.get(), versions }))
}
