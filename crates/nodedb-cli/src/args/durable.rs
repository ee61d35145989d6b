//! Words of the commands on log, checkpoints and archives.

use super::Target;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Words of `checkpoint`.
#[derive(Args, Debug)]
pub(crate) struct CheckpointArgs {
    /// Return when the archive holds everything up to now.
    #[arg(long)]
    pub(crate) wait_archive: bool,
    /// Also complete a base image in the archive.
    #[arg(long)]
    pub(crate) base: bool,
}

/// Words of `restore-point`.
#[derive(Args, Debug)]
pub(crate) struct RestorePointArgs {
    /// Its name: 1 to 64 letters, digits, `_`, `-` and `.`, not first `-` or `.`
    pub(crate) name: String,
}

/// Words of `verify`.
#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// Verify this archive instead of the database.
    #[arg(long, value_name = "URL")]
    pub(crate) archive: Option<String>,
    /// How deep an archive is looked at.
    #[arg(long, value_name = "LEVEL", default_value = "content", requires = "archive")]
    pub(crate) level: VerifyDepth,
}

/// How deep an archive is looked at.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VerifyDepth {
    /// Every object is there and joins the one before.
    Chain,
    /// Also every byte of every object.
    Content,
}

/// Words of `restore`.
#[derive(Args, Debug)]
pub(crate) struct RestoreArgs {
    /// The archive.
    #[arg(long, value_name = "URL")]
    pub(crate) archive: String,
    /// The new directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) into: PathBuf,
    /// To which moment: latest, lsn:N, time:RFC3339 or point:NAME.
    #[arg(long, value_name = "TARGET", default_value = "latest")]
    pub(crate) to: Target,
    /// Only print the plan.
    #[arg(long)]
    pub(crate) dry_run: bool,
}
