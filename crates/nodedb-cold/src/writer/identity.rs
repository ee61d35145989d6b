//! The numbers that tell writers apart.

use nodedb_types::{DatabaseId, LogEpoch, to_hex};
use std::{fmt, num::NonZeroU32};

/// Who may write an archive: 1 for the one that made it, +1 at each take-over. Part of every log
/// object's key; never taken by a mere reopen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriterEpoch(NonZeroU32);

impl WriterEpoch {
    /// The epoch of the writer that made the archive.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The number as an epoch, or `None` for 0.
    pub const fn from_u32(value: u32) -> Option<Self> {
        match NonZeroU32::new(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// The number, at least 1.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// The epoch of the next writer, or `None` after the last of 2^32 - 1.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl fmt::Display for WriterEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for WriterEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WriterEpoch({})", self.0)
    }
}

/// 16 random bytes that make one writer, or one open of it, unlike every other.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nonce([u8; 16]);

impl Nonce {
    /// Wraps 16 random bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nonce({self})")
    }
}

/// One writer of one archive. Kept durably beside the log, before it is used.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct WriterIdentity {
    /// Whose archive.
    pub database_id: DatabaseId,
    /// Which writer.
    pub writer_epoch: WriterEpoch,
    /// Drawn when the epoch was taken.
    pub nonce: Nonce,
}

/// One open of the database for writing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Session {
    /// Number of the open. Must be durable in the directory before it is used here: a copied
    /// directory is found out by its taking the same number.
    pub log_epoch: LogEpoch,
    /// Drawn at this open and kept in memory only.
    pub nonce: Nonce,
}
