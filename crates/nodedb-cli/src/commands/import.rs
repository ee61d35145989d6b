//! `import`.

use crate::{
    answer::Answer,
    args::{ImportArgs, OnError},
    context::Context,
    failure::Failure,
    interrupt::{Interrupt, Lines},
    progress::Progress,
    user_file,
};
use nodedb::{ImportOptions, ImportReport};
use serde::Serialize;
use std::fmt::Write;

#[derive(Serialize)]
struct ImportAnswer {
    imported: u64,
    skipped: u64,
    errors: Vec<LineError>,
}

#[derive(Serialize)]
struct LineError {
    line: u64,
    message: String,
}

pub(super) fn run(args: &ImportArgs, context: &mut Context) -> Result<Answer, Failure> {
    context.check_standard(&args.file)?;
    let collection = context.collection(&args.collection)?;
    // Opened after the collection: a wrong name must not wait for the end of a pipe.
    let file = user_file::reader(&args.file)?;
    context.interrupt = Interrupt::listen();
    let options = ImportOptions {
        key_field: args.key.clone(),
        batch: args.batch,
        on_error: match args.on_error {
            OnError::Stop => nodedb::OnError::Stop,
            OnError::Skip => nodedb::OnError::Skip,
        },
    };
    let progress = Progress::counting("documents");
    let mut lines = 0;
    let started = context.env.clock.now();
    let reader = Lines::new(file, context.interrupt.clone());
    let report = collection.import(reader, &options, &mut |now| {
        lines = now.lines;
        progress.set(now.imported);
    })?;
    drop(progress);
    if context.interrupt.pressed() {
        return Err(Failure::Interrupted { message: interrupted(args, lines, &report) });
    }
    let seconds = context.env.clock.now().saturating_sub(started).as_secs_f64();
    let text = summary(&report, seconds);
    let errors = report.errors.into_iter();
    let errors = errors.map(|one| LineError { line: one.line, message: one.message }).collect();
    let answer = ImportAnswer { imported: report.imported, skipped: report.skipped, errors };
    Answer::new(&answer, text)
}

fn interrupted(args: &ImportArgs, lines: u64, report: &ImportReport) -> String {
    let (file, collection, key) = (args.file.display(), &args.collection, &args.key);
    let ImportReport { imported, skipped, .. } = report;
    format!(
        "import interrupted after line {lines} of {file}: {imported} imported, {skipped} skipped; \
         go on with `tail -n +{} {file} | nodedb import {collection} - --key {key}`",
        lines + 1
    )
}

fn summary(report: &ImportReport, seconds: f64) -> String {
    let ImportReport { imported, skipped, errors } = report;
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = *imported as f64 / seconds.max(0.001);
    let mut text = format!("{imported} imported, {skipped} skipped in {seconds:.1} s, {rate:.0}/s");
    for error in errors {
        // Writing into a string cannot fail.
        let _written: std::fmt::Result = write!(text, "\nline {}: {}", error.line, error.message);
    }
    text
}
