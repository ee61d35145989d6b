//! `collection create`, `collection list`, `collection info`, `collection drop`.

use super::index::Counted;
use crate::{
    answer::Answer,
    args::{CollectionCommand, CreateArgs},
    context::Context,
    failure::Failure,
};
use nodedb::{CollectionStatistics, NewCollection, NewIndex};
use nodedb_server::answer::{CollectionAnswer, IndexAnswer};
use serde::Serialize;
use std::fmt::Write;

#[derive(Serialize)]
struct Collections {
    collections: Vec<CollectionAnswer>,
}

#[derive(Serialize)]
struct Info<'a> {
    name: &'a str,
    kind: &'static str,
    documents: u64,
    key_bytes: u64,
    value_bytes: u64,
    indexes: Vec<Counted>,
}

#[derive(Serialize)]
struct Dropped {
    lsn: u64,
}

pub(super) fn run(command: &CollectionCommand, context: &mut Context) -> Result<Answer, Failure> {
    match command {
        CollectionCommand::Create(args) => create(args, context),
        CollectionCommand::List => {
            let collections = context.tenant()?.collections()?;
            answer(collections.into_iter().map(CollectionAnswer::from).collect())
        }
        CollectionCommand::Info(args) => info(&args.name, context),
        CollectionCommand::Drop(args) => {
            let lsn = context.tenant()?.drop_collection(&args.name)?.get();
            Answer::new(&Dropped { lsn }, format!("dropped {}, lsn {lsn}", args.name))
        }
    }
}

fn create(args: &CreateArgs, context: &mut Context) -> Result<Answer, Failure> {
    let created = context.tenant()?.create_collection(NewCollection {
        name: args.name.clone(),
        kind: args.kind.into(),
        partitions: args.partitions,
        indexes: indexes(args),
    })?;
    answer(vec![CollectionAnswer::from(created)])
}

fn indexes(args: &CreateArgs) -> Vec<NewIndex> {
    let vectors = args.vector.iter().cloned().map(NewIndex::Vector);
    vectors.chain(args.index.iter().cloned().map(NewIndex::Field)).collect()
}

fn info(name: &str, context: &mut Context) -> Result<Answer, Failure> {
    let collection = context.collection(name)?;
    let CollectionStatistics { documents, key_bytes, value_bytes, indexes } =
        collection.statistics()?;
    let indexes: Vec<_> = indexes.into_iter().map(Counted::from).collect();
    let kind = collection.kind().name();
    let mut lines = vec![
        format!("{name}, {kind}"),
        format!("{documents} documents, {key_bytes} bytes of keys, {value_bytes} bytes of values"),
    ];
    lines.extend(indexes.iter().map(Counted::text));
    let info = Info { name, kind, documents, key_bytes, value_bytes, indexes };
    Answer::new(&info, lines.join("\n"))
}

fn answer(collections: Vec<CollectionAnswer>) -> Result<Answer, Failure> {
    let mut text = String::from("NAME  KIND  PARTITIONS  DOCUMENTS  BYTES  INDEXES");
    for one in &collections {
        let CollectionAnswer { name, kind, partitions, documents, key_bytes, value_bytes, indexes } =
            one;
        let bytes = key_bytes + value_bytes;
        let indexes: Vec<_> = indexes.iter().map(IndexAnswer::text).collect();
        let indexes = if indexes.is_empty() { "-".to_owned() } else { indexes.join(",") };
        write!(text, "\n{name}  {kind}  {partitions}  {documents}  {bytes}  {indexes}")
            .map_err(|error| Failure::Internal { message: error.to_string() })?;
    }
    Answer::new(&Collections { collections }, text)
}
