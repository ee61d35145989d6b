//! The server: threads, listener, routes, and their end.

use crate::{
    ServeError, ServeOptions, api, events, guard, health, listener::BoundedListener, metrics, page,
    state::Shared,
};
use axum::{Router, extract::DefaultBodyLimit, middleware, routing::get};
use nodedb::Database;
use std::{
    net::{SocketAddr, TcpListener},
    sync::{Arc, mpsc},
    time::Duration,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::{Semaphore, watch},
};

/// What a connection may be silent beyond the time of a request, such as between two requests.
const SILENCE: Duration = Duration::from_secs(30);

/// Serves a database until it is stopped or dropped. It does not close the database.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    /// Answers when the last connection has ended.
    ended: mpsc::Receiver<()>,
    stop_limit: Duration,
    runtime: Runtime,
}

impl Server {
    /// Listens, and answers from now on, on threads of its own; the caller needs no runtime.
    ///
    /// # Errors
    /// Those of [`ServeOptions::validate`]; [`ServeError::Listen`] if the address is taken or not of this
    /// machine; [`ServeError::Threads`].
    pub fn start(database: Database, options: ServeOptions) -> Result<Self, ServeError> {
        options.validate()?;
        let failed = |source| ServeError::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(options.requests_max)
            .thread_name("nodedb-serve")
            .enable_io()
            .enable_time()
            .build()
            .map_err(ServeError::Threads)?;
        let in_runtime = runtime.enter();
        let listener = BoundedListener {
            inner: tokio::net::TcpListener::from_std(listener).map_err(failed)?,
            permits: Arc::new(Semaphore::new(options.connections_max)),
            silence_limit: options.request_limit + SILENCE,
        };
        drop(in_runtime);
        let (stop, stopped) = watch::channel(false);
        let (ends, ended) = mpsc::sync_channel(1);
        let stop_limit = options.stop_limit;
        let (sampler, newest) = watch::channel(Arc::from(""));
        runtime.spawn(events::sample(database.clone(), sampler, stopped.clone()));
        let routes = routes(Shared::new(database, options, newest));
        runtime.spawn(async move {
            let serve = axum::serve(listener, routes);
            if let Err(error) = serve.with_graceful_shutdown(until(stopped)).await {
                tracing::error!(%error, "the server has ended");
            }
            drop(ends);
        });
        Ok(Self { address, stop, ended, stop_limit, runtime })
    }

    /// Where it listens: the port that it has taken, where 0 was asked for.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts nothing more, ends the streams of events, and gives requests under way their time; blocks
    /// until all connections have ended, at most for [`ServeOptions::stop_limit`]. Then what is left is
    /// dropped: its callers see the connection end, the outcome of their writes is unknown.
    pub fn stop(self) {
        self.stop.send_replace(true);
        // The end of the channel is the end of the server.
        if self.ended.recv_timeout(self.stop_limit) == Err(mpsc::RecvTimeoutError::Timeout) {
            tracing::warn!("requests under way were dropped");
        }
        self.runtime.shutdown_background();
    }
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // A server that is dropped takes the sender with it, which ends it too.
    drop(stopped.wait_for(|stopped| *stopped).await);
}

fn routes(shared: Shared) -> Router {
    let body = DefaultBodyLimit::max(shared.options.body_bytes_max);
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/metrics", get(metrics::metrics))
        .route("/v1/status", get(health::status))
        .route("/v1/events", get(events::subscribe))
        .merge(page::routes())
        .merge(api::routes())
        .fallback(api::unknown)
        .method_not_allowed_fallback(api::wrong_method)
        .layer(body)
        .layer(middleware::from_fn_with_state(shared.clone(), guard::guard))
        .with_state(shared)
}
