//! An operation under way.

use crate::Error;
use nodedb_bridge::{Ticket, TicketError};
use nodedb_data::{Answer, DataError, Outcome};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::mpsc,
    task::{Context, Poll, ready},
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
    /// For how long the answer is held back once it is there.
    delay: Option<Duration>,
    /// The answer that is held back.
    answer: Option<Result<Answer, TicketError>>,
}

impl<T> Pending<T> {
    pub(crate) fn new(
        ticket: Ticket<Answer>,
        runtime: Handle,
        timeout: Duration,
        conclude: impl FnOnce(Outcome) -> Result<T, Error> + Send + 'static,
    ) -> Self {
        let conclude: Option<Conclude<T>> = Some(Box::new(conclude));
        Self { ticket, conclude, runtime, timeout, timer: None, delay: None, answer: None }
    }

    /// The same, whose answer comes so much later: the caller writes no faster than the log may grow. What
    /// was answered is done all the same.
    pub(crate) fn held_back(self, delay: Option<Duration>) -> Self {
        Self { delay, ..self }
    }

    /// Blocks until it is answered, at most for the request deadline of the database.
    ///
    /// # Errors
    /// What the operation says; [`Error::Timeout`], of a write the outcome is then unknown.
    pub fn wait(self) -> Result<T, Error> {
        let answer = self.ticket.wait();
        if let Some(delay) = self.delay {
            let (held, released) = mpsc::sync_channel::<()>(0);
            self.runtime.spawn(async move {
                sleep(delay).await;
                drop(held);
            });
            // Ends when the timer has, or its runtime.
            released.recv().unwrap_or_default();
        }
        conclude(self.conclude, answer)
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
        if self.answer.is_none()
            && let Poll::Ready(answer) = Pin::new(&mut self.ticket).poll(context)
        {
            let Some(delay) = self.delay.take() else {
                return Poll::Ready(conclude(self.conclude.take(), answer));
            };
            // From now on the timer is that of the answer.
            let _inside = self.runtime.enter();
            let timer = Box::pin(sleep(delay));
            (self.answer, self.timer) = (Some(answer), Some(timer));
        }
        // The timer runs on the database's own runtime, so that any executor may poll this.
        let (runtime, timeout) = (self.runtime.clone(), self.timeout);
        let timer = self.timer.get_or_insert_with(|| {
            let _inside = runtime.enter();
            Box::pin(sleep(timeout))
        });
        ready!(timer.as_mut().poll(context));
        Poll::Ready(match self.answer.take() {
            Some(answer) => conclude(self.conclude.take(), answer),
            None => Err(Error::Timeout),
        })
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("request", &self.ticket.id()).finish_non_exhaustive()
    }
}
