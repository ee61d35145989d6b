//! The steps of a round that are under way. Each ends in an answer, also where it panics: the machine waits
//! for its answers, and whoever asked for a checkpoint waits for the machine.

use super::{Event, Stage, round::RoundId};
use crate::Error;
use nodedb_types::VshardId;
use std::{collections::HashMap, future::Future};
use tokio::task::{Id, JoinSet};

/// How a step ended.
#[derive(Debug)]
pub(super) enum Done {
    Event(Event),
    Declined { round: RoundId, vshard: VshardId, reason: String },
    Failed { round: RoundId, stage: Stage, error: Error },
}

/// What a step is for.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    /// A stage of a round, which fails with it.
    Stage(RoundId, Stage),
    /// The flush of a vshard, without which a round goes on.
    Flush(RoundId, VshardId),
}

/// The steps that have not ended. Dropping it cancels them.
#[derive(Debug, Default)]
pub(super) struct Steps {
    running: JoinSet<Done>,
    purposes: HashMap<Id, Purpose>,
}

impl Steps {
    /// Begins a stage of a round.
    pub(super) fn begin(
        &mut self,
        round: RoundId,
        stage: Stage,
        step: impl Future<Output = Result<Event, Error>> + Send + 'static,
    ) {
        self.spawn(Purpose::Stage(round, stage), async move {
            let failed = |error| Done::Failed { round, stage, error };
            step.await.map_or_else(failed, Done::Event)
        });
    }

    /// Begins to wait for the flush of a vshard, which may be declined with a reason.
    pub(super) fn begin_flush(
        &mut self,
        round: RoundId,
        vshard: VshardId,
        flush: impl Future<Output = Result<Event, String>> + Send + 'static,
    ) {
        self.spawn(Purpose::Flush(round, vshard), async move {
            let declined = |reason| Done::Declined { round, vshard, reason };
            flush.await.map_or_else(declined, Done::Event)
        });
    }

    fn spawn(&mut self, purpose: Purpose, step: impl Future<Output = Done> + Send + 'static) {
        let id = self.running.spawn(step).id();
        let other = self.purposes.insert(id, purpose);
        assert!(other.is_none(), "steps that run have ids of their own");
    }

    /// The next that ends; `None` if there is none under way.
    ///
    /// # Cancel safety
    /// Cancel safe: a step that has ended is answered by the next call.
    pub(super) async fn next(&mut self) -> Option<Done> {
        let ended = self.running.join_next_with_id().await?;
        let id = ended.as_ref().map_or_else(tokio::task::JoinError::id, |(id, _)| *id);
        let purpose = self.purposes.remove(&id)?;
        let error = match ended {
            Ok((_, done)) => return Some(done),
            Err(error) => error,
        };
        tracing::error!(%error, ?purpose, "a step of a checkpoint ended early");
        Some(match purpose {
            Purpose::Stage(round, stage) => {
                Done::Failed { round, stage, error: Error::internal("a step panicked") }
            }
            Purpose::Flush(round, vshard) => {
                Done::Declined { round, vshard, reason: "waiting for it panicked".to_owned() }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step that panicked was logged and no more: the round never ended, and all later requests joined it.
    #[tokio::test]
    async fn a_step_that_panics_is_answered_too() {
        let mut steps = Steps::default();
        assert!(steps.next().await.is_none());
        let (round, vshard) = (RoundId::FIRST, VshardId::new(3));
        steps.begin(round, Stage::Recording, async { panic!("as the test wants") });
        let done = steps.next().await;
        let Some(Done::Failed { round: RoundId::FIRST, stage: Stage::Recording, .. }) = done else {
            panic!("{done:?}");
        };
        steps.begin_flush(round, vshard, async { panic!("as the test wants") });
        let done = steps.next().await;
        let Some(Done::Declined { round: RoundId::FIRST, vshard: declined, .. }) = done else {
            panic!("{done:?}");
        };
        assert_eq!(declined, vshard);
        steps.begin_flush(round, vshard, async { Err("no room".to_owned()) });
        assert!(
            matches!(steps.next().await, Some(Done::Declined { reason, .. }) if reason == "no room")
        );
        steps.begin(round, Stage::Fencing, async { Ok(Event::Tick) });
        assert!(matches!(steps.next().await, Some(Done::Event(Event::Tick))));
        assert!(steps.next().await.is_none() && steps.purposes.is_empty());
    }
}
