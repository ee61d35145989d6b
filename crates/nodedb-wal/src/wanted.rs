//! What a caller wants of the records that it has staged.

use nodedb_types::{Durability, Lsn};
use std::time::Duration;

/// What a caller wants of the records that it has staged, gathered over many of them so that
/// [`Wal::request`](crate::Wal::request) asks once. The default wants nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wanted {
    /// Up to here the records are to survive a killed process.
    pub written: Option<Lsn>,
    /// Up to here they are to survive a power cut.
    pub durable: Option<Lsn>,
    /// When everything appended is to survive a power cut at the latest, as a value of the clock's `now`.
    pub durable_by: Option<Duration>,
}

impl Wanted {
    /// Adds what a level of durability promises of the records up to this one. `now` is asked only for
    /// `Durability::Periodic`, whose time runs from this call.
    pub fn add(&mut self, up_to: Lsn, durability: Durability, now: impl FnOnce() -> Duration) {
        self.written = self.written.max(Some(up_to));
        match durability {
            Durability::Buffered => {}
            Durability::Periodic { every } => {
                let due = now().saturating_add(every);
                self.durable_by = Some(self.durable_by.map_or(due, |earlier| earlier.min(due)));
            }
            // And what a later version may add: the strongest promise is never wrong.
            Durability::Sync | _ => self.durable = self.durable.max(Some(up_to)),
        }
    }

    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strictest_of_all_levels_is_wanted() {
        let mut wanted = Wanted::default();
        assert!(wanted.is_empty());
        let lsn = |offset| Lsn::FIRST.advance(offset);
        let second = Duration::from_secs(1);
        let now = || second;
        wanted.add(lsn(0), Durability::Sync, now);
        wanted.add(lsn(1), Durability::Buffered, now);
        wanted.add(lsn(2), Durability::Periodic { every: 9 * second }, now);
        wanted.add(lsn(3), Durability::Periodic { every: 4 * second }, now);
        let expected =
            Wanted { written: Some(lsn(3)), durable: Some(lsn(0)), durable_by: Some(5 * second) };
        assert_eq!(wanted, expected);
    }
}
