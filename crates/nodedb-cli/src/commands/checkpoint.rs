//! `checkpoint`.

use crate::{answer::Answer, args::CheckpointArgs, context::Context, failure::Failure};
use nodedb::{CheckpointRequest, Lsn};
use serde::Serialize;

#[derive(Serialize)]
struct Checkpointed {
    outcome: &'static str,
    checkpoint_lsn: Option<u64>,
    redo_lsn: u64,
    archived_lsn: Option<u64>,
    reclaimed_segments: u64,
    held_by: Vec<String>,
}

pub(super) fn run(args: &CheckpointArgs, context: &mut Context) -> Result<Answer, Failure> {
    let request = CheckpointRequest {
        wait_archive: args.wait_archive,
        base: args.base,
        ..CheckpointRequest::default()
    };
    let report = context.database()?.checkpoint(request)?;
    let answer = Checkpointed {
        outcome: report.outcome.name(),
        checkpoint_lsn: report.checkpoint_lsn.map(Lsn::get),
        redo_lsn: report.redo_lsn.get(),
        archived_lsn: report.archived_lsn.map(Lsn::get),
        reclaimed_segments: report.reclaimed_segments,
        held_by: report.held_by,
    };
    let shown = |lsn: Option<u64>| lsn.map_or_else(|| "none".to_owned(), |lsn| lsn.to_string());
    let mut text = format!(
        "{}: recovery begins at {}, archived up to {}, {} segments reclaimed",
        answer.outcome,
        answer.redo_lsn,
        shown(answer.archived_lsn),
        answer.reclaimed_segments
    );
    if !answer.held_by.is_empty() {
        text.push_str("; the log is held by: ");
        text.push_str(&answer.held_by.join("; "));
    }
    Answer::new(&answer, text)
}
