//! `wal`: the log itself.

mod dump;
mod segments;
mod truncate;

use super::{time_text, verify};
use crate::{answer::Answer, args::WalCommand, context::Context, failure::Failure};

pub(super) fn run(command: &WalCommand, context: &Context) -> Result<Answer, Failure> {
    match command {
        WalCommand::Segments => segments::run(context),
        WalCommand::Dump(args) => dump::run(args, context),
        WalCommand::Verify => verify::answer(nodedb::verify_log(context.dir()?)?),
        WalCommand::Truncate(args) => truncate::run(args, context),
    }
}
