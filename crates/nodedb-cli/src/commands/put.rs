//! `put`.

use crate::{answer::Answer, args::PutArgs, context::Context, failure::Failure};
use nodedb::{WriteOptions, Written};
use serde::Serialize;
use std::time::Duration;

#[derive(Serialize)]
struct Put {
    lsn: u64,
    version: String,
}

pub(super) fn run(args: &PutArgs, context: &mut Context) -> Result<Answer, Failure> {
    let value = context.value(&args.value)?;
    let options = WriteOptions {
        expect: args.expect.map(|expected| expected.0),
        ttl: args.ttl.map(|seconds| Duration::from_secs(seconds.into())),
        idempotency: args.idempotency,
        ..WriteOptions::default()
    };
    let Written { lsn, version } =
        context.collection(&args.collection)?.put_raw(&args.key, &value, options)?;
    let answer = Put { lsn: lsn.get(), version: version.to_string() };
    let text = format!("lsn {}, version {}", answer.lsn, answer.version);
    Answer::new(&answer, text)
}
