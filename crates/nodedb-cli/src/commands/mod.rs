//! One file per command: words in, [`Answer`] out.

mod batch;
mod checkpoint;
mod collection;
mod completions;
mod crdt;
mod delete;
mod export;
mod get;
mod import;
mod index;
mod init;
mod man;
mod put;
mod restore;
mod restore_point;
mod scan;
mod search;
mod serve;
mod status;
mod verify;
mod wal;
mod watch;

use crate::{
    answer::Answer,
    args::Command,
    context::{Context, Output},
    failure::Failure,
    quickstart, shell,
};
use jiff::Timestamp;

/// Runs one command.
///
/// # Errors
/// Its failure.
pub(crate) fn run(command: &Command, context: &mut Context) -> Result<Answer, Failure> {
    if context.output == Output::Shell
        && let Some(command) = alone(command)
    {
        return Err(Failure::NotInShell { command });
    }
    match command {
        Command::Quickstart(args) => quickstart::run(args, context),
        Command::QuickstartWriter => quickstart::write_until_killed(context),
        Command::Init(args) => init::run(args, context),
        Command::Collection(command) => collection::run(command, context),
        Command::Index(command) => index::run(command, context),
        Command::Put(args) => put::run(args, context),
        Command::Get(args) => get::run(args, context),
        Command::Delete(args) => delete::run(args, context),
        Command::Batch(args) => batch::run(args, context),
        Command::Import(args) => import::run(args, context),
        Command::Export(args) => export::run(args, context),
        Command::Scan(args) => scan::run(args, context),
        Command::Watch(args) => watch::run(args, context),
        Command::Search(args) => search::run(args, context),
        Command::Crdt(command) => crdt::run(command, context),
        Command::Checkpoint(args) => checkpoint::run(args, context),
        Command::RestorePoint(args) => restore_point::run(args, context),
        Command::Status => status::run(context),
        Command::Serve(args) => serve::run(args, context),
        Command::Shell => shell::run(context),
        Command::Verify(args) => verify::run(args, context),
        Command::Wal(command) => wal::run(command, context),
        Command::Restore(args) => restore::run(args, context),
        Command::Completions(args) => completions::run(args),
        Command::Man => man::run(),
    }
}

/// The name of a command that wants the process, or the directory, for itself.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "commands run in a shell unless they are named here"
)]
const fn alone(command: &Command) -> Option<&'static str> {
    match command {
        Command::Quickstart(_) => Some("quickstart"),
        Command::QuickstartWriter => Some("quickstart-writer"),
        Command::Init(_) => Some("init"),
        Command::Serve(_) => Some("serve"),
        Command::Shell => Some("shell"),
        Command::Wal(_) => Some("wal"),
        // An archive is nobody's; the database is open in this very process.
        Command::Verify(args) if args.archive.is_none() => Some("verify"),
        _ => None,
    }
}

/// A moment as RFC 3339 text.
fn time_text(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| format!("{ms} ms after 1970"), |time| time.to_string())
}
