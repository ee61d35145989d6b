//! `export`.

use crate::{
    answer::Answer,
    args::ExportArgs,
    context::{Context, Output},
    failure::Failure,
    interrupt::{Interrupt, Until},
    user_file::{self, NewFile},
};
use nodedb::Collection;
use serde::Serialize;
use serde_json::value::RawValue;
use std::{
    io::{self, BufWriter, Write},
    path::Path,
};

#[derive(Serialize)]
struct Exported<'a> {
    exported: u64,
    file: &'a Path,
}

#[derive(Serialize)]
struct Rows {
    rows: Vec<Box<RawValue>>,
}

pub(super) fn run(args: &ExportArgs, context: &mut Context) -> Result<Answer, Failure> {
    let collection = context.collection(&args.collection)?;
    let file = args.file.as_deref().filter(|file| !user_file::is_standard(file));
    match file {
        Some(file) => {
            context.interrupt = Interrupt::listen();
            into_file(&collection, file, context)
        }
        None if context.output == Output::Shell => into_rows(&collection),
        None => into_stdout(&collection),
    }
}

fn into_file(collection: &Collection, path: &Path, context: &Context) -> Result<Answer, Failure> {
    let mut out = Until::new(NewFile::create(path)?, context.interrupt.clone());
    let result = collection.export(&mut out);
    if context.interrupt.pressed() {
        let message =
            format!("export interrupted: {} was not written; run it again", path.display());
        return Err(Failure::Interrupted { message });
    }
    let exported = result?;
    out.into_inner().finish()?;
    let text = format!("{exported} documents in {}", path.display());
    Answer::new(&Exported { exported, file: path }, text)
}

fn into_stdout(collection: &Collection) -> Result<Answer, Failure> {
    let mut out = Stdout::new();
    let result = collection.export(&mut out);
    // The reader's end is told from a failure of the database, which wraps it.
    out.finish()?;
    result?;
    Ok(Answer::already_printed())
}

fn into_rows(collection: &Collection) -> Result<Answer, Failure> {
    let mut lines = Vec::new();
    collection.export(&mut lines)?;
    let rows: Result<Vec<Box<RawValue>>, _> =
        serde_json::Deserializer::from_slice(&lines).into_iter().collect();
    let rows = rows.map_err(|error| Failure::Internal { message: error.to_string() })?;
    Answer::new(&Rows { rows }, "")
}

/// Standard output that keeps why it failed.
struct Stdout {
    out: BufWriter<io::StdoutLock<'static>>,
    failed: Option<io::Error>,
}

impl Stdout {
    fn new() -> Self {
        Self { out: BufWriter::with_capacity(1 << 16, io::stdout().lock()), failed: None }
    }

    fn finish(mut self) -> Result<(), Failure> {
        if let Some(error) = self.failed.take() {
            return Err(Failure::Output(error));
        }
        self.out.flush().map_err(Failure::Output)
    }

    fn keep<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            let same = io::Error::from(error.kind());
            self.failed = Some(error);
            same
        })
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.out.write(bytes);
        self.keep(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.out.flush();
        self.keep(result)
    }
}
