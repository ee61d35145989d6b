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
use nodedb::{Database, Status};
use nodedb_env::Env;
use serde::Serialize;
use serde_json::json;
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
        events.send_replace(text(status, &env));
    }
}

fn text(status: Status, env: &Env) -> Arc<str> {
    let sample = Sample { unix_ms: env.clock.unix_ms(), status: StatusAnswer::from(status) };
    let text = serde_json::to_string(&sample);
    text.map_or_else(|error| Arc::from(json!({"error": error.to_string()}).to_string()), Arc::from)
}

/// A stream of samples, the first at once, which ends with the server.
pub(crate) async fn subscribe(State(shared): State<Shared>) -> Result<Response, Refusal> {
    let permit = Arc::clone(&shared.subscribers).try_acquire_owned().map_err(|_full| {
        let limit = shared.options.subscribers_max;
        Refusal::busy(format!("{limit} others subscribe to events: close one"))
    })?;
    let mut events = shared.events.clone();
    events.mark_unchanged();
    let first = Some(text(shared.database.status()?, &Env::real()));
    let samples = stream::unfold((first, events, permit), |(first, mut events, permit)| async {
        let text = if let Some(first) = first {
            first
        } else {
            events.changed().await.ok()?;
            Arc::clone(&events.borrow_and_update())
        };
        let event: Result<_, Infallible> = Ok(Event::default().data(&*text));
        Some((event, (None, events, permit)))
    });
    Ok(Sse::new(samples).into_response())
}
