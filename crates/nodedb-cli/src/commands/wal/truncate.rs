//! `wal truncate`.

use crate::{answer::Answer, args::TruncateArgs, context::Context, failure::Failure};
use nodedb::{Loss, Lsn};
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct Truncated {
    /// The record that was asked for.
    at_lsn: u64,
    /// The last record that is there now.
    kept_lsn: Option<u64>,
    last_valid_lsn: Option<u64>,
    dropped: Option<Dropped>,
    /// Whether more may be gone than `dropped` names.
    open_ended: bool,
    dropped_bytes: u64,
    files: Vec<String>,
    /// Where the originals of the files are.
    copies: Option<String>,
    /// Whether an earlier run had begun it.
    resumed: bool,
}

#[derive(Serialize)]
struct Dropped {
    first_lsn: u64,
    last_lsn: u64,
    records: u64,
}

pub(super) fn run(args: &TruncateArgs, context: &Context) -> Result<Answer, Failure> {
    let dir = context.dir()?;
    if !args.accept_data_loss {
        let loss = nodedb::plan_log_truncation(dir, args.at)?;
        if !loss.files.is_empty() {
            return Err(Failure::DataLoss { message: would_be_lost(&loss) });
        }
        return answer(&loss, None, false);
    }
    let report = nodedb::truncate_log(dir, args.at, args.copies.as_deref())?;
    answer(&report.loss, report.copies.as_deref(), report.resumed)
}

/// The records that go, in words.
fn lost(loss: &Loss) -> String {
    let dropped = loss.dropped;
    let named = match dropped.last() {
        Some(last) if last == dropped.start() => format!("record {last}"),
        Some(last) => format!("records {} to {last} ({})", dropped.start(), dropped.count()),
        None => "no record that is known".to_owned(),
    };
    let more = if loss.open_ended { ", and those of a segment that tells nothing" } else { "" };
    format!("{named}{more}")
}

fn end(loss: &Loss) -> String {
    loss.kept
        .map_or_else(|| "the log is empty".to_owned(), |kept| format!("the log ends at {kept}"))
}

fn would_be_lost(loss: &Loss) -> String {
    format!(
        "{} would be lost: {} then; give --accept-data-loss to do it, or restore from an archive",
        lost(loss),
        end(loss)
    )
}

fn answer(loss: &Loss, copies: Option<&Path>, resumed: bool) -> Result<Answer, Failure> {
    let truncated = Truncated {
        at_lsn: loss.at.get(),
        kept_lsn: loss.kept.map(Lsn::get),
        last_valid_lsn: loss.last_valid.map(Lsn::get),
        dropped: loss.dropped.last().map(|last| Dropped {
            first_lsn: loss.dropped.start().get(),
            last_lsn: last.get(),
            records: loss.dropped.count(),
        }),
        open_ended: loss.open_ended,
        dropped_bytes: loss.dropped_bytes,
        files: loss.files.iter().map(|path| path.display().to_string()).collect(),
        copies: copies.map(|path| path.display().to_string()),
        resumed,
    };
    let text = match copies {
        None => format!("{} already, and is sound: nothing was done", end(loss)),
        Some(copies) => format!(
            "{}; lost: {}, {} bytes\nthe originals of {} files are in {}",
            end(loss),
            lost(loss),
            loss.dropped_bytes,
            loss.files.len(),
            copies.display()
        ),
    };
    Answer::new(&truncated, text)
}
