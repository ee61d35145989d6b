//! `wal dump`.

use super::time_text;
use crate::{
    answer::Answer,
    args::DumpArgs,
    context::{Context, Output},
    failure::Failure,
};
use nodedb::{BatchKind, DumpRange, DumpedBatch, Lsn};
use nodedb_types::to_hex;
use serde::Serialize;
use std::io::{self, BufWriter, StdoutLock, Write};

/// Bytes of a payload that are shown.
const PREFIX: usize = 32;

/// A line: a batch, or a record of the batch before it, or the end of a sound log.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
enum Line {
    Batch {
        kind: &'static str,
        segment: u64,
        offset: u64,
        bytes: u64,
        first_lsn: u64,
        records: u32,
        epoch: u32,
        durable_lsn: Option<u64>,
        time: String,
    },
    Record {
        lsn: u64,
        tenant: u64,
        vshard: u16,
        kind: u16,
        /// What the kind means; `null` of one that this version does not know.
        op: Option<&'static str>,
        group_first: bool,
        group_last: bool,
        bytes: usize,
        /// The first bytes of the payload.
        hex: String,
    },
    End {
        oldest_lsn: u64,
        last_lsn: Option<u64>,
        /// The last record that is proven durable.
        proven_lsn: Option<u64>,
        /// The first record that recovery needs.
        redo_lsn: u64,
        /// Bytes behind the last record that were never acknowledged.
        dropped_bytes: u64,
    },
}

/// Damage ends the lines with the error of an open.
pub(super) fn run(args: &DumpArgs, context: &Context) -> Result<Answer, Failure> {
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from > to
    {
        let message = format!("{from} is behind --to {to}: give the first record, then the last");
        return Err(Failure::input("--from", message));
    }
    let range = DumpRange { from: args.from, to: args.to };
    let mut dump = nodedb::dump_log(context.dir()?, range)?;
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let mut show = |line: &Line| print(&mut out, line, context.output);
    for batch in dump.by_ref() {
        show(&batch_line(&batch))?;
        for record in &batch.records {
            show(&Line::Record {
                lsn: record.lsn.get(),
                tenant: record.tenant.get(),
                vshard: record.vshard.get(),
                kind: record.kind,
                op: nodedb::record_name(record.kind),
                group_first: record.group.first,
                group_last: record.group.last,
                bytes: record.payload.len(),
                hex: to_hex(record.payload.get(..PREFIX).unwrap_or(&record.payload)),
            })?;
        }
    }
    let verdict = dump.verdict().map_err(nodedb::Error::from);
    if let Ok(log) = &verdict {
        show(&Line::End {
            oldest_lsn: log.oldest.get(),
            last_lsn: log.last.map(Lsn::get),
            proven_lsn: log.proven.map(Lsn::get),
            redo_lsn: log.redo.get(),
            dropped_bytes: log.dropped_bytes,
        })?;
    }
    out.flush().map_err(Failure::Output)?;
    drop(out);
    verdict?;
    Ok(Answer::already_printed())
}

fn batch_line(batch: &DumpedBatch) -> Line {
    Line::Batch {
        kind: match batch.kind {
            BatchKind::SegmentLink => "segment-link",
            BatchKind::SyncPoint => "sync-point",
            BatchKind::Records | _ => "records",
        },
        segment: batch.segment,
        offset: batch.offset,
        bytes: batch.bytes,
        first_lsn: batch.first_lsn.get(),
        records: batch.count,
        epoch: batch.epoch.get(),
        durable_lsn: batch.durable.map(Lsn::get),
        time: time_text(batch.commit_ms),
    }
}

fn print(out: &mut BufWriter<StdoutLock<'_>>, line: &Line, output: Output) -> Result<(), Failure> {
    if output == Output::Text {
        return writeln!(out, "{}", text(line)).map_err(Failure::Output);
    }
    serde_json::to_writer(&mut *out, line).map_err(|error| Failure::Output(error.into()))?;
    out.write_all(b"\n").map_err(Failure::Output)
}

fn text(line: &Line) -> String {
    let position = |lsn: &Option<u64>| lsn.map_or_else(|| "-".to_owned(), |lsn| lsn.to_string());
    match line {
        Line::Batch {
            kind,
            segment,
            offset,
            bytes,
            first_lsn,
            records,
            epoch,
            durable_lsn,
            time,
        } => format!(
            "{kind}: segment {segment} offset {offset}, {bytes} bytes, epoch {epoch}, {records} \
             records from {first_lsn}, durable {}, {time}",
            position(durable_lsn)
        ),
        Line::Record { lsn, tenant, vshard, kind, op, group_first, group_last, bytes, hex } => {
            let name = op.map_or_else(|| format!("kind {kind}"), ToOwned::to_owned);
            let group = match (group_first, group_last) {
                (true, true) => "alone",
                (true, false) => "first of a group",
                (false, true) => "last of its group",
                (false, false) => "in a group",
            };
            let more = if *bytes > PREFIX { "..." } else { "" };
            format!(
                "  {lsn}  {name}  tenant {tenant} vshard {vshard}, {group}, {bytes} bytes  {hex}{more}"
            )
        }
        Line::End { oldest_lsn, last_lsn, proven_lsn, redo_lsn, dropped_bytes } => format!(
            "sound: records from {oldest_lsn} to {}, proven durable to {}, recovery from {redo_lsn}, \
             {dropped_bytes} bytes behind the end were never acknowledged",
            position(last_lsn),
            position(proven_lsn)
        ),
    }
}
