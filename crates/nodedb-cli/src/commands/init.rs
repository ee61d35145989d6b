//! `init`.

use crate::{answer::Answer, args::InitArgs, context::Context, failure::Failure};
use nodedb::{ArchiveOptions, CreateOptions, Database};
use serde::Serialize;

#[derive(Serialize)]
struct Created {
    database_id: String,
}

pub(super) fn run(flags: &InitArgs, context: &mut Context) -> Result<Answer, Failure> {
    let args = context
        .settings
        .init_args(flags)
        .map_err(|error| Failure::input(crate::settings::FILE, error))?;
    let defaults = CreateOptions::default();
    let options = CreateOptions {
        vshards: args.vshards.unwrap_or(defaults.vshards),
        segment_bytes: args.segment_bytes.unwrap_or(defaults.segment_bytes),
        durability: args.durability.unwrap_or(defaults.durability),
        archive: args.archive.map(|url| ArchiveOptions {
            url,
            policy: args.archive_policy.map(Into::into).unwrap_or_default(),
        }),
    };
    let database = Database::create(context.dir()?, options)?;
    let database_id = database.id().to_string();
    context.adopt(database);
    let text = format!("created database {database_id} in {}", context.dir()?.display());
    Answer::new(&Created { database_id }, text)
}
