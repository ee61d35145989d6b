//! Whether cores still serve.

use nodedb_types::CoreId;
use std::time::Duration;

/// Whether a core still serves its inbox, as far as can be seen without asking it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CoreHealth {
    /// It waits in its inbox, or came to it not long ago.
    Ok,
    /// Requests wait or one is under way, and the core has not come to its inbox for longer than
    /// [`BridgeOptions::stuck_after`](crate::BridgeOptions::stuck_after). It is [`Ok`](Self::Ok) again
    /// as soon as it comes.
    Stuck {
        /// When it last came, in time of [`Clock::now`](nodedb_env::Clock::now).
        since: Duration,
    },
    /// Its inbox is gone, by closing or by a panic of its thread. It stays so.
    Ended,
}

/// Whether all cores of a bridge still serve.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BridgeHealth {
    /// All do.
    Ok,
    /// Some do not; requests to the others are served as ever.
    Degraded {
        /// Those that do not, ascending, and what is with them: never [`CoreHealth::Ok`].
        cores: Vec<(CoreId, CoreHealth)>,
    },
}
