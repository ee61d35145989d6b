//! The words of the command line, as `docs` and scripts know them.

mod bulk;
mod catalog;
mod documents;
mod durable;
mod globals;
mod log;
mod serve;
mod values;

pub(crate) use bulk::{ExportArgs, ImportArgs, OnError};
pub(crate) use catalog::{
    CollectionCommand, CreateArgs, IndexAddArgs, IndexCommand, IndexDropArgs, InitArgs, PolicyName,
};
pub(crate) use documents::{
    BatchArgs, CrdtCommand, CrdtExportArgs, CrdtMergeArgs, DeleteArgs, GetArgs, PutArgs, ScanArgs,
    SearchArgs, WatchArgs,
};
pub(crate) use durable::{CheckpointArgs, RestoreArgs, RestorePointArgs, VerifyArgs, VerifyDepth};
pub(crate) use globals::{Globals, LineGlobals, log_filter};
pub(crate) use log::{DumpArgs, TruncateArgs, WalCommand};
pub(crate) use serve::ServeArgs;
pub(crate) use values::{Expected, Target, parse_durability};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

/// A local-first database: documents, vectors and CRDTs over one log, with archive and restore.
#[derive(Parser, Debug)]
#[command(
    name = "nodedb",
    version,
    after_help = "Begin with `nodedb quickstart`. `nodedb help CMD` explains a command.\n\
                  Exit codes: 0 done, 1 refused or failed, 2 damage found, 3 not found, 64 usage."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// One line of a `shell`: the same words without the name of the program.
#[derive(Parser, Debug)]
#[command(name = "shell", no_binary_name = true, disable_version_flag = true)]
pub(crate) struct Line {
    #[command(flatten)]
    pub(crate) globals: LineGlobals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Do the main job on real data, end to end, in a temporary directory.
    #[command(after_help = "Example: nodedb quickstart --keep")]
    Quickstart(QuickstartArgs),
    /// Create a database in an empty or new directory.
    #[command(after_help = "Example: nodedb --dir ./db init --archive file:///backup/db")]
    Init(InitArgs),
    /// Create, list and drop collections.
    #[command(subcommand)]
    Collection(CollectionCommand),
    /// Add and drop indexes of a collection.
    #[command(subcommand)]
    Index(IndexCommand),
    /// Write one document.
    #[command(
        after_help = "Examples:\n  nodedb --dir ./db put notes a '{\"text\": \"hello\"}'\n  \
                            nodedb --dir ./db put notes a @note.json --expect absent\n  \
                            nodedb --dir ./db put sessions a 1 --ttl 3600"
    )]
    Put(PutArgs),
    /// Read one document.
    #[command(after_help = "Example: nodedb --dir ./db get notes a")]
    Get(GetArgs),
    /// Remove one document, or all that match a filter.
    #[command(after_help = "Examples:\n  nodedb --dir ./db delete notes a\n  \
                            nodedb --dir ./db delete notes --filter \"lang = 'en'\"")]
    Delete(DeleteArgs),
    /// Write several documents, all or none.
    #[command(after_help = "Example: nodedb --dir ./db batch \
        '[{\"put\": {\"collection\": \"notes\", \"key\": \"a\", \"value\": 1}}]'")]
    Batch(BatchArgs),
    /// Load JSON lines.
    #[command(after_help = "Example: nodedb --dir ./db import words words.jsonl --key id")]
    Import(ImportArgs),
    /// Write a collection as JSON lines {key, value}, in key order.
    #[command(after_help = "Example: nodedb --dir ./db export words words.jsonl")]
    Export(ExportArgs),
    /// Read documents in key order.
    #[command(after_help = "Example: nodedb --dir ./db scan words --filter \"pos = 'noun' AND \
                            length >= 40\" --limit 10\n         \
                            nodedb --dir ./db scan words --from m --to n --reverse\n         \
                            nodedb --dir ./db scan words --filter \"pos = 'noun'\" --explain")]
    Scan(ScanArgs),
    /// Print what was written, in the order of the log, as far as the log has it.
    #[command(after_help = "Examples:\n  nodedb --dir ./db watch words\n  \
                            nodedb --dir ./db watch words --from TOKEN")]
    Watch(WatchArgs),
    /// Find the documents nearest to a vector or to another document.
    #[command(after_help = "Examples:\n  nodedb --dir ./db search words --field embedding --like \
        wn-00000 -k 5\n  nodedb --dir ./db search words --field embedding --vector @query.json")]
    Search(SearchArgs),
    /// Carry CRDT updates between replicas.
    #[command(subcommand)]
    Crdt(CrdtCommand),
    /// Make recovery short now, and let log be reclaimed.
    #[command(after_help = "Example: nodedb --dir ./db checkpoint --wait-archive")]
    Checkpoint(CheckpointArgs),
    /// Name this moment, to restore to it later.
    #[command(after_help = "Example: nodedb --dir ./db restore-point before-migration")]
    RestorePoint(RestorePointArgs),
    /// Positions, sizes, what holds the log, health.
    #[command(after_help = "Example: nodedb --dir ./db status --json")]
    Status,
    /// Keep the database open and answer over HTTP: JSON API, status page, /healthz, /metrics.
    #[command(after_help = "Ends in order on Ctrl-C or SIGTERM; a second one ends it at once.\n\
        Examples:\n  nodedb --dir ./db serve\n  nodedb --dir ./db serve --listen 127.0.0.1:0 --json")]
    Serve(ServeArgs),
    /// Run commands from standard input, one per line, one JSON line out per command.
    #[command(after_help = "A line is split as a POSIX shell splits words; one that begins with \
        `[` is a JSON array of the words.\nExample: echo 'get notes a' | nodedb --dir ./db shell")]
    Shell,
    /// Check every byte of a database or an archive, changing none.
    #[command(after_help = "Examples:\n  nodedb --dir ./db verify\n  \
                            nodedb verify --archive file:///backup/db --level content")]
    Verify(VerifyArgs),
    /// Look at the log, and cut it as a last resort.
    #[command(subcommand)]
    Wal(WalCommand),
    /// Restore an archive into a new directory.
    #[command(
        after_help = "Examples:\n  nodedb restore --archive file:///backup/db --into ./again\
        \n  nodedb restore --archive file:///backup/db --into ./again --to point:before-migration"
    )]
    Restore(RestoreArgs),
    /// Print a completion script.
    #[command(after_help = "Example: nodedb completions bash > /etc/bash_completion.d/nodedb")]
    Completions(CompletionsArgs),
    /// Print the man page.
    #[command(after_help = "Example: nodedb man | man -l -")]
    Man,
    /// Write documents until killed; the child of the quickstart.
    #[command(hide = true)]
    QuickstartWriter,
}

/// Words of `quickstart`.
#[derive(Args, Debug)]
pub(crate) struct QuickstartArgs {
    /// Keep the directory and print where it is.
    #[arg(long)]
    pub(crate) keep: bool,
}

/// Words of `completions`.
#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// For which shell.
    pub(crate) shell: Shell,
}

#[cfg(test)]
mod tests;
