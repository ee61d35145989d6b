//! `get`.

use crate::{answer::Answer, args::GetArgs, context::Context, failure::Failure, rows::Row};
use nodedb::CollectionKind;

pub(super) fn run(args: &GetArgs, context: &mut Context) -> Result<Answer, Failure> {
    let collection = context.collection(&args.collection)?;
    let document = collection.get(&args.key)?.ok_or_else(|| Failure::NoDocument {
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
