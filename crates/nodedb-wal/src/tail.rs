//! Reading the log as it grows.

use crate::{Batch, Past, ReadError, ReadLimit, Reader, WaitError, Wal, watch::Watch};
use nodedb_types::{ErrorKind, Lsn};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// A [`Reader`] that waits for what is not there yet. Ends with the log, after everything that it
/// published.
///
/// It holds nothing back: a record that is reclaimed before it was read is an error that names the
/// oldest one there is. Take a pin to be sure.
#[derive(Debug)]
pub struct Tail {
    reader: Reader,
    watch: Watch,
}

/// Why a tail has no next batch.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TailError {
    /// The next record cannot be read. After [`ReadError::Truncated`] a new tail may start at the
    /// record that it names; what lies between is gone.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The next record is not there: not in time, or never.
    #[error(transparent)]
    Wait(#[from] WaitError),
}

impl TailError {
    /// The stable kind, by which a caller decides what to do.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Read(error) => error.kind(),
            Self::Wait(error) => error.kind(),
        }
    }
}

impl Wal {
    /// Follows the log from a record on, which need not be there yet. Passive as a [`Watch`]: it asks for
    /// no sync.
    ///
    /// # Errors
    /// [`ReadError::Truncated`] if the record was reclaimed.
    pub fn tail(&self, from: Lsn, limit: ReadLimit) -> Result<Tail, ReadError> {
        let reader = self.reader(from, limit)?;
        let watch = Watch::new(Arc::clone(self.core()), limit);
        Ok(Tail { reader, watch })
    }
}

impl Tail {
    /// Reads by position instead of through a map, as [`Reader::unmapped`].
    #[must_use]
    pub fn unmapped(self) -> Self {
        Self { reader: self.reader.unmapped(), ..self }
    }

    /// The record that the next batch starts with.
    pub const fn position(&self) -> Lsn {
        self.reader.position()
    }

    /// Waits for the next batch. Blocks; `deadline` is a value of the clock's `now`, and one that has
    /// passed answers what is there.
    ///
    /// # Errors
    /// [`TailError::Read`] if what is there cannot be read; asking again answers the same.
    /// [`TailError::Wait`] with [`WaitError::Timeout`]: ask again. With [`WaitError::Poisoned`] or
    /// [`WaitError::Closed`]: the log has ended, and all that it published was read.
    pub fn next_batch(&mut self, deadline: Duration) -> Result<Batch, TailError> {
        loop {
            if let Some(batch) = self.reader.next_batch()? {
                return Ok(batch);
            }
            self.watch.wait_past(self.position().previous(), deadline)?;
        }
    }

    /// The same as a future, without a deadline. Needs no runtime.
    ///
    /// # Cancel safety
    /// No batch is lost when it is dropped: the tail moves only when it answers one.
    pub const fn next(&mut self) -> Next<'_> {
        Next { tail: self, waiting: None }
    }
}

/// Resolves with the next batch of a [`Tail`]; made by [`Tail::next`].
#[derive(Debug)]
pub struct Next<'a> {
    tail: &'a mut Tail,
    waiting: Option<Past>,
}

impl Future for Next<'_> {
    type Output = Result<Batch, TailError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { tail, waiting } = self.get_mut();
        loop {
            match tail.reader.next_batch() {
                Ok(Some(batch)) => return Poll::Ready(Ok(batch)),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
            let past = || tail.watch.past(tail.reader.position().previous());
            match Pin::new(waiting.get_or_insert_with(past)).poll(context) {
                Poll::Ready(Ok(_)) => *waiting = None,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
