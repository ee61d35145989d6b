//! Words of the commands on documents.

use super::{
    Expected,
    values::{parse_consistency, parse_idempotency, parse_watch_from},
};
use clap::{Args, Subcommand};
use nodedb::{Consistency, IdempotencyId, WatchFrom};
use std::path::PathBuf;

/// Words of `put`.
#[derive(Args, Debug)]
pub(crate) struct PutArgs {
    /// The collection.
    #[arg(value_name = "COLL")]
    pub(crate) collection: String,
    /// The key.
    #[arg(allow_hyphen_values = true)]
    pub(crate) key: String,
    /// The value: JSON (for a bytes collection any text), @FILE, or - for standard input.
    #[arg(value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    pub(crate) value: String,
    /// Write only if the key holds this: absent, or the `version` of an earlier answer.
    #[arg(long, value_name = "absent|VERSION")]
    pub(crate) expect: Option<Expected>,
    /// Show and keep it for so long only. Default: for ever.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) ttl: Option<u32>,
    /// A name of 1 to 64 bytes that makes it safe to send this again: it is done once. A UUID of version 7
    /// or MILLISECONDS:REST carries its issue time and stays safe for ever; any other name for a day.
    #[arg(long, value_name = "ID", value_parser = parse_idempotency)]
    pub(crate) idempotency: Option<IdempotencyId>,
}

/// Words of `get`.
#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    /// The collection.
    #[arg(value_name = "COLL")]
    pub(crate) collection: String,
    /// The key.
    #[arg(allow_hyphen_values = true)]
    pub(crate) key: String,
    /// How fresh: strong shows all that was acknowledged and nothing that can be lost; bounded:MS may
    /// miss what was acknowledged below sync in so many last milliseconds; eventual shows what is applied
    /// now, which a crash may take back. Default: strong.
    #[arg(long, value_name = "WHICH", value_parser = parse_consistency)]
    pub(crate) consistency: Option<Consistency>,
}

/// Words of `delete`.
#[derive(Args, Debug)]
pub(crate) struct DeleteArgs {
    /// The collection.
    #[arg(value_name = "COLL")]
    pub(crate) collection: String,
    /// The key.
    #[arg(
        allow_hyphen_values = true,
        required_unless_present = "filter",
        conflicts_with = "filter"
    )]
    pub(crate) key: Option<String>,
    /// Delete only if the key holds this version.
    #[arg(long, value_name = "VERSION", conflicts_with = "filter")]
    pub(crate) expect: Option<Expected>,
    /// Delete every document that satisfies a SQL boolean expression.
    #[arg(long, value_name = "EXPR")]
    pub(crate) filter: Option<String>,
}

/// Words of `batch`.
#[derive(Args, Debug)]
pub(crate) struct BatchArgs {
    /// A file with a JSON array of {"put": ..} and {"delete": ..}, - for standard input, or the
    /// array itself.
    #[arg(value_name = "FILE|-|JSON", allow_hyphen_values = true)]
    pub(crate) operations: String,
    /// A name of 1 to 64 bytes that makes it safe to send this again: it is done once. A UUID of version 7
    /// or MILLISECONDS:REST carries its issue time and stays safe for ever; any other name for a day.
    #[arg(long, value_name = "ID", value_parser = parse_idempotency)]
    pub(crate) idempotency: Option<IdempotencyId>,
}

/// Words of `scan`.
#[derive(Args, Debug)]
pub(crate) struct ScanArgs {
    /// The collection.
    #[arg(value_name = "COLL")]
    pub(crate) collection: String,
    /// Only keys that begin with this.
    #[arg(long, value_name = "P", allow_hyphen_values = true)]
    pub(crate) prefix: Option<String>,
    /// Only keys from this one on.
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) from: Option<String>,
    /// Only keys before this one, which is left out itself.
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) to: Option<String>,
    /// The greatest key first.
    #[arg(long)]
    pub(crate) reverse: bool,
    /// Only documents that satisfy a SQL boolean expression, such as lang = 'en' AND year >= 2020.
    #[arg(long, value_name = "EXPR")]
    pub(crate) filter: Option<String>,
    /// At most so many. Default: all.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Go on where an earlier scan with a limit, in the same direction, ended.
    #[arg(long, value_name = "C", allow_hyphen_values = true)]
    pub(crate) cursor: Option<String>,
    /// How fresh the snapshot is: strong shows all that was acknowledged; bounded:MS may miss what was
    /// acknowledged below sync in so many last milliseconds; eventual shows what is durable now. Default:
    /// strong.
    #[arg(long, value_name = "WHICH", value_parser = parse_consistency)]
    pub(crate) consistency: Option<Consistency>,
    /// Say how the filter is answered instead: by which index, or by looking at every document.
    #[arg(long, requires = "filter")]
    pub(crate) explain: bool,
}

/// Words of `watch`.
#[derive(Args, Debug)]
pub(crate) struct WatchArgs {
    /// The collection. Default: all of the tenant.
    #[arg(value_name = "COLL")]
    pub(crate) collection: Option<String>,
    /// After a change: its token. Or from a position of the log on. Default: all that the log has.
    #[arg(long, value_name = "TOKEN|LSN", value_parser = parse_watch_from)]
    pub(crate) from: Option<WatchFrom>,
}

/// Words of `search`.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("near").required(true).args(["vector", "like"]))]
pub(crate) struct SearchArgs {
    /// The collection.
    #[arg(value_name = "COLL")]
    pub(crate) collection: String,
    /// The indexed field.
    #[arg(long, value_name = "F")]
    pub(crate) field: String,
    /// The vector: a JSON array, @FILE, or - for standard input.
    #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    pub(crate) vector: Option<String>,
    /// The key of a document whose vector it is.
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) like: Option<String>,
    /// How many.
    #[arg(short = 'k', value_name = "N", default_value_t = 10)]
    pub(crate) k: usize,
    /// Only documents that satisfy a SQL boolean expression.
    #[arg(long, value_name = "EXPR")]
    pub(crate) filter: Option<String>,
    /// Candidates that each graph keeps: more find better and take longer.
    #[arg(long, value_name = "N", conflicts_with = "exact")]
    pub(crate) ef: Option<usize>,
    /// Measure every vector instead of walking graphs: always the nearest.
    #[arg(long)]
    pub(crate) exact: bool,
    /// Do the search and say how each partition answered it instead: whether every vector was measured,
    /// graphs were walked, or only the vectors of matching documents were measured.
    #[arg(long)]
    pub(crate) explain: bool,
}

/// Words of `crdt`.
#[derive(Subcommand, Debug)]
pub(crate) enum CrdtCommand {
    /// Write the updates of a document to a file.
    #[command(after_help = "Example: nodedb --dir ./phone crdt export notes a a.loro")]
    Export(CrdtExportArgs),
    /// Merge updates from a file into a document.
    #[command(after_help = "Example: nodedb --dir ./laptop crdt merge notes a a.loro")]
    Merge(CrdtMergeArgs),
}

/// Words of `crdt export`.
#[derive(Args, Debug)]
pub(crate) struct CrdtExportArgs {
    /// The collection.
    #[arg(value_name = "COLL")]
    pub(crate) collection: String,
    /// The key.
    #[arg(allow_hyphen_values = true)]
    pub(crate) key: String,
    /// Where to write; - is standard output.
    pub(crate) file: PathBuf,
    /// Only what a replica with this version vector (hexadecimal) lacks. Default: everything.
    #[arg(long, value_name = "VV")]
    pub(crate) since: Option<String>,
}

/// Words of `crdt merge`.
#[derive(Args, Debug)]
pub(crate) struct CrdtMergeArgs {
    /// The collection.
    #[arg(value_name = "COLL")]
    pub(crate) collection: String,
    /// The key.
    #[arg(allow_hyphen_values = true)]
    pub(crate) key: String,
    /// Where to read; - is standard input.
    pub(crate) file: PathBuf,
}
