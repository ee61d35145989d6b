//! `index add`, `index drop`.

use crate::{
    answer::Answer,
    args::{IndexAddArgs, IndexCommand, IndexDropArgs},
    context::Context,
    failure::Failure,
    interrupt::Interrupt,
    progress::Progress,
};
use nodedb::{IndexInfo, IndexKind, IndexProgress, IndexState, IndexStatistics, NewIndex};
use serde::Serialize;
use std::ops::ControlFlow;

/// An index as commands show it.
#[derive(Serialize)]
pub(super) struct Index {
    field: String,
    #[serde(flatten)]
    kind: Kind,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

/// An index with how much it holds.
#[derive(Serialize)]
pub(super) struct Counted {
    #[serde(flatten)]
    index: Index,
    entries: u64,
    /// Of a vector index.
    #[serde(skip_serializing_if = "Option::is_none")]
    segments: Option<u64>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Kind {
    Vector { dimensions: u32, metric: &'static str, storage: &'static str },
    Field { unique: bool },
}

#[derive(Serialize)]
struct Added {
    index: Index,
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
    let index = Index::from(info);
    let text = format!("{} is ready, {documents} documents looked at", index.text());
    Answer::new(&Added { index, documents }, text)
}

fn drop_index(args: &IndexDropArgs, context: &mut Context) -> Result<Answer, Failure> {
    let IndexDropArgs { name, field } = args;
    let lsn = context.collection(name)?.drop_index(field)?.get();
    Answer::new(&Dropped { lsn }, format!("dropped the index over {field} of {name}, lsn {lsn}"))
}

pub(super) fn describe_all(indexes: Vec<IndexInfo>) -> Vec<Index> {
    indexes.into_iter().map(Index::from).collect()
}

impl From<IndexInfo> for Index {
    fn from(info: IndexInfo) -> Self {
        let kind = match info.kind {
            IndexKind::Vector { dimensions, metric, storage } => {
                let (metric, storage) = (metric.name(), storage.name());
                Kind::Vector { dimensions, metric, storage }
            }
            IndexKind::Field { unique } => Kind::Field { unique },
        };
        let state = match info.state {
            IndexState::Ready => "ready",
            IndexState::Building => "building",
        };
        Self { field: info.over, kind, state, failure: info.failure }
    }
}

impl From<IndexStatistics> for Counted {
    fn from(counted: IndexStatistics) -> Self {
        let IndexStatistics { info, entries, segments } = counted;
        let is_vector = matches!(info.kind, IndexKind::Vector { .. });
        Self { index: Index::from(info), entries, segments: is_vector.then_some(segments) }
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

impl Index {
    /// As an option would write it.
    pub(super) fn text(&self) -> String {
        let over = &self.field;
        let written = match &self.kind {
            Kind::Vector { dimensions, metric, storage } => {
                format!("{over}:{dimensions}:{metric}:{storage}")
            }
            Kind::Field { unique: true } => format!("{over}:unique"),
            Kind::Field { unique: false } => over.clone(),
        };
        if self.state == "ready" { written } else { format!("{written} ({})", self.state) }
    }
}
