//! The small objects of an archive: each one record in a sealed envelope.

mod envelope;
mod epoch;
mod fence;
mod format;
mod nonce;

pub(crate) use envelope::{Envelope, open, seal};
pub use epoch::EpochRecord;
pub use fence::FenceRecord;
pub use format::FormatRecord;
pub use nonce::NonceRecord;

/// Longest small object, in bytes: fixed records with much room.
pub(crate) const RECORD_BYTES_MAX: u64 = 4096;
