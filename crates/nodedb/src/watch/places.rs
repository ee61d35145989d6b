//! How many watches a database has.

use crate::Error;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Watches that a database may have at a time: each maps the log that it reads.
const WATCHES_MAX: usize = 1024;

/// The watches of a database.
#[derive(Clone, Debug, Default)]
pub(crate) struct WatchPlaces(Arc<AtomicUsize>);

/// The place of one watch, free again once it is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

impl WatchPlaces {
    /// Takes a place.
    pub(super) fn take(&self) -> Result<Place, Error> {
        let one_more = |count| (count < WATCHES_MAX).then_some(count + 1);
        // A counter that guards nothing else.
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        taken.map_err(|_full| Error::TooManyWatches { limit: WATCHES_MAX })?;
        Ok(Place(Arc::clone(&self.0)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let before = self.0.fetch_sub(1, Ordering::Relaxed);
        assert!(before > 0, "a place that was taken is given back once");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn no_more_watches_than_the_limit() {
        let places = WatchPlaces::default();
        let mut taken: Vec<_> = (0..WATCHES_MAX).map(|_| places.take().expect("room")).collect();
        assert_eq!(places.take().expect_err("full").kind(), ErrorKind::Busy);
        taken.pop();
        places.take().expect("room again");
    }
}
