//! Why a request was not taken, or not answered.

use crate::Envelope;
use nodedb_types::{CoreId, ErrorKind, TenantId};
use std::fmt;
use thiserror::Error;

/// A request was not taken; nothing was done, and the op is given back.
#[derive(Error)]
#[non_exhaustive]
pub enum SendError<Q> {
    /// As many requests of this priority, or of their bytes, wait as the inbox holds.
    #[error("the inbox of core {core} is full: try again later")]
    Busy {
        /// Whose inbox.
        core: CoreId,
        /// The op, untouched.
        op: Q,
    },
    /// The tenant has as many requests under way as it may, on all cores together.
    #[error("tenant {tenant} has {limit} requests under way, its limit: await some of the answers")]
    TenantBusy {
        /// Whose requests.
        tenant: TenantId,
        /// How many may be under way.
        limit: u32,
        /// The op, untouched.
        op: Q,
    },
    /// The bridge is closed, or the core has ended.
    #[error("core {core} takes no more requests: open the database again")]
    Closed {
        /// Whose inbox.
        core: CoreId,
        /// The op, untouched.
        op: Q,
    },
}

impl<Q> SendError<Q> {
    /// As a caller reacts to it: `Busy` or `Closed`.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Busy { .. } | Self::TenantBusy { .. } => ErrorKind::Busy,
            Self::Closed { .. } => ErrorKind::Closed,
        }
    }

    /// The op, for another try.
    pub fn into_op(self) -> Q {
        match self {
            Self::Busy { op, .. } | Self::TenantBusy { op, .. } | Self::Closed { op, .. } => op,
        }
    }
}

/// An envelope was not passed on; it is given back, still unanswered.
#[derive(Error)]
#[non_exhaustive]
pub enum ForwardError<Q, A> {
    /// As many requests of this priority, or of their bytes, wait as the inbox holds.
    #[error("the inbox of core {core} is full: try again later")]
    Busy {
        /// Whose inbox.
        core: CoreId,
        /// The envelope, untouched.
        envelope: Envelope<Q, A>,
    },
    /// The bridge is closed, or the core has ended.
    #[error("core {core} takes no more requests: answer the caller")]
    Closed {
        /// Whose inbox.
        core: CoreId,
        /// The envelope, untouched.
        envelope: Envelope<Q, A>,
    },
}

impl<Q, A> ForwardError<Q, A> {
    /// As a caller reacts to it: `Busy` or `Closed`.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Busy { .. } => ErrorKind::Busy,
            Self::Closed { .. } => ErrorKind::Closed,
        }
    }

    /// The envelope, for another try or for its answer.
    pub fn into_envelope(self) -> Envelope<Q, A> {
        match self {
            Self::Busy { envelope, .. } | Self::Closed { envelope, .. } => envelope,
        }
    }
}

/// A request was taken and has no answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
#[non_exhaustive]
pub enum TicketError {
    /// The deadline passed first. If the core had received the request, its outcome is unknown.
    #[error("no answer before the deadline: the outcome is unknown, read to find out")]
    Timeout,
    /// The core dropped the reply unanswered, by a panic or a defect, or it ended with a request
    /// that another core had passed on to it. The outcome is unknown.
    #[error("the core dropped the request unanswered: the outcome is unknown, read to find out")]
    Cancelled,
    /// The core ended before it received the request; nothing was done.
    #[error("the core ended before it received the request: nothing was done")]
    Closed,
}

impl TicketError {
    /// As a caller reacts to it: `Timeout`, `Closed`, and `Internal` for `Cancelled`.
    ///
    /// A core answers everything that it has received, also while closing; a dropped reply is
    /// therefore a defect, and `Closed`, which promises that nothing was done, would be a lie.
    pub const fn kind(self) -> ErrorKind {
        match self {
            Self::Timeout => ErrorKind::Timeout,
            Self::Cancelled => ErrorKind::Internal,
            Self::Closed => ErrorKind::Closed,
        }
    }
}

// By hand, as the op need not be `Debug` and its contents stay out of logs.
impl<Q> fmt::Debug for SendError<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, whose): (_, &dyn fmt::Debug) = match self {
            Self::Busy { core, .. } => ("Busy", core),
            Self::TenantBusy { tenant, .. } => ("TenantBusy", tenant),
            Self::Closed { core, .. } => ("Closed", core),
        };
        f.debug_struct(name).field("whose", whose).finish_non_exhaustive()
    }
}

impl<Q, A> fmt::Debug for ForwardError<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, core, envelope) = match self {
            Self::Busy { core, envelope } => ("Busy", core, envelope),
            Self::Closed { core, envelope } => ("Closed", core, envelope),
        };
        f.debug_struct(name).field("core", core).field("envelope", envelope).finish()
    }
}
