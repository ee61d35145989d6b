//! `get`.

use crate::{answer::Answer, args::GetArgs, context::Context, failure::Failure};
use nodedb::{CollectionKind, ReadOptions};
use nodedb_server::answer::Row;

pub(super) fn run(args: &GetArgs, context: &mut Context) -> Result<Answer, Failure> {
    let collection = context.collection(&args.collection)?;
    let options = ReadOptions { consistency: args.consistency.unwrap_or_default() };
    let document = collection.get_with(&args.key, options)?.ok_or_else(|| Failure::NoDocument {
        collection: args.collection.clone(),
        key: args.key.clone(),
    })?;
    let kind = collection.kind();
    let row = Row::of(kind, &document)?;
    let mut text = document.value.to_vec();
    // Raw bytes are answered byte for byte; JSON ends its line.
    if kind != CollectionKind::Bytes {
        text.push(b'\n');
    }
    Answer::raw(&row, text)
}
