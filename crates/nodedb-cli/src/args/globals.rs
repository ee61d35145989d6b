//! Options of every command.

use clap::Args;
use std::path::PathBuf;
use tracing_subscriber::EnvFilter;

/// Options that stand before or after any command.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Globals {
    /// Directory of the database.
    #[arg(long, value_name = "DIR", env = "NODEDB_DIR", hide_env_values = true, global = true)]
    pub(crate) dir: Option<PathBuf>,
    /// Answer with one JSON document (scan, export: JSON lines).
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What is logged to stderr: error, warn, info, debug, trace, or a filter such as
    /// `nodedb_wal=debug`. Default: error.
    #[arg(long, value_name = "LEVEL", global = true, value_parser = log_filter)]
    pub(crate) log: Option<String>,
    /// Whose collections. Default: the default tenant's.
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) tenant: Option<String>,
}

/// Options of a line of the shell, whose database is open and whose answers are JSON.
#[derive(Args, Debug)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct LineGlobals {
    /// Accepted for the sake of lines that were written for the command line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Whose collections. Default: as the shell was started.
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) tenant: Option<String>,
}

/// Keeps the text of a filter that the subscriber understands.
pub(crate) fn log_filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error}: give error, warn, info, debug or trace")),
    }
}
