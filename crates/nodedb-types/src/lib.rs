//! The vocabulary of NodeDB: ids, log sequence numbers, limits, error kinds, bounded decoding.
//!
//! It is *not* a place for behaviour: no I/O, no threads, no async, no clock.
//!
//! # Invariants
//! - An [`Lsn`] is never zero; "no record" is `None`, never a sentinel.
//! - Watermarks (`durable`, `flushed`, ...) are inclusive; ranges ([`LsnRange`]) are half-open.
//! - Every limit of [`limits`] is checked before anything is logged.
//!
//! # Example
//! ```
//! use nodedb_types::{Lsn, LsnRange};
//!
//! let first = Lsn::FIRST;
//! let range = LsnRange::starting_at(first, 3);
//! assert_eq!(range.last(), Some(Lsn::from_u64(3).ok_or("zero")?));
//! assert_eq!(range.end(), first.advance(3));
//! # Ok::<(), &'static str>(())
//! ```
#![forbid(unsafe_code)]

mod codec;
mod durability;
mod error_kind;
mod hex;
mod id;
pub mod limits;
mod lsn;
mod name;
mod stamp;
mod version;

pub use codec::{ByteReader, DecodeError, put_bytes};
pub use durability::Durability;
pub use error_kind::ErrorKind;
pub use hex::{from_hex, to_hex};
pub use id::{
    CollectionId, CoreId, DatabaseId, Incarnation, IndexId, RequestId, TenantId, VshardId,
};
pub use lsn::{Lsn, LsnRange};
pub use name::{Name, NameError};
pub use stamp::{LogEpoch, Stamp};
pub use version::{Version, VersionError};
