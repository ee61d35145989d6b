//! `verify`.

use crate::{
    answer::Answer,
    args::{VerifyArgs, VerifyDepth},
    context::Context,
    failure::Failure,
};
use nodedb::{Problem, VerifyLevel, VerifyReport};
use serde::Serialize;

/// Exit code of a verification that found damage.
const DAMAGED: u8 = 2;

#[derive(Serialize)]
struct Verified {
    ok: bool,
    checked: Checked,
    problems: Vec<Found>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Checked {
    files: u64,
    bytes: u64,
    records: u64,
}

#[derive(Serialize)]
struct Found {
    kind: &'static str,
    path: String,
    /// First and last record.
    lsn_range: Option<[u64; 2]>,
    message: String,
}

pub(super) fn run(args: &VerifyArgs, context: &mut Context) -> Result<Answer, Failure> {
    let report = match &args.archive {
        Some(url) => nodedb::verify_archive(url, args.level.into())?,
        None => nodedb::verify_database(context.dir()?)?,
    };
    answer(report)
}

impl From<VerifyDepth> for VerifyLevel {
    fn from(depth: VerifyDepth) -> Self {
        match depth {
            VerifyDepth::Chain => Self::Chain,
            VerifyDepth::Content => Self::Content,
        }
    }
}

pub(super) fn answer(report: VerifyReport) -> Result<Answer, Failure> {
    let ok = report.is_ok();
    let VerifyReport { checked, problems, notes } = report;
    let verified = Verified {
        ok,
        checked: Checked { files: checked.files, bytes: checked.bytes, records: checked.records },
        problems: problems.into_iter().map(found).collect(),
        notes,
    };
    let Checked { files, bytes, records } = &verified.checked;
    let verdict = if ok { "sound" } else { "DAMAGED" };
    let mut lines = vec![format!("{verdict}: {files} files, {bytes} bytes, {records} records")];
    lines.extend(verified.problems.iter().map(|problem| {
        let Found { kind, path, lsn_range, message } = problem;
        let range = lsn_range.map(|[first, last]| format!(" records {first} to {last}"));
        let range = range.unwrap_or_default();
        format!("{kind}: {path}{range}: {message}")
    }));
    lines.extend(verified.notes.iter().map(|note| format!("note: {note}")));
    let answer = Answer::new(&verified, lines.join("\n"))?;
    Ok(if ok { answer } else { answer.with_exit(DAMAGED) })
}

fn found(problem: Problem) -> Found {
    Found {
        kind: problem.kind.name(),
        path: problem.path,
        lsn_range: problem.lsn_range.map(|(first, last)| [first.get(), last.get()]),
        message: problem.message,
    }
}
