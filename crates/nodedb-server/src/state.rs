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

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{http::StatusCode, response::IntoResponse};
    use std::sync::mpsc;
    use tokio::{runtime::Builder, sync::oneshot};

    fn check(test: impl AsyncFnOnce(Shared)) {
        let dir = tempfile::tempdir().expect("a directory");
        let database = Database::open(dir.path().join("db")).expect("a database");
        let (_events, newest) = watch::channel(Arc::from(""));
        let options = ServeOptions { requests_max: 1, ..ServeOptions::default() };
        let shared = Shared::new(database.clone(), options, newest);
        let runtime = Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
        runtime.block_on(test(shared));
        database.close().expect("it closes");
    }

    fn status(result: Result<(), Refusal>) -> StatusCode {
        result.map_or_else(|refusal| refusal.into_response().status(), |()| StatusCode::OK)
    }

    #[test]
    fn requests_beyond_the_limit_are_busy_also_while_nobody_waits_for_the_first() {
        check(async |shared| {
            let (started, has_started) = oneshot::channel();
            let (end, ends) = mpsc::channel::<()>();
            let (ended, has_ended) = oneshot::channel();
            let first = tokio::spawn({
                let shared = shared.clone();
                async move {
                    let work = shared.call(move |_| {
                        started.send(()).expect("the test listens");
                        assert!(ends.recv().is_err(), "the test drops its end");
                        ended.send(()).expect("the test listens");
                        Ok(())
                    });
                    work.await
                }
            });
            has_started.await.expect("it begins");
            assert_eq!(status(shared.call(|_| Ok(())).await), StatusCode::SERVICE_UNAVAILABLE);
            // The caller gives up; the work goes on and keeps its place.
            first.abort();
            drop(first.await);
            assert_eq!(status(shared.call(|_| Ok(())).await), StatusCode::SERVICE_UNAVAILABLE);
            drop(end);
            has_ended.await.expect("it ends");
            while status(shared.call(|_| Ok(())).await) != StatusCode::OK {
                task::yield_now().await;
            }
        });
    }

    #[test]
    fn a_panic_is_an_internal_error_and_gives_its_place_back() {
        check(async |shared| {
            let answer =
                shared.call(|_| -> Result<(), Refusal> { panic!("a test of panics") }).await;
            assert_eq!(status(answer), StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(status(shared.call(|_| Ok(())).await), StatusCode::OK);
        });
    }
}
