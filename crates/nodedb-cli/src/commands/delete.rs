//! `delete`.

use crate::{answer::Answer, args::DeleteArgs, context::Context, failure::Failure};
use nodedb::{Lsn, WriteOptions};
use serde::Serialize;

#[derive(Serialize)]
struct Deleted {
    lsn: Option<u64>,
    deleted: u64,
}

pub(super) fn run(args: &DeleteArgs, context: &mut Context) -> Result<Answer, Failure> {
    let collection = context.collection(&args.collection)?;
    let answer = match (&args.filter, &args.key) {
        (Some(filter), _) => {
            let deleted = collection.delete_where(filter)?;
            Deleted { lsn: deleted.last_lsn.map(Lsn::get), deleted: deleted.count }
        }
        (None, Some(key)) => {
            let options = WriteOptions {
                expect: args.expect.map(|expected| expected.0),
                ..WriteOptions::default()
            };
            let lsn = collection.delete(key, options)?;
            Deleted { lsn: Some(lsn.get()), deleted: 1 }
        }
        (None, None) => {
            let message = "give a key or --filter".to_owned();
            return Err(Failure::Usage { message });
        }
    };
    let text = match answer.lsn {
        Some(lsn) => format!("{} deleted, lsn {lsn}", answer.deleted),
        None => "0 deleted".to_owned(),
    };
    Answer::new(&answer, text)
}
