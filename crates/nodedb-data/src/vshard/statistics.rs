//! Statistics of collections, remembered as long as they hold.

use super::Vshard;
use crate::DataError;
use nodedb_document::{Tallied, Tally};
use nodedb_types::{CollectionId, Lsn};
use std::{collections::BTreeMap, time::Duration};

/// What a vshard knows of its collections. In memory only: after an open everything is counted anew.
#[derive(Debug)]
pub(crate) struct KnownStatistics {
    /// The last record that may have changed a collection before this life.
    loaded: Option<Lsn>,
    /// The last record that has changed a collection since.
    changed: BTreeMap<CollectionId, Lsn>,
    /// With the time by which expiry was judged. At most one entry for each collection there is.
    tallied: BTreeMap<CollectionId, (Tallied, u64)>,
}

impl KnownStatistics {
    /// Nothing is known; what was applied by now may have changed anything.
    pub(crate) const fn new(loaded: Option<Lsn>) -> Self {
        Self { loaded, changed: BTreeMap::new(), tallied: BTreeMap::new() }
    }

    /// Notes a change of a collection.
    pub(crate) fn note(&mut self, collection: CollectionId, at: Lsn) {
        self.changed.insert(collection, at);
    }

    /// Forgets a collection that is gone.
    pub(crate) fn forget(&mut self, collection: CollectionId) {
        self.changed.remove(&collection);
        self.tallied.remove(&collection);
    }

    /// What is known of a collection as of a snapshot: an earlier result, if nothing has changed or
    /// expired between the two.
    fn get(&self, tally: &Tally) -> Option<Tallied> {
        let (_, collection) = tally.of();
        let (known, judged_ms) = self.tallied.get(&collection)?;
        let changed = self.changed.get(&collection).copied().max(self.loaded);
        let unchanged = changed <= Some(known.snapshot.min(tally.snapshot()));
        let expired = known.expires_next.is_some_and(|time| time <= tally.now_ms());
        // What had expired by then had not by an earlier time.
        (unchanged && !expired && *judged_ms <= tally.now_ms()).then_some(*known)
    }

    fn put(&mut self, collection: CollectionId, tallied: Tallied, judged_ms: u64) {
        self.tallied.insert(collection, (tallied, judged_ms));
    }
}

impl Vshard {
    /// Goes on with statistics by one slice, until a time of the clock. Answers the result once it is complete, at once where it is
    /// known.
    pub(crate) fn tally(
        &mut self,
        tally: &mut Tally,
        until: Duration,
    ) -> Result<Option<Tallied>, DataError> {
        let (tenant, collection) = tally.of();
        self.collection(tenant, collection)?;
        if let Some(known) = self.statistics.get(tally) {
            return Ok(Some(known));
        }
        let tallied = self.engines.documents.tally(tally, Some(until));
        let tallied = tallied.map_err(DataError::document(self.id))?;
        if let Some(tallied) = tallied {
            self.statistics.put(collection, tallied, tally.now_ms());
        }
        Ok(tallied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodedb_document::Statistics;
    use nodedb_types::TenantId;

    const NOTES: CollectionId = CollectionId::new(1);

    fn lsn(value: u64) -> Lsn {
        Lsn::from_u64(value).expect("not zero")
    }

    fn ask(snapshot: u64, now_ms: u64) -> Tally {
        Tally::new(TenantId::DEFAULT, NOTES, lsn(snapshot), now_ms)
    }

    #[test]
    fn a_result_holds_until_something_changes_or_expires() {
        let mut known = KnownStatistics::new(Some(lsn(10)));
        assert_eq!(known.get(&ask(20, 0)), None);
        let statistics = Statistics { documents: 3, key_bytes: 4, value_bytes: 5 };
        let tallied = Tallied { statistics, snapshot: lsn(20), expires_next: Some(100) };
        known.put(NOTES, tallied, 5);
        assert_eq!(known.get(&ask(20, 4)), None, "more may have been there before");
        assert_eq!(known.get(&ask(20, 5)), Some(tallied));
        assert_eq!(known.get(&ask(99, 99)), Some(tallied));
        assert_eq!(known.get(&ask(99, 100)), None, "one has expired");
        assert_eq!(known.get(&ask(10, 5)), Some(tallied));
        assert_eq!(known.get(&ask(9, 5)), None, "what was loaded may have changed it");
        known.note(CollectionId::new(2), lsn(21));
        assert_eq!(known.get(&ask(22, 5)), Some(tallied));
        known.note(NOTES, lsn(25));
        assert_eq!(known.get(&ask(24, 5)), None);
        assert_eq!(known.get(&ask(25, 5)), None);
        known.put(NOTES, Tallied { snapshot: lsn(25), ..tallied }, 0);
        assert!(known.get(&ask(25, 5)).is_some());
        assert_eq!(known.get(&ask(24, 5)), None, "as of a time before the change");
        known.forget(NOTES);
        assert_eq!(known.get(&ask(30, 5)), None);
    }
}
