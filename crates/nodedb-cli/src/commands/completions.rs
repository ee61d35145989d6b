//! `completions`.

use crate::{
    answer::Answer,
    args::{Cli, CompletionsArgs},
    failure::Failure,
};
use clap::CommandFactory;
use serde::Serialize;

#[derive(Serialize)]
struct Script<'a> {
    shell: String,
    script: &'a str,
}

pub(super) fn run(args: &CompletionsArgs) -> Result<Answer, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "nodedb", &mut script);
    let text = String::from_utf8_lossy(&script);
    let answer = Script { shell: args.shell.to_string(), script: &text };
    Answer::raw(&answer, script.clone())
}
