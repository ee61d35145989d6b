//! Why a checkpoint begins, and how much it hurries.

/// Why a round was started.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Trigger {
    /// The interval since the start of the last one is over, and something has changed.
    Interval,
    /// There is much log since the redo position.
    LogBytes,
    /// Recovery would take about as long as it may.
    RecoveryTime,
    /// Much is in memory only.
    DirtyBytes,
    /// The disk has no room for more log.
    SpareShortage,
    /// Somebody asked.
    Request,
    /// The database closes.
    Shutdown,
}

impl Trigger {
    /// Its name in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Interval => "interval",
            Self::LogBytes => "log-bytes",
            Self::RecoveryTime => "recovery-time",
            Self::DirtyBytes => "dirty-bytes",
            Self::SpareShortage => "spare-shortage",
            Self::Request => "request",
            Self::Shutdown => "shutdown",
        }
    }
}

/// How much a checkpoint hurries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Urgency {
    /// It waits out the pause after a failure, and a close does not wait for it. The vshards flush one after
    /// the other, spread over nine tenths of `checkpoint_interval`, or of the log until the next checkpoint
    /// is due if that is sooner; so long may it take.
    Lazy,
    /// It begins at once, and all vshards flush as fast as they can. One that is under way hurries.
    #[default]
    Immediate,
}
