//! Waiting for a position without a thread and without a runtime.

use super::Watch;
use crate::WaitError;
use nodedb_types::Lsn;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

/// Resolves when a watched position is past one that was seen; made by [`Watch::past`]. Dropping it
/// cancels only the waiting.
#[derive(Debug)]
pub struct Past {
    watch: Watch,
    seen: Option<Lsn>,
    ticket: Option<u64>,
}

impl Past {
    pub(super) const fn new(watch: Watch, seen: Option<Lsn>) -> Self {
        Self { watch, seen, ticket: None }
    }
}

impl Future for Past {
    type Output = Result<Lsn, WaitError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Self { watch, seen, ticket } = this;
        if let Some(news) = watch.news(*seen) {
            return Poll::Ready(Ok(news));
        }
        watch.watchers().poll(ticket, context.waker(), || watch.news(*seen))
    }
}

impl Drop for Past {
    fn drop(&mut self) {
        self.watch.watchers().withdraw(self.ticket);
    }
}
