//! `scan`.

use crate::{
    answer::Answer,
    args::ScanArgs,
    context::{Context, Output},
    failure::Failure,
    rows::{Row, Rows},
};
use nodedb::ScanOptions;
use serde::Serialize;
use std::io::{self, Write};

#[derive(Serialize)]
struct Scanned {
    rows: Vec<Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

pub(super) fn run(args: &ScanArgs, context: &mut Context) -> Result<Answer, Failure> {
    let collection = context.collection(&args.collection)?;
    let mut scan = collection.scan(ScanOptions {
        prefix: args.prefix.clone().unwrap_or_default().into_bytes(),
        filter: args.filter.clone(),
        limit: args.limit,
        cursor: args.cursor.clone(),
        ..ScanOptions::default()
    })?;
    let kind = collection.kind();
    let mut rows = Rows::new(context.output);
    for document in scan.by_ref() {
        rows.push(kind, &document?)?;
    }
    let cursor = scan.cursor();
    if let Some(rows) = rows.finish()? {
        return Answer::new(&Scanned { rows, cursor }, "");
    }
    if let Some(cursor) = cursor.filter(|_| context.output != Output::Shell) {
        // Lines of standard output are rows and nothing else.
        writeln!(io::stderr(), "more: --cursor {cursor}").map_err(Failure::Output)?;
    }
    Ok(Answer::already_printed())
}
