//! `scan`.

use crate::{
    answer::Answer,
    args::ScanArgs,
    context::{Context, Output},
    failure::Failure,
    rows::Rows,
};
use nodedb::{Direction, Explain, KeyRange, ScanOptions};
use nodedb_server::answer::Row;
use serde::Serialize;
use std::{
    io::{self, Write},
    ops::Bound,
};

#[derive(Serialize)]
struct Explained<'a> {
    plans: Vec<Plan<'a>>,
}

#[derive(Serialize)]
struct Plan<'a> {
    access: &'a str,
    index: Option<&'a str>,
    range: Option<&'a str>,
    recheck: bool,
}

#[derive(Serialize)]
struct Scanned {
    rows: Vec<Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

pub(super) fn run(args: &ScanArgs, context: &mut Context) -> Result<Answer, Failure> {
    let collection = context.collection(&args.collection)?;
    if let Some(filter) = args.filter.as_deref().filter(|_| args.explain) {
        return explain(&[collection.explain(filter)?]);
    }
    let mut scan = collection.scan(ScanOptions {
        prefix: args.prefix.clone().unwrap_or_default().into_bytes(),
        filter: args.filter.clone(),
        limit: args.limit,
        cursor: args.cursor.clone(),
        range: range(args),
        consistency: args.consistency.unwrap_or_default(),
        direction: if args.reverse { Direction::Descending } else { Direction::Ascending },
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

fn range(args: &ScanArgs) -> KeyRange {
    let from = args.from.as_ref().map_or(Bound::Unbounded, Bound::Included);
    let to = args.to.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    KeyRange::new::<String>((from, to))
}

fn explain(plans: &[Explain]) -> Result<Answer, Failure> {
    let text = |plan: &Explain| match (&plan.index, &plan.range) {
        (Some(index), Some(range)) => format!("{} over {index}: {range}", plan.access),
        _ => format!("{}: every document is looked at", plan.access),
    };
    let lines: Vec<_> = plans.iter().map(text).collect();
    Answer::new(&Explained { plans: plans.iter().map(Plan::of).collect() }, lines.join("\n"))
}

impl<'a> Plan<'a> {
    fn of(plan: &'a Explain) -> Self {
        let Explain { access, index, range, recheck } = plan;
        Self { access, index: index.as_deref(), range: range.as_deref(), recheck: *recheck }
    }
}
