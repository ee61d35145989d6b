//! `restore`.

use super::time_text;
use crate::{
    answer::Answer,
    args::RestoreArgs,
    context::{Context, Output},
    failure::Failure,
    progress::Progress,
};
use nodedb::{Lsn, RestoreReport, RestoreRequest};
use serde::Serialize;
use std::io::{self, Write};

#[derive(Serialize)]
struct Restored {
    target_lsn: Option<u64>,
    target_time: String,
    base_lsn: Option<u64>,
    objects: u64,
    bytes: u64,
    reached_lsn: Option<u64>,
    warnings: Vec<String>,
}

pub(super) fn run(args: &RestoreArgs, context: &Context) -> Result<Answer, Failure> {
    let request = RestoreRequest {
        archive: args.archive.clone(),
        into: args.into.clone(),
        target: args.to.0.clone(),
    };
    if args.dry_run {
        let plan = Restored::from(nodedb::plan_restore(&request)?);
        let text = plan.text("would restore");
        return Answer::new(&plan, text);
    }
    // A plan for a place that is taken would only stand before the refusal.
    let taken = context.env.files.entry(&args.into).is_ok_and(|entry| entry.is_some());
    if context.output == Output::Text && !taken {
        let plan = Restored::from(nodedb::plan_restore(&request)?);
        writeln!(io::stderr(), "{}", plan.text("restoring")).map_err(Failure::Output)?;
    }
    let progress = Progress::counting("records");
    let report = nodedb::restore(&request, &mut |now| progress.set(now.lsn.get()))?;
    drop(progress);
    let restored = Restored::from(report);
    let text = restored.text(&format!("restored into {}:", args.into.display()));
    Answer::new(&restored, text)
}

impl From<RestoreReport> for Restored {
    fn from(report: RestoreReport) -> Self {
        Self {
            target_lsn: report.target_lsn.map(Lsn::get),
            target_time: time_text(report.target_time_ms),
            base_lsn: report.base_lsn.map(Lsn::get),
            objects: report.objects,
            bytes: report.bytes,
            reached_lsn: report.reached_lsn.map(Lsn::get),
            warnings: report.warnings,
        }
    }
}

impl Restored {
    fn text(&self, what: &str) -> String {
        let lsn = |lsn: Option<u64>| lsn.map_or_else(|| "none".to_owned(), |lsn| lsn.to_string());
        let base =
            self.base_lsn.map_or_else(|| "the beginning".to_owned(), |lsn| format!("base {lsn}"));
        let (objects, bytes) = (self.objects, self.bytes);
        let end = self.reached_lsn.or(self.target_lsn);
        let mut text =
            format!("{what} {base} and log up to {}, {objects} objects, {bytes} bytes", lsn(end));
        for warning in &self.warnings {
            text.push_str("\nwarning: ");
            text.push_str(warning);
        }
        text
    }
}
