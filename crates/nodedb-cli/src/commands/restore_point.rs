//! `restore-point`.

use super::time_text;
use crate::{answer::Answer, args::RestorePointArgs, context::Context, failure::Failure};
use serde::Serialize;

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
    lsn: u64,
    time: String,
}

pub(super) fn run(args: &RestorePointArgs, context: &mut Context) -> Result<Answer, Failure> {
    let point = context.database()?.restore_point(&args.name)?;
    let (lsn, time) = (point.lsn.get(), time_text(point.time_ms));
    let text = format!("{}: lsn {lsn}, {time}", args.name);
    Answer::new(&Named { name: &args.name, lsn, time }, text)
}
