//! Words of requests as values.

use crate::refusal::Refusal;
use nodedb::{CollectionKind, Consistency, IdempotencyId, Metric, VectorStorage};
use std::time::Duration;

pub(super) fn idempotency(text: Option<&str>) -> Result<Option<IdempotencyId>, Refusal> {
    let id = |text: &str| IdempotencyId::new(text).map_err(Refusal::input);
    text.map(id).transpose()
}

/// `strong`, `eventual`, or `bounded:MS`.
pub(super) fn consistency(text: Option<&str>) -> Result<Consistency, Refusal> {
    match text.map(|text| text.split_once(':').unwrap_or((text, ""))) {
        None | Some(("strong", "")) => Ok(Consistency::Strong),
        Some(("eventual", "")) => Ok(Consistency::Eventual),
        Some(("bounded", ms)) => match ms.parse() {
            Ok(ms @ 0..=3_600_000) => Ok(Consistency::BoundedStaleness(Duration::from_millis(ms))),
            _ => Err(Refusal::input(format!("`{ms}` is no bound: give 0 to 3600000 milliseconds"))),
        },
        Some(_) => Err(Refusal::input("give the consistency strong, bounded:MS or eventual")),
    }
}

pub(super) fn kind(text: Option<&str>) -> Result<CollectionKind, Refusal> {
    match text {
        None | Some("document") => Ok(CollectionKind::Document),
        Some("bytes") => Ok(CollectionKind::Bytes),
        Some("crdt") => Ok(CollectionKind::Crdt),
        Some(other) => Err(unknown("kind", other, "document, bytes or crdt")),
    }
}

pub(super) fn metric(text: &str) -> Result<Metric, Refusal> {
    match text {
        "cosine" => Ok(Metric::Cosine),
        "l2" => Ok(Metric::L2),
        "dot" => Ok(Metric::Dot),
        other => Err(unknown("metric", other, "cosine, l2 or dot")),
    }
}

pub(super) fn storage(text: Option<&str>) -> Result<VectorStorage, Refusal> {
    match text {
        None => Ok(VectorStorage::default()),
        Some("f32") => Ok(VectorStorage::F32),
        Some("bf16") => Ok(VectorStorage::Bf16),
        Some("i8") => Ok(VectorStorage::I8),
        Some(other) => Err(unknown("storage", other, "f32, bf16 or i8")),
    }
}

fn unknown(what: &str, given: &str, wanted: &str) -> Refusal {
    Refusal::input(format!("`{given}` is no {what}: give {wanted}"))
}
