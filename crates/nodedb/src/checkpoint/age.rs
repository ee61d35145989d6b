//! How full the log is against its limit.

/// The share of the log's limit that is taken by log from the redo position on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum LogAge {
    /// Less than a half.
    Young,
    /// Half to nine tenths.
    Middle,
    /// Nine tenths to all of it: checkpoints hurry.
    Old,
    /// More than the limit.
    Over,
}

impl LogAge {
    /// The band of so many bytes against the limit.
    pub(crate) fn of(bytes: u64, limit: u64) -> Self {
        let (bytes, limit) = (u128::from(bytes), u128::from(limit));
        if bytes > limit {
            Self::Over
        } else if bytes * 10 > limit * 9 {
            Self::Old
        } else if bytes * 2 >= limit {
            Self::Middle
        } else {
            Self::Young
        }
    }

    /// Its name in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Young => "young",
            Self::Middle => "middle",
            Self::Old => "old",
            Self::Over => "over",
        }
    }
}
