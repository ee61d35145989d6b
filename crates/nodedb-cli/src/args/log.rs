//! Words of the commands on the log itself.

use super::values::parse_lsn;
use clap::{Args, Subcommand};
use nodedb::Lsn;
use std::path::PathBuf;

/// Words of `wal`.
#[derive(Subcommand, Debug)]
pub(crate) enum WalCommand {
    /// List the segments of the log.
    #[command(after_help = "Example: nodedb --dir ./db wal segments")]
    Segments,
    /// Show what stands in the log, up to where it is damaged.
    #[command(after_help = "Works beside a running database, and then may miss its last writes.\n\
                            Example: nodedb --dir ./db wal dump --from 100 --to 120")]
    Dump(DumpArgs),
    /// Check every byte of the log, changing none.
    #[command(after_help = "Example: nodedb --dir ./db wal verify")]
    Verify,
    /// End the log at a record; everything behind it is lost. The last resort for a damaged log.
    #[command(
        after_help = "The originals are copied aside first. Without --accept-data-loss nothing is \
                      done, and what would be lost is said.\nAn atomic group is never split: the log \
                      may end before the record. Where there is an archive, `restore` loses less.\n\
                      Example: nodedb --dir ./db wal truncate --at 120 --accept-data-loss"
    )]
    Truncate(TruncateArgs),
}

/// Words of `wal dump`.
#[derive(Args, Debug)]
pub(crate) struct DumpArgs {
    /// The first record.
    #[arg(long, value_name = "LSN", value_parser = parse_lsn)]
    pub(crate) from: Option<Lsn>,
    /// The last record.
    #[arg(long, value_name = "LSN", value_parser = parse_lsn)]
    pub(crate) to: Option<Lsn>,
}

/// Words of `wal truncate`.
#[derive(Args, Debug)]
pub(crate) struct TruncateArgs {
    /// The last record to keep.
    #[arg(long, value_name = "LSN", value_parser = parse_lsn)]
    pub(crate) at: Lsn,
    /// Do it, and lose what is behind the record.
    #[arg(long)]
    pub(crate) accept_data_loss: bool,
    /// Where the originals go; by default `truncated` in the database's directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) copies: Option<PathBuf>,
}
