//! An operation under way.

use crate::Error;
use nodedb_bridge::{Ticket, TicketError};
use nodedb_data::{Answer, DataError, Outcome};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    runtime::Handle,
    time::{Sleep, sleep},
};

type Conclude<T> = Box<dyn FnOnce(Outcome) -> Result<T, Error> + Send>;

/// An operation that has been sent: wait for it with [`Pending::wait`], or `.await` it on any
/// runtime. Many may be under way at once; one sync of the log serves all that are ready by then.
///
/// Dropping it cancels the operation if it has not begun, and only the answer otherwise.
#[must_use = "dropping it cancels the operation"]
pub struct Pending<T> {
    ticket: Ticket<Answer>,
    conclude: Option<Conclude<T>>,
    runtime: Handle,
    timeout: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<T> Pending<T> {
    pub(crate) fn new(
        ticket: Ticket<Answer>,
        runtime: Handle,
        timeout: Duration,
        conclude: impl FnOnce(Outcome) -> Result<T, Error> + Send + 'static,
    ) -> Self {
        Self { ticket, conclude: Some(Box::new(conclude)), runtime, timeout, timer: None }
    }

    /// Blocks until it is answered, at most for the request deadline of the database.
    ///
    /// # Errors
    /// What the operation says; [`Error::Timeout`], of a write the outcome is then unknown.
    pub fn wait(self) -> Result<T, Error> {
        conclude(self.conclude, self.ticket.wait())
    }
}

fn conclude<T>(
    conclude: Option<Conclude<T>>,
    answer: Result<Answer, TicketError>,
) -> Result<T, Error> {
    let outcome = match answer {
        Ok(answer) => answer?,
        Err(TicketError::Timeout) => return Err(Error::Timeout),
        Err(error) => return Err(DataError::from(error).into()),
    };
    let conclude = conclude.ok_or_else(|| Error::internal("polled after it was answered"))?;
    conclude(outcome)
}

impl<T> Future for Pending<T> {
    type Output = Result<T, Error>;

    /// # Cancel safety
    /// Dropping it cancels only what has not begun.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(answer) = Pin::new(&mut self.ticket).poll(context) {
            return Poll::Ready(conclude(self.conclude.take(), answer));
        }
        // The timer runs on the database's own runtime, so that any executor may poll this.
        let (runtime, timeout) = (self.runtime.clone(), self.timeout);
        let timer = self.timer.get_or_insert_with(|| {
            let _inside = runtime.enter();
            Box::pin(sleep(timeout))
        });
        timer.as_mut().poll(context).map(|()| Err(Error::Timeout))
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("request", &self.ticket.id()).finish_non_exhaustive()
    }
}
