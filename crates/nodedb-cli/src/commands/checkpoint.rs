//! `checkpoint`.

use crate::{answer::Answer, args::CheckpointArgs, context::Context, failure::Failure};
use nodedb::CheckpointRequest;
use nodedb_server::answer::CheckpointAnswer;

pub(super) fn run(args: &CheckpointArgs, context: &mut Context) -> Result<Answer, Failure> {
    let request = CheckpointRequest {
        wait_archive: args.wait_archive,
        base: args.base,
        ..CheckpointRequest::default()
    };
    let answer = CheckpointAnswer::from(context.database()?.checkpoint(request)?);
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
