//! `quickstart`: the main job on bundled real data, end to end, every claim checked.

mod crash;
mod documents;
mod replicas;
mod sample;
mod step;
mod time_travel;
mod workbench;

pub(crate) use crash::write_until_killed;

use crate::{
    answer::Answer,
    args::QuickstartArgs,
    context::{Context, Output},
    failure::Failure,
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{
    fmt::Write as _,
    io::{self, Write as _},
    path::PathBuf,
};
use step::{STEPS, Step};
use workbench::Workbench;

#[derive(Serialize)]
struct Report {
    steps: Vec<Done>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Done {
    name: &'static str,
    ok: bool,
    ms: u64,
    detail: String,
    why: &'static str,
    commands: Vec<String>,
}

/// Runs all steps in a temporary directory; the first that does not hold ends it with exit code 1.
///
/// # Errors
/// [`Failure`] of the temporary directory and of standard output.
pub(crate) fn run(args: &QuickstartArgs, context: &Context) -> Result<Answer, Failure> {
    let temporary = tempfile::Builder::new().prefix("nodedb-quickstart-").tempdir();
    let temporary = temporary.map_err(|source| Failure::File {
        action: "creating a directory in",
        path: std::env::temp_dir(),
        source,
    })?;
    let mut workbench = Workbench::new(temporary.path(), context.env.clone());
    let (mut steps, mut failure) = (Vec::new(), None);
    for step in &STEPS {
        let done = perform(step, &mut workbench, &mut failure);
        if context.output == Output::Text {
            show(steps.len() + 1, &done)?;
        }
        steps.push(done);
        if failure.is_some() {
            break;
        }
    }
    workbench.close()?;
    let kept = args.keep.then(|| temporary.keep());
    finish(steps, kept, failure.as_ref())
}

fn perform(step: &Step, workbench: &mut Workbench, failure: &mut Option<Failure>) -> Done {
    let started = workbench.env.clock.now();
    let result = (step.run)(workbench);
    let took = workbench.env.clock.now().saturating_sub(started);
    let ok = result.is_ok();
    let detail = result.unwrap_or_else(|error| {
        let line = error.line();
        *failure = Some(error);
        line
    });
    Done {
        name: step.name,
        ok,
        ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        detail,
        why: step.why,
        commands: step.by_hand.iter().map(|command| workbench.fill_in(command)).collect(),
    }
}

fn show(number: usize, done: &Done) -> Result<(), Failure> {
    let verdict = if done.ok { "ok" } else { "FAILED" };
    let mut text = format!("{number}. {} - {verdict}, {} ms\n", done.name, done.ms);
    let mut line = |word: &str, rest: &str| writeln!(text, "   {word:<4} {rest}");
    let written = line("did", &done.detail).and_then(|()| line("why", done.why));
    let written =
        written.and_then(|()| done.commands.iter().try_for_each(|command| line("hand", command)));
    written.map_err(|error| Failure::Internal { message: error.to_string() })?;
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::Output)
}

fn finish(
    steps: Vec<Done>,
    kept: Option<PathBuf>,
    failure: Option<&Failure>,
) -> Result<Answer, Failure> {
    let mut text = match &kept {
        Some(kept) => format!("Everything is in {}.", kept.display()),
        None => "The directory is gone again; `--keep` keeps it.".to_owned(),
    };
    if let Some(failure) = failure {
        text = format!("{text}\nA step failed: {}", failure.line());
    }
    let error = failure.map(|failure| RawValue::from_string(failure.json())).transpose();
    let error = error.map_err(|error| Failure::Internal { message: error.to_string() })?;
    let answer = Answer::new(&Report { steps, kept, error }, text)?;
    Ok(if failure.is_some() { answer.with_exit(1) } else { answer })
}
