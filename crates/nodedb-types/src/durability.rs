//! When a write is answered.

use std::time::Duration;

/// What has happened to a write before it is acknowledged. The default is `Sync`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Durability {
    /// On stable storage. Survives a power cut.
    #[default]
    Sync,
    /// In the operating system's cache. Survives a killed process, not a power cut.
    Buffered,
    /// In memory, synced at least every `every`. That much may be lost, also by a killed process.
    Periodic {
        /// The longest time between an acknowledgement and its sync.
        every: Duration,
    },
}
