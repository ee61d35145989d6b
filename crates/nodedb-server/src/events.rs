//! `/v1/events`: the state of the database, once a second, as server-sent events.

use crate::{answer::StatusAnswer, refusal::Refusal, state::Shared};
use axum::{
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use futures_util::stream;
use nodedb::Database;
use nodedb_env::Env;
use serde::Serialize;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{self, MissedTickBehavior},
};

const EVERY: Duration = Duration::from_secs(1);

/// What an event holds.
#[derive(Serialize)]
struct Sample {
    /// When, in milliseconds since 1970.
    unix_ms: u64,
    #[serde(flatten)]
    status: StatusAnswer,
}

/// Takes a sample a second while somebody subscribes. One for all of them, and only the newest is kept: a
/// subscriber who reads slowly misses samples and makes nothing grow. Ends when the server stops or the
/// database is closed, and with it the streams of all subscribers.
pub(crate) async fn sample(
    database: Database,
    events: watch::Sender<Arc<str>>,
    mut stop: watch::Receiver<bool>,
) {
    let env = Env::real();
    let mut tick = time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stopped| *stopped) => return,
            _ = tick.tick() => {}
        }
        // One receiver is the server's own.
        if events.receiver_count() < 2 {
            continue;
        }
        let Ok(status) = database.status() else {
            return;
        };
        let sample = Sample { unix_ms: env.clock.unix_ms(), status: StatusAnswer::from(status) };
        match serde_json::to_string(&sample) {
            Ok(text) => drop(events.send_replace(Arc::from(text))),
            Err(error) => tracing::error!(%error, "a sample cannot be written as JSON"),
        }
    }
}

/// A stream of samples, which ends with the server.
pub(crate) async fn subscribe(State(shared): State<Shared>) -> Result<Response, Refusal> {
    let permit = Arc::clone(&shared.subscribers).try_acquire_owned().map_err(|_full| {
        let limit = shared.options.subscribers_max;
        Refusal::busy(format!("{limit} others subscribe to events: close one"))
    })?;
    let mut events = shared.events.clone();
    events.mark_unchanged();
    let samples = stream::unfold((events, permit), |(mut events, permit)| async {
        events.changed().await.ok()?;
        let text = Arc::clone(&events.borrow_and_update());
        let event: Result<_, Infallible> = Ok(Event::default().data(&*text));
        Some((event, (events, permit)))
    });
    Ok(Sse::new(samples).into_response())
}
