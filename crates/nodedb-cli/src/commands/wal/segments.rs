//! `wal segments`.

use super::time_text;
use crate::{answer::Answer, context::Context, failure::Failure};
use nodedb::Lsn;
use serde::Serialize;

#[derive(Serialize)]
struct Segments {
    segments: Vec<Segment>,
}

#[derive(Serialize)]
struct Segment {
    number: u64,
    file: String,
    first_lsn: u64,
    last_lsn: Option<u64>,
    bytes: u64,
    sealed: bool,
    created: String,
}

pub(super) fn run(context: &Context) -> Result<Answer, Failure> {
    let segments = nodedb::log_segments(context.dir()?)?.into_iter().map(|segment| Segment {
        number: segment.number,
        file: segment.path.display().to_string(),
        first_lsn: segment.first_lsn.get(),
        last_lsn: segment.last_lsn.map(Lsn::get),
        bytes: segment.bytes,
        sealed: segment.sealed,
        created: time_text(segment.created_unix_ms),
    });
    let segments = Segments { segments: segments.collect() };
    let mut lines = vec!["NUMBER  FIRST  LAST  BYTES  STATE  CREATED".to_owned()];
    lines.extend(segments.segments.iter().map(|segment| {
        let Segment { number, first_lsn, last_lsn, bytes, sealed, created, .. } = segment;
        let last = last_lsn.map_or_else(|| "-".to_owned(), |last| last.to_string());
        let state = if *sealed { "sealed" } else { "open" };
        format!("{number}  {first_lsn}  {last}  {bytes}  {state}  {created}")
    }));
    Answer::new(&segments, lines.join("\n"))
}
