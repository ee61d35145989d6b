//! Sending requests to the cores and waiting for what they say.

use crate::{Error, Pending, throttle::Throttle};
use nodedb_bridge::Priority;
use nodedb_data::{DataHandle, Group, Op, Outcome};
use nodedb_env::Clock;
use nodedb_types::{ErrorKind, TenantId, VshardId};
use std::{
    future::Future,
    sync::{Arc, mpsc},
    time::Duration,
};
use tokio::{runtime::Handle, time};

const BUSY_PAUSE_MIN: Duration = Duration::from_millis(1);
const BUSY_PAUSE_MAX: Duration = Duration::from_millis(50);

/// What a request needs on its way to the cores and back.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    pub(crate) data: DataHandle,
    pub(crate) clock: Arc<dyn Clock>,
    /// Longest time that one request waits.
    pub(crate) deadline: Duration,
    pub(crate) runtime: Handle,
    pub(crate) throttle: Arc<Throttle>,
}

/// Whose request goes where, and how urgently.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Destination {
    pub(crate) tenant: TenantId,
    pub(crate) vshard: VshardId,
    pub(crate) priority: Priority,
}

impl Sender {
    /// When a request that is made now is given up.
    pub(crate) fn due(&self) -> Duration {
        self.clock.now() + self.deadline
    }

    /// Sends a request to a vshard.
    pub(crate) fn send<T>(
        &self,
        to: Destination,
        op: Op,
        conclude: impl FnOnce(Outcome) -> Result<T, Error> + Send + 'static,
    ) -> Result<Pending<T>, Error> {
        let Destination { tenant, vshard, priority } = to;
        let delay =
            op.logged_bytes().map(|bytes| self.throttle.admit(bytes)).transpose()?.flatten();
        let ticket = self.data.send(tenant, vshard, op, self.due(), priority)?;
        Ok(Pending::new(ticket, self.runtime.clone(), self.deadline, conclude).held_back(delay))
    }

    /// Sends an atomic batch.
    pub(crate) fn send_group<T>(
        &self,
        tenant: TenantId,
        group: Group,
        conclude: impl FnOnce(Outcome) -> Result<T, Error> + Send + 'static,
    ) -> Result<Pending<T>, Error> {
        let delay = self.throttle.admit(group.bytes())?;
        let ticket = self.data.send_group(tenant, group, self.due())?;
        Ok(Pending::new(ticket, self.runtime.clone(), self.deadline, conclude).held_back(delay))
    }

    /// Repeats a call that was turned away by a full queue or a log that waits for the disk, until the
    /// request deadline. Nothing was done by the ones before, so repeating is safe; a caller with
    /// several operations under way repeats them itself, since only it knows their order.
    pub(crate) fn patiently<T>(
        &self,
        mut call: impl FnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let deadline = self.due();
        let mut pause = BUSY_PAUSE_MIN;
        loop {
            match call() {
                Err(error) if error.kind() == ErrorKind::Busy && self.clock.now() < deadline => {
                    // Made inside: a timer made on a thread without a runtime panics.
                    self.run(async move { time::sleep(pause).await })?;
                    pause = (pause * 2).min(BUSY_PAUSE_MAX);
                }
                result => return result,
            }
        }
    }

    /// Runs a future on the database's runtime and waits for it on this thread, whatever thread that
    /// is: blocking on the runtime itself would panic on a thread of another one.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Error> {
        let (send, receive) = mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            // Nobody listens if the waiting thread was unwound; then nobody misses the answer.
            drop(send.send(future.await));
        });
        receive.recv().or(Err(Error::Closed))
    }
}
