//! `batch`.

use crate::{answer::Answer, args::BatchArgs, context::Context, failure::Failure};
use nodedb::{BatchOptions, Version};
use nodedb_server::answer::parse_batch;
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct Written {
    lsn: u64,
    versions: Vec<String>,
}

pub(super) fn run(args: &BatchArgs, context: &mut Context) -> Result<Answer, Failure> {
    let word = &args.operations;
    // No file that a batch stands in has such a name: this is JSON, and what it lacks will be told.
    let text = if word.trim_start().starts_with(['[', '{']) {
        word.as_bytes().to_vec()
    } else {
        context.read(Path::new(word.strip_prefix('@').unwrap_or(word)))?
    };
    let tenant = context.tenant()?;
    let operations = parse_batch(&text, &tenant)?;
    let count = operations.len();
    let options = BatchOptions { idempotency: args.idempotency };
    let written = tenant.batch_with(&operations, options)?;
    let versions = written.versions.iter().map(Version::to_string).collect();
    let answer = Written { lsn: written.lsn.get(), versions };
    let text = format!("{count} written together, lsn {}", answer.lsn);
    Answer::new(&answer, text)
}
