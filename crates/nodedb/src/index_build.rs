//! Building an index over the documents that were there before it.

use crate::{Error, Pending, schema::Schema, sender::Destination};
use bytes::Bytes;
use nodedb_bridge::Priority;
use nodedb_control::Shutdown;
use nodedb_data::{BuildSlice, Built, DataError, Op, Outcome};
use nodedb_engine::{Collection as Definition, Index};
use nodedb_types::{ErrorKind, VshardId};
use std::{ops::ControlFlow, sync::Arc, time::Duration};
use tokio::time;

/// How far the building of an index is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct IndexProgress {
    /// Documents looked at so far.
    pub documents: u64,
}

/// Asked after every round of slices whether to go on.
pub(crate) type OnProgress<'a> = &'a mut dyn FnMut(IndexProgress) -> ControlFlow<()>;

/// How long builds that could not be completed wait before they are tried again: each time twice as
/// long, since every try looks at all documents.
const RETRY_PAUSE_MIN: Duration = Duration::from_secs(1);
const RETRY_PAUSE_MAX: Duration = Duration::from_mins(5);

/// What a try to complete an index came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tried {
    /// It is complete, or nobody wants it any more.
    Done,
    /// It may be completed later.
    Failed,
}

/// The building of one index. Its writes were logged from the record of the index on; what is left are
/// the documents from before, which the cores add in slices. A build that begins again from the first
/// key changes nothing that it had done.
#[derive(Debug)]
pub(crate) struct IndexBuild<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) of: &'a Definition,
    pub(crate) index: &'a Index,
}

/// The part of a build that one vshard does.
#[derive(Clone, Debug)]
struct Partition {
    vshard: VshardId,
    after: Option<Bytes>,
}

impl IndexBuild<'_> {
    /// Adds the documents and marks the index as complete. If that cannot be done, the index is dropped
    /// again: nothing half-built stays. Only a database that is closed or poisoned keeps it, for the
    /// next open to go on.
    pub(crate) fn run(&self, progress: OnProgress<'_>) -> Result<(), Error> {
        let finished = self.finish(progress);
        if let Err(error) = &finished
            && !matches!(error, Error::IndexDropped { .. })
            && !is_left_to_the_next_open(error)
        {
            self.drop_again(error);
        }
        finished
    }

    /// Goes on from the first key, once. Nobody waits for it, so why it cannot be completed is kept for
    /// whoever looks at the index or at the health of the database.
    fn go_on(&self, shutdown: &Shutdown) -> Tried {
        let mut progress = |_: IndexProgress| {
            if shutdown.is_requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let finished = self.finish(&mut progress);
        let failure = finished.as_ref().err().map(Error::in_full);
        let tried = match finished {
            Ok(()) | Err(Error::IndexDropped { .. } | Error::IndexCancelled { .. }) => Tried::Done,
            Err(error) if is_left_to_the_next_open(&error) => Tried::Done,
            Err(error) => {
                let over = self.index.over();
                tracing::warn!(error = %error, over, "an index cannot be completed");
                Tried::Failed
            }
        };
        let failure = failure.filter(|_| tried == Tried::Failed);
        self.schema.note_failure(self.index.id(), failure);
        tried
    }

    fn finish(&self, progress: OnProgress<'_>) -> Result<(), Error> {
        let built = self.add_documents(progress).and_then(|()| {
            let ready = self.schema.index_ready(self.of, self.index.id());
            ready.map(|_lsn| ())
        });
        built.map_err(|error| if is_gone(&error) { self.dropped() } else { error })
    }

    fn add_documents(&self, progress: OnProgress<'_>) -> Result<(), Error> {
        let (routing, of) = (self.schema.routing, self.of);
        let partition = |vshard| Partition { vshard, after: None };
        let mut left: Vec<_> = routing.partitions(of.id, of.partitions).map(partition).collect();
        let mut done = IndexProgress::default();
        while !left.is_empty() {
            // All vshards work on their slices at the same time.
            let asked: Vec<_> = left.iter().map(|partition| self.ask(partition)).collect();
            let mut next = Vec::with_capacity(left.len());
            for (partition, asked) in left.into_iter().zip(asked) {
                let built = self.answer(&partition, asked)?;
                done.documents += built.documents;
                let vshard = partition.vshard;
                next.extend(built.next.map(|after| Partition { vshard, after: Some(after) }));
            }
            left = next;
            if progress(done).is_break() {
                let over = self.index.over().to_owned();
                return Err(Error::IndexCancelled { collection: of.name.to_string(), over });
            }
        }
        Ok(())
    }

    fn ask(&self, partition: &Partition) -> Result<Pending<Built>, Error> {
        let to = Destination {
            tenant: self.of.tenant,
            vshard: partition.vshard,
            priority: Priority::Background,
        };
        let slice = BuildSlice {
            collection: self.of.id,
            index: self.index.id(),
            after: partition.after.clone(),
        };
        self.schema.sender.send(to, Op::BuildIndex(slice), |outcome| {
            let Outcome::Built(built) = outcome else {
                return Err(Error::mismatched("index build"));
            };
            Ok(built)
        })
    }

    /// The answer to a slice, which is sent again while the vshard is busy.
    fn answer(
        &self,
        partition: &Partition,
        asked: Result<Pending<Built>, Error>,
    ) -> Result<Built, Error> {
        match asked.and_then(Pending::wait) {
            Err(error) if error.kind() == ErrorKind::Busy => {
                self.schema.sender.patiently(|| self.ask(partition)?.wait())
            }
            answer => answer,
        }
    }

    fn dropped(&self) -> Error {
        let (collection, over) = (self.of.name.to_string(), self.index.over().to_owned());
        Error::IndexDropped { collection, over }
    }

    fn drop_again(&self, cause: &Error) {
        if let Err(error) = self.schema.drop_index(self.of, self.index.id()) {
            tracing::warn!(error = %error, cause = %cause, "a half-built index stays until the next open");
            self.schema.note_failure(self.index.id(), Some(cause.in_full()));
        }
    }
}

/// Whether somebody has dropped the index, or its collection, meanwhile.
fn is_gone(error: &Error) -> bool {
    let gone = |error: &DataError| {
        matches!(
            error,
            DataError::WrongIndex { .. }
                | DataError::NoSuchCollection { .. }
                | DataError::Catalog(_)
        )
    };
    matches!(error, Error::Catalog(_)) || matches!(error, Error::Data(error) if gone(error))
}

fn is_left_to_the_next_open(error: &Error) -> bool {
    let given_up = matches!(error, Error::IndexCancelled { .. });
    !given_up && matches!(error.kind(), ErrorKind::Closed | ErrorKind::Poisoned)
}

/// Goes on with the indexes that the last process left half-built. What cannot be completed is tried
/// again until it can, or is dropped; it holds up no other.
pub(crate) async fn go_on(schema: Arc<Schema>, mut shutdown: Shutdown) {
    let mut left = schema.building();
    let mut pause = RETRY_PAUSE_MIN;
    loop {
        let (of_thread, stop) = (Arc::clone(&schema), shutdown.clone());
        // It blocks, and a thread of the runtime must not.
        let tried = tokio::task::spawn_blocking(move || try_all(&of_thread, left, &stop));
        left = match tried.await {
            Ok(failed) => failed,
            Err(error) => {
                tracing::error!(error = %error, "building indexes failed");
                return;
            }
        };
        if left.is_empty() || shutdown.is_requested() {
            // A task that ends before it is told to counts as failed.
            return shutdown.requested().await;
        }
        if time::timeout(pause, shutdown.requested()).await.is_ok() {
            return;
        }
        pause = (pause * 2).min(RETRY_PAUSE_MAX);
    }
}

/// The builds that could not be completed.
fn try_all(
    schema: &Schema,
    builds: Vec<(Definition, Index)>,
    stop: &Shutdown,
) -> Vec<(Definition, Index)> {
    let failed = |(of, index): &(Definition, Index)| {
        IndexBuild { schema, of, index }.go_on(stop) == Tried::Failed
    };
    builds.into_iter().filter(failed).collect()
}
