//! What all requests share.

use crate::{ServeOptions, refusal::Refusal};
use nodedb::{Database, ErrorKind};
use std::{fmt, sync::Arc};
use tokio::{
    sync::{Semaphore, watch},
    task,
};

/// What all requests share; a handle that is cheap to clone.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) database: Database,
    pub(crate) options: Arc<ServeOptions>,
    /// One permit for each request that works on the database.
    requests: Arc<Semaphore>,
    /// One permit for each subscriber of events.
    pub(crate) subscribers: Arc<Semaphore>,
    /// The newest event; the sender lives as long as the server does.
    pub(crate) events: watch::Receiver<Arc<str>>,
}

impl Shared {
    pub(crate) fn new(
        database: Database,
        options: ServeOptions,
        events: watch::Receiver<Arc<str>>,
    ) -> Self {
        Self {
            database,
            requests: Arc::new(Semaphore::new(options.requests_max)),
            subscribers: Arc::new(Semaphore::new(options.subscribers_max)),
            options: Arc::new(options),
            events,
        }
    }

    /// Does blocking work on the database, on a thread for such work. The permit goes with the work: a
    /// request that has given up waiting still counts until its work has ended.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let permit = Arc::clone(&self.requests).try_acquire_owned().map_err(|_full| {
            let limit = self.options.requests_max;
            Refusal::busy(format!("{limit} requests are under way: try again"))
        })?;
        let database = self.database.clone();
        let work = task::spawn_blocking(move || {
            let _permit = permit;
            work(&database)
        });
        work.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a request ended without an answer");
            Err(Refusal::new(ErrorKind::Internal, "the request ended without an answer"))
        })
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("options", &self.options).finish_non_exhaustive()
    }
}
