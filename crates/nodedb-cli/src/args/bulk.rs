//! Words of `import` and `export`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Words of `import`.
#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// The collection.
    #[arg(value_name = "COLL")]
    pub(crate) collection: String,
    /// JSON lines; - is standard input.
    #[arg(value_name = "FILE|-")]
    pub(crate) file: PathBuf,
    /// The member of every line that is its key.
    #[arg(long, value_name = "FIELD")]
    pub(crate) key: String,
    /// Documents that are written together.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) batch: usize,
    /// What a refused line does.
    #[arg(long, value_name = "WHAT", default_value = "stop")]
    pub(crate) on_error: OnError,
}

/// What a refused line does.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnError {
    /// End the import; what stands before the line is imported.
    Stop,
    /// Leave the line out and report it.
    Skip,
}

/// Words of `export`.
#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    /// The collection.
    #[arg(value_name = "COLL")]
    pub(crate) collection: String,
    /// Where to write. Default: standard output.
    pub(crate) file: Option<PathBuf>,
}
