//! `man`: the page of the program, with a section per command.

use crate::{answer::Answer, args::Cli, failure::Failure};
use clap::CommandFactory;
use clap_mangen::Man;
use serde::Serialize;
use std::io;

#[derive(Serialize)]
struct Page<'a> {
    page: &'a str,
}

pub(super) fn run() -> Result<Answer, Failure> {
    let page = page().map_err(|error| Failure::Internal { message: error.to_string() })?;
    Answer::raw(&Page { page: &String::from_utf8_lossy(&page) }, page.clone())
}

fn page() -> io::Result<Vec<u8>> {
    let mut root = Cli::command();
    root.build();
    let mut out = Vec::new();
    Man::new(root.clone()).render(&mut out)?;
    let commands = root.get_subcommands().filter(|command| !command.is_hide_set());
    for command in commands.filter(|command| command.get_name() != "help") {
        let man = Man::new(command.clone());
        out.extend_from_slice(format!(".SH \"NODEDB {}\"\n", command.get_name()).as_bytes());
        man.render_description_section(&mut out)?;
        man.render_synopsis_section(&mut out)?;
        man.render_options_section(&mut out)?;
    }
    Ok(out)
}
