//! Words of the commands on documents.

use super::Expected;
use clap::{Args, Subcommand};
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
    /// Only documents that satisfy a SQL boolean expression, such as lang = 'en' AND year >= 2020.
    #[arg(long, value_name = "EXPR")]
    pub(crate) filter: Option<String>,
    /// At most so many. Default: all.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Go on where an earlier scan with a limit ended.
    #[arg(long, value_name = "C", allow_hyphen_values = true)]
    pub(crate) cursor: Option<String>,
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
    /// Ask for the exact answer. Every search is exact as built.
    #[arg(long)]
    pub(crate) exact: bool,
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
