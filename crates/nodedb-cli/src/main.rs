//! The `nodedb` binary: words in, calls of the library, one answer out.
//!
//! It is *not* where anything is decided: every command is a public call of the `nodedb` crate.
//!
//! # Invariants
//! - Standard output holds the answer and nothing else; everything else goes to stderr.
//! - An answer is written only after the command's durability is met.
//! - A stored value is spliced into an answer as it is, never parsed and printed again.
#![forbid(unsafe_code)]

mod answer;
mod args;
mod commands;
mod context;
mod failure;
mod interrupt;
mod progress;
mod quickstart;
mod rows;
mod settings;
mod shell;
mod user_file;

use answer::Answer;
use args::Cli;
use clap::{Parser, error::ErrorKind};
use context::{Context, Output};
use failure::Failure;
use settings::Settings;
use std::{
    env,
    ffi::OsString,
    io::{self, IsTerminal, Write},
    process::ExitCode,
};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let words: Vec<OsString> = env::args_os().collect();
    // Also a command line that cannot be understood is answered in the form that it asks for.
    let asks_json = words.iter().take_while(|word| *word != "--").any(|word| word == "--json");
    let cli = match Cli::try_parse_from(&words) {
        Ok(cli) => cli,
        Err(error)
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) =>
        {
            let printed = error.print().map_err(Failure::Output);
            return printed
                .map_or_else(|failure| fail(&failure, asks_json), |()| ExitCode::SUCCESS);
        }
        Err(error) => return fail(&error.into(), asks_json),
    };
    let settings = match Settings::of(cli.globals.dir.as_deref()) {
        Ok(settings) => settings,
        Err(failure) => return fail(&failure, cli.globals.json),
    };
    let globals = settings.globals(&cli.globals);
    log_to_stderr(globals.log.as_deref());
    let mut context = Context::new(globals, settings);
    run(&cli, &mut context)
}

fn run(cli: &Cli, context: &mut Context) -> ExitCode {
    let json = context.output == Output::Json;
    let result = commands::run(&cli.command, context);
    let printed = result.and_then(|answer| print(&answer, json).map(|()| answer.exit));
    // After the answer: what was acknowledged is safe whatever closing meets.
    if let Err(failure) = context.close() {
        tracing::error!(error = failure.line(), "closing the database failed");
    }
    printed.map_or_else(|failure| fail(&failure, json), ExitCode::from)
}

fn print(answer: &Answer, json: bool) -> Result<(), Failure> {
    if answer.printed {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    let document = answer.json_document();
    let bytes = if json { document.as_bytes() } else { answer.text() };
    out.write_all(bytes).and_then(|()| out.flush()).map_err(Failure::Output)
}

/// One line on stderr, or the `error` object on standard output.
fn fail(failure: &Failure, json: bool) -> ExitCode {
    if !failure.is_broken_pipe() {
        let told = if json {
            writeln!(io::stdout(), "{{\"error\":{}}}", failure.json())
        } else {
            writeln!(io::stderr(), "error: {}", failure.line())
        };
        // Nobody is left to tell; the exit code says it.
        drop(told);
    }
    ExitCode::from(failure.exit_code())
}

fn log_to_stderr(filter: Option<&str>) {
    let filter = EnvFilter::new(filter.unwrap_or("error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}
