//! Waiting for durability without a thread and without a runtime.

use crate::{WaitError, core::Core};
use nodedb_types::Lsn;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll},
};

/// Resolves when a record is durable, or cannot become so. Dropping it cancels only the waiting.
#[derive(Debug)]
pub struct DurableFuture {
    core: Arc<Core>,
    lsn: Lsn,
    id: u64,
}

impl DurableFuture {
    pub(crate) fn new(core: Arc<Core>, lsn: Lsn) -> Self {
        // Only to tell futures for the same record apart.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        core.request_sync(lsn);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { core, lsn, id }
    }
}

impl Future for DurableFuture {
    type Output = Result<(), WaitError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.core.durable() >= Some(self.lsn) {
            return Poll::Ready(Ok(()));
        }
        // Again at every poll: the record may have been appended only after the future was made.
        self.core.request_sync(self.lsn);
        let mut stage = self.core.stage.lock();
        if let Some(verdict) = self.core.verdict(&stage, self.lsn) {
            return Poll::Ready(verdict);
        }
        // Under the lock under which `publish_durable` collects: no wake-up falls in between.
        let key = (self.lsn, self.id);
        let replaced = stage.wakers.insert(key, context.waker().clone());
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
