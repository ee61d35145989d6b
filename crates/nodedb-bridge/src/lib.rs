//! Typed requests from callers, blocking or async, to pinned threads, and exactly one answer back.
//!
//! A [`Bridge`] is the sending side: cheap to clone, shared by all callers. Each core thread owns one
//! [`Inbox`]. A request carries a deadline and a [`Priority`]; its sender holds a [`Ticket`], which
//! blocks, or is awaited as a plain [`Future`]; the core holds the [`Reply`]. Generic over the
//! request `Q` and the answer `A`.
//!
//! It is *not* a runtime (no executor, no timers, no threads of its own), not a router (the caller
//! names the core) and not a retry layer: what is full says so at once.
//!
//! # Invariants
//! - Every ticket gets exactly one result: the answer, or a typed [`TicketError`]. A core that drops
//!   the reply, an inbox that dies with requests in it, a race with closing: none leaves it hanging.
//! - Nothing here blocks but [`Inbox::receive`], [`Inbox::wait_for_wake`] and [`Ticket::wait`].
//! - A queue never grows over its limits: [`BridgeOptions::capacity`] requests and
//!   [`BridgeOptions::capacity_bytes`] per core and priority, above them [`SendError::Busy`] with the
//!   request back in the caller's hands.
//! - No tenant has more requests under way than [`BridgeOptions::tenant_in_flight`], above it
//!   [`SendError::TenantBusy`]. A request counts from sending until the core answers or drops it: exactly,
//!   on every path, and it is counted off before its answer can be seen.
//! - Foreground goes first, yet after [`BridgeOptions::foreground_run`] foreground requests in a row
//!   a waiting background request is served; so each class waits for a bounded number of the other.
//! - A [`Bridge::wake`] needs no room in any queue, so it arrives though the inbox is full.
//! - A request whose ticket was dropped, or whose deadline passed while it was queued, is never
//!   handed to the core; once handed over, the core decides ([`Envelope::is_due`],
//!   [`Reply::is_cancelled`]). A forwarded envelope is always handed over, since work already begun
//!   elsewhere may depend on it.
//! - A core that is stuck or has ended is named ([`Bridge::health`], [`BridgeHealth::Degraded`]) and
//!   holds nobody beyond a deadline.
//! - A bridge that nobody uses costs nothing: its cores sleep, without a timer.
//! - [`nodedb_types::RequestId`]s come from one allocator ([`RequestIds`]) and never repeat.
//!
//! # Deadlines
//! A deadline counts at both ends. Before: a request that is due when its turn comes is not handed to the
//! core and its ticket says [`TicketError::Timeout`]. After: a ticket says so at the deadline, blocking by
//! itself and as a future when it is polled, whatever the core is doing, and an answer that comes later is
//! dropped. In between the core decides: [`Envelope::is_due`] before it begins, [`Reply::refuse`] when
//! the answer is parked. `Timeout` after the core has begun means that the outcome is unknown.
//!
//! # Example
//! ```
//! use nodedb_bridge::{Bridge, BridgeOptions, Priority, Received, Request};
//! use nodedb_env::Env;
//! use nodedb_types::{CoreId, TenantId, VshardId};
//! use std::{sync::Arc, time::Duration};
//!
//! let env = Env::real();
//! let (bridge, mut inboxes) = Bridge::new(1, BridgeOptions::default(), Arc::clone(&env.clock));
//! let mut inbox = inboxes.remove(0);
//! let core = env.threads.spawn("core-0", Box::new(move || {
//!     while let Received::Request(envelope) = inbox.receive(None) {
//!         let question: u32 = envelope.op;
//!         envelope.reply.send(question + 1);
//!     }
//! }))?;
//!
//! let ticket = bridge.send(CoreId::new(0), Request {
//!     tenant: TenantId::DEFAULT,
//!     vshard: VshardId::new(0),
//!     op: 41,
//!     deadline: env.clock.now() + Duration::from_secs(5),
//!     priority: Priority::Foreground,
//!     bytes: 0,
//! })?;
//! assert_eq!(ticket.wait(), Ok(42));
//!
//! bridge.close();
//! assert!(core.join().is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod bell;
mod bridge;
mod core_queue;
mod envelope;
mod error;
mod exchange;
mod health;
mod heartbeat;
mod inbox;
mod lane;
mod options;
mod reply;
mod request_ids;
mod slot;
mod sync;
mod tenant_counts;
mod ticket;

pub use bridge::Bridge;
pub use envelope::{Envelope, Priority, Request};
pub use error::{ForwardError, SendError, TicketError};
pub use health::{BridgeHealth, CoreHealth};
pub use inbox::{Inbox, Received};
pub use options::BridgeOptions;
pub use reply::Reply;
pub use request_ids::RequestIds;
pub use ticket::Ticket;
