//! `crdt export`, `crdt merge`.

use crate::{
    answer::Answer,
    args::{CrdtCommand, CrdtExportArgs, CrdtMergeArgs},
    context::{Context, Output},
    failure::Failure,
    user_file::{self, NewFile},
};
use serde::Serialize;
use std::{io::Write, path::Path};

#[derive(Serialize)]
struct Exported<'a> {
    file: &'a Path,
    bytes: usize,
}

#[derive(Serialize)]
struct Merged {
    lsn: Option<u64>,
    version: Option<String>,
    changed: bool,
}

pub(super) fn run(command: &CrdtCommand, context: &mut Context) -> Result<Answer, Failure> {
    match command {
        CrdtCommand::Export(args) => export(args, context),
        CrdtCommand::Merge(args) => merge(args, context),
    }
}

fn export(args: &CrdtExportArgs, context: &mut Context) -> Result<Answer, Failure> {
    let standard = user_file::is_standard(&args.file);
    if standard && context.output != Output::Text {
        return Err(Failure::input("`-`", "updates are bytes, not JSON: give a file"));
    }
    let collection = context.collection(&args.collection)?;
    let updates = collection.export_crdt(&args.key, args.since.as_deref())?;
    let answer = Exported { file: &args.file, bytes: updates.len() };
    if standard {
        return Answer::raw(&answer, updates);
    }
    let mut file = NewFile::create(&args.file)?;
    file.write_all(&updates).map_err(|source| Failure::File {
        action: "writing",
        path: args.file.clone(),
        source,
    })?;
    file.finish()?;
    Answer::new(&answer, format!("{} bytes in {}", updates.len(), args.file.display()))
}

fn merge(args: &CrdtMergeArgs, context: &mut Context) -> Result<Answer, Failure> {
    let updates = context.read(&args.file)?;
    let merged = context.collection(&args.collection)?.merge(&args.key, &updates)?;
    let answer = Merged {
        lsn: merged.written.map(|written| written.lsn.get()),
        version: merged.written.map(|written| written.version.to_string()),
        changed: merged.changed,
    };
    let text = match answer.lsn {
        Some(lsn) => format!("merged, lsn {lsn}"),
        None => "nothing new".to_owned(),
    };
    Answer::new(&answer, text)
}
