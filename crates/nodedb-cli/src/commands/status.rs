//! `status`.

use crate::{answer::Answer, context::Context, failure::Failure};
use nodedb_server::answer::StatusAnswer;

pub(super) fn run(context: &mut Context) -> Result<Answer, Failure> {
    let shown = StatusAnswer::from(context.database()?.status()?);
    let text = shown.text();
    Answer::new(&shown, text)
}
