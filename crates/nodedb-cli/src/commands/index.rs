//! `index add`, `index drop`.

use crate::{
    answer::Answer,
    args::{IndexAddArgs, IndexCommand, IndexDropArgs},
    context::Context,
    failure::Failure,
    interrupt::Interrupt,
    progress::Progress,
};
use nodedb::{IndexKind, IndexProgress, IndexStatistics, NewIndex};
use nodedb_server::answer::IndexAnswer;
use serde::Serialize;
use std::ops::ControlFlow;

/// An index with how much it holds.
#[derive(Serialize)]
pub(super) struct Counted {
    #[serde(flatten)]
    index: IndexAnswer,
    entries: u64,
    /// Of a vector index.
    #[serde(skip_serializing_if = "Option::is_none")]
    segments: Option<u64>,
}

#[derive(Serialize)]
struct Added {
    index: IndexAnswer,
    documents: u64,
}

#[derive(Serialize)]
struct Dropped {
    lsn: u64,
}

pub(super) fn run(command: &IndexCommand, context: &mut Context) -> Result<Answer, Failure> {
    match command {
        IndexCommand::Add(args) => add(args, context),
        IndexCommand::Drop(args) => drop_index(args, context),
    }
}

fn add(args: &IndexAddArgs, context: &mut Context) -> Result<Answer, Failure> {
    let collection = context.collection(&args.name)?;
    context.interrupt = Interrupt::listen();
    let interrupt = context.interrupt.clone();
    let progress = Progress::counting("documents");
    let mut documents = 0;
    let vector = args.vector.clone().map(NewIndex::Vector);
    let new = vector.or_else(|| args.index.clone().map(NewIndex::Field));
    let new =
        new.ok_or_else(|| Failure::Usage { message: "give --vector or --index".to_owned() })?;
    let info = collection.add_index_with(new, &mut |now: IndexProgress| {
        documents = now.documents;
        progress.set(documents);
        if interrupt.pressed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    drop(progress);
    let index = IndexAnswer::from(info);
    let text = format!("{} is ready, {documents} documents looked at", index.text());
    Answer::new(&Added { index, documents }, text)
}

fn drop_index(args: &IndexDropArgs, context: &mut Context) -> Result<Answer, Failure> {
    let IndexDropArgs { name, field } = args;
    let lsn = context.collection(name)?.drop_index(field)?.get();
    Answer::new(&Dropped { lsn }, format!("dropped the index over {field} of {name}, lsn {lsn}"))
}

impl From<IndexStatistics> for Counted {
    fn from(counted: IndexStatistics) -> Self {
        let IndexStatistics { info, entries, segments } = counted;
        let is_vector = matches!(info.kind, IndexKind::Vector { .. });
        Self { index: IndexAnswer::from(info), entries, segments: is_vector.then_some(segments) }
    }
}

impl Counted {
    pub(super) fn text(&self) -> String {
        let Self { index, entries, segments } = self;
        let held = match segments {
            Some(segments) => format!("{entries} vectors, {segments} segments"),
            None => format!("{entries} entries"),
        };
        let failure = index.failure.iter().map(|failure| format!("; fails: {failure}"));
        format!("index {}: {held}{}", index.text(), failure.collect::<String>())
    }
}
