//! What the owner of a log may choose.

use crate::WalError;
use nodedb_types::limits::{SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
use std::time::Duration;

/// What the owner of a log may choose. The defaults are safe.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Size of a segment file, a multiple of 4 KiB. Fixed at creation; `open` takes it from disk.
    pub segment_bytes: u64,
    /// Prepared segments to keep ready for writers, besides the one held back for housekeeping. Up to twice
    /// as many are kept of truncated segments.
    pub spares: usize,
    /// Most bytes that may wait in memory for the flusher; beyond it appends meet back-pressure.
    pub staging_bytes_max: usize,
    /// Quiet time after which the last synced records get their durability evidence on disk.
    pub sync_point_idle: Duration,
    /// Whether truncated segments become spares instead of being removed and made anew.
    pub recycle: bool,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES_DEFAULT,
            spares: 1,
            staging_bytes_max: 32 << 20,
            sync_point_idle: Duration::from_millis(10),
            recycle: true,
        }
    }
}

impl LogOptions {
    /// Checks the values against each other.
    ///
    /// # Errors
    /// [`WalError::InvalidOptions`] naming the first that is out of range.
    pub fn validate(&self) -> Result<(), WalError> {
        let refuse = |reason| Err(WalError::InvalidOptions { reason });
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes) {
            return refuse("segment_bytes must lie between 64 KiB and 1 GiB");
        }
        if !self.segment_bytes.is_multiple_of(4096) {
            return refuse("segment_bytes must be a multiple of 4 KiB");
        }
        if self.spares == 0 {
            return refuse(
                "spares must be at least 1, or every rotation would wait for a new file",
            );
        }
        if self.staging_bytes_max < 64 << 10 {
            return refuse("staging_bytes_max must be at least 64 KiB");
        }
        Ok(())
    }
}
