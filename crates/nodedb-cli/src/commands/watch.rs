//! `watch`.

use crate::{
    answer::Answer,
    args::WatchArgs,
    context::{Context, Output},
    failure::Failure,
};
use jiff::Timestamp;
use nodedb::{Change, ChangeGroup, ChangeOp, CollectionKind, WatchFrom};
use nodedb_server::answer::value_text;
use serde::Serialize;
use serde_json::value::RawValue;
use std::{
    io::{self, BufWriter, Write},
    time::Duration,
};

#[derive(Serialize)]
struct Line {
    lsn: u64,
    token: String,
    time: String,
    collection: String,
    key: Box<RawValue>,
    op: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Watched {
    changes: Vec<Line>,
}

pub(super) fn run(args: &WatchArgs, context: &mut Context) -> Result<Answer, Failure> {
    let from = args.from.unwrap_or(WatchFrom::Oldest);
    let mut watch = match &args.collection {
        Some(collection) => context.collection(collection)?.watch(from)?,
        None => context.tenant()?.watch(from)?,
    };
    let mut kept = Vec::new();
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    while let Some(group) = watch.next(Duration::ZERO)? {
        for change in &group.changes {
            let line = Line::of(&group, change)?;
            match context.output {
                Output::Shell => kept.push(line),
                Output::Json => {
                    serde_json::to_writer(&mut out, &line)
                        .map_err(|error| Failure::Output(error.into()))?;
                    out.write_all(b"\n").map_err(Failure::Output)?;
                }
                Output::Text => line.print(&mut out, change).map_err(Failure::Output)?,
            }
        }
    }
    if context.output == Output::Shell {
        return Answer::new(&Watched { changes: kept }, "");
    }
    out.flush().map_err(Failure::Output)?;
    Ok(Answer::already_printed())
}

impl Line {
    fn of(group: &ChangeGroup, change: &Change) -> Result<Self, Failure> {
        let value = match &change.op {
            ChangeOp::Put { value } => Some(value_text::value_json(change.kind, value)?),
            ChangeOp::Merge { update } => {
                Some(value_text::value_json(CollectionKind::Bytes, update)?)
            }
            ChangeOp::Delete | _ => None,
        };
        let ms = i64::try_from(group.time_ms).unwrap_or(i64::MAX);
        let time = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
        Ok(Self {
            lsn: change.version.stamp().lsn.get(),
            token: change.version.to_string(),
            time: time.to_string(),
            collection: change.collection.to_string(),
            key: value_text::key_json(&change.key)?,
            op: change.op.name(),
            value,
        })
    }

    fn print(&self, out: &mut impl Write, change: &Change) -> io::Result<()> {
        let key = value_text::key_text(&change.key);
        let value = self.value.as_ref().map_or("", |value| value.get());
        let Self { lsn, time, collection, op, .. } = self;
        writeln!(out, "{lsn}\t{time}\t{collection}\t{op}\t{key}\t{value}")
    }
}
