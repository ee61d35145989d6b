//! Waiting for durability without a thread and without a runtime.

use crate::{WaitError, commit::Goal, core::Core};
use nodedb_types::Lsn;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll},
};

/// Resolves when a record is durable, to the durable position then, or when it cannot become so. Dropping
/// it cancels only the waiting.
#[derive(Debug)]
pub struct DurableFuture {
    core: Arc<Core>,
    lsn: Lsn,
    id: u64,
}

impl DurableFuture {
    pub(crate) fn new(core: Arc<Core>, lsn: Lsn) -> Self {
        core.request_sync(lsn);
        Self { core, lsn, id: next_id() }
    }
}

/// A number to tell those apart who wait for the same record.
pub(crate) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Future for DurableFuture {
    type Output = Result<Lsn, WaitError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(durable) = self.core.durable().filter(|durable| *durable >= self.lsn) {
            return Poll::Ready(Ok(durable));
        }
        // Again at every poll: the record may have been appended only after the future was made.
        self.core.request_sync(self.lsn);
        let waker = context.waker().clone();
        let mut stage = self.core.stage.lock();
        if let Some(verdict) = self.core.verdict(&stage, self.lsn, Goal::Durable) {
            return Poll::Ready(verdict);
        }
        // Under the lock under which the end of a pass collects: no wake-up falls in between.
        let key = (self.lsn, self.id);
        let replaced = stage.wakers.insert(key, waker);
        drop(stage);
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for DurableFuture {
    fn drop(&mut self) {
        // The waker outlives the lock: dropping it may drop a task that holds another future.
        let mut stage = self.core.stage.lock();
        let waker = stage.wakers.remove(&(self.lsn, self.id));
        drop(stage);
        drop(waker);
    }
}
