//! Who has been behind, and for how many rounds in a row.

use super::floor_board::Behind;
use nodedb_engine::EngineKind;
use nodedb_types::VshardId;
use std::{collections::BTreeMap, time::Duration};

/// Rounds in a row after which an engine that is behind, or a step that fails, degrades the health.
pub(crate) const ROUNDS_MAX: u32 = 3;

/// The rounds in a row that an engine has been behind.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Streak {
    /// When the first of them ended.
    pub(crate) since: Duration,
    pub(crate) rounds: u32,
}

/// The streaks of all engines that were behind in the last round.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Streaks {
    of: BTreeMap<(VshardId, EngineKind), Streak>,
}

impl Streaks {
    /// Notes who was behind at the end of a round; whoever was not starts anew the next time.
    pub(crate) fn note(&mut self, behind: &[Behind], now: Duration) {
        let before = std::mem::take(&mut self.of);
        for Behind { vshard, engine, .. } in behind {
            let key = (*vshard, *engine);
            let fresh = Streak { since: now, rounds: 0 };
            let Streak { since, rounds } = before.get(&key).copied().unwrap_or(fresh);
            self.of.insert(key, Streak { since, rounds: rounds.saturating_add(1) });
        }
    }

    /// Since when an engine has been behind.
    pub(crate) fn since(&self, behind: Behind) -> Option<Duration> {
        self.of.get(&(behind.vshard, behind.engine)).map(|streak| streak.since)
    }

    /// The engines that have been behind for too many rounds in a row.
    pub(crate) fn stuck(&self) -> impl Iterator<Item = (VshardId, EngineKind, Streak)> {
        let stuck = self.of.iter().filter(|(_, streak)| streak.rounds >= ROUNDS_MAX);
        stuck.map(|((vshard, engine), streak)| (*vshard, *engine, *streak))
    }
}
