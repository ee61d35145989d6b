//! Texts of options as values.

use jiff::Timestamp;
use nodedb::{
    Consistency, Durability, Expect, FieldPath, IdempotencyId, Lsn, Metric, Name, RestoreTarget,
    VectorField, VectorStorage, Version, WatchFrom,
};
use nodedb_server::answer::parse_expect;
use std::{str::FromStr, time::Duration};

/// `absent`, or the version of an earlier answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected(pub(crate) Expect);

impl FromStr for Expected {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_expect(text).map(Self).map_err(|error| error.to_string())
    }
}

/// `latest`, `lsn:N`, `time:RFC3339` or `point:NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target(pub(crate) RestoreTarget);

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let target = match text.split_once(':') {
            None if text == "latest" => Ok(RestoreTarget::Latest),
            Some(("lsn", number)) => parse_lsn(number).map(RestoreTarget::Lsn),
            Some(("time", time)) => parse_time(time).map(RestoreTarget::Time),
            Some(("point", name)) => {
                Name::new(name).map(RestoreTarget::Point).map_err(|error| error.to_string())
            }
            _ => Err("unknown target".to_owned()),
        };
        let wanted = "give latest, lsn:N, time:RFC3339 or point:NAME";
        target.map(Self).map_err(|why| format!("{why}: {wanted}"))
    }
}

/// A record number.
pub(crate) fn parse_lsn(text: &str) -> Result<Lsn, String> {
    let lsn = text.parse().ok().and_then(Lsn::from_u64);
    lsn.ok_or_else(|| format!("`{text}` is no record number from 1 on"))
}

/// Milliseconds since 1970.
fn parse_time(text: &str) -> Result<u64, String> {
    let time: Timestamp = text.parse().map_err(|error| format!("{error}"))?;
    u64::try_from(time.as_millisecond()).or(Err("the time lies before 1970".to_owned()))
}

/// `sync`, `buffered` or `periodic:MS`.
pub(crate) fn parse_durability(text: &str) -> Result<Durability, String> {
    match text.split_once(':') {
        None if text == "sync" => Ok(Durability::Sync),
        None if text == "buffered" => Ok(Durability::Buffered),
        Some(("periodic", ms)) => match ms.parse() {
            Ok(ms @ 1..=3_600_000) => Ok(Durability::Periodic { every: Duration::from_millis(ms) }),
            _ => Err(format!("`{ms}` is no period: give 1 to 3600000 milliseconds")),
        },
        _ => Err("give sync, buffered or periodic:MS".to_owned()),
    }
}

/// `PATH` or `PATH:unique`.
pub(crate) fn parse_field_path(text: &str) -> Result<FieldPath, String> {
    let (path, unique) = text.strip_suffix(":unique").map_or((text, false), |path| (path, true));
    if path.is_empty() {
        return Err("the path is empty: give PATH or PATH:unique".to_owned());
    }
    Ok(FieldPath { path: path.to_owned(), unique })
}

/// `FIELD:DIM:cosine|l2|dot[:f32|bf16|i8]`. The field may hold colons itself.
pub(crate) fn parse_vector_field(text: &str) -> Result<VectorField, String> {
    let wrong = |why: &str| format!("{why}: give FIELD:DIM:cosine|l2|dot[:f32|bf16|i8]");
    let (rest, storage) = match text.rsplit_once(':') {
        Some((rest, "f32")) => (rest, VectorStorage::F32),
        Some((rest, "bf16")) => (rest, VectorStorage::Bf16),
        Some((rest, "i8")) => (rest, VectorStorage::I8),
        _ => (text, VectorStorage::default()),
    };
    let (rest, metric) = rest.rsplit_once(':').ok_or_else(|| wrong("parts are missing"))?;
    let metric = match metric {
        "cosine" => Metric::Cosine,
        "l2" => Metric::L2,
        "dot" => Metric::Dot,
        other => return Err(wrong(&format!("`{other}` is no metric or storage"))),
    };
    let (field, dimensions) = rest.rsplit_once(':').ok_or_else(|| wrong("parts are missing"))?;
    let dimensions =
        dimensions.parse().or(Err(wrong(&format!("`{dimensions}` is no number of dimensions"))))?;
    if field.is_empty() {
        return Err(wrong("the field is empty"));
    }
    Ok(VectorField { field: field.to_owned(), dimensions, metric, storage })
}

/// How fresh a read is: `strong`, `bounded:MS` or `eventual`.
pub(crate) fn parse_consistency(text: &str) -> Result<Consistency, String> {
    match text.split_once(':') {
        None if text == "strong" => Ok(Consistency::Strong),
        None if text == "eventual" => Ok(Consistency::Eventual),
        Some(("bounded", ms)) => match ms.parse() {
            Ok(ms @ 0..=3_600_000) => Ok(Consistency::BoundedStaleness(Duration::from_millis(ms))),
            _ => Err(format!("`{ms}` is no bound: give 0 to 3600000 milliseconds")),
        },
        _ => Err(format!("`{text}` is no consistency: give strong, bounded:MS or eventual")),
    }
}

/// Where a watch begins: after a token, or at a position of the log.
pub(crate) fn parse_watch_from(text: &str) -> Result<WatchFrom, String> {
    if let Ok(lsn) = text.parse() {
        let lsn = Lsn::from_u64(lsn).ok_or("positions of the log begin at 1")?;
        return Ok(WatchFrom::At(lsn));
    }
    let token = Version::parse(text).map_err(|error| error.to_string())?;
    Ok(WatchFrom::After(token))
}

/// A name of a write that is safe to send again.
pub(crate) fn parse_idempotency(text: &str) -> Result<IdempotencyId, String> {
    IdempotencyId::new(text).map_err(|error| error.to_string())
}
