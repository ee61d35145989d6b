//! Change feeds: what was written, in the order of the log, as it becomes durable.
//!
//! A watch reads the log itself. There is no queue between writers and watchers, so a slow one slows nobody
//! down and costs no memory; one that falls behind the oldest record of the log is told so.

mod change;
mod places;

pub use change::{Change, ChangeGroup, ChangeOp};
pub(crate) use places::WatchPlaces;

use crate::{Collection, Error, Tenant, database::Inner};
use change::Reading;
use nodedb_types::{Lsn, Stamp, Version};
use nodedb_wal::{Batch, ReadError, ReadLimit, Records, Tail, TailError, WaitError};
use places::Place;
use std::{fmt, sync::Arc, time::Duration};

/// Where a watch begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WatchFrom {
    /// With the next write that becomes durable.
    #[default]
    Now,
    /// With the oldest write that the log still has.
    Oldest,
    /// After a change, or a position, of an earlier watch: nothing is missed and nothing comes twice.
    After(Version),
    /// With the first change at or above a position of the log.
    At(Lsn),
}

/// A change feed of a collection or of a tenant; made by [`Collection::watch`] and [`Tenant::watch`].
///
/// It answers the changes of an atomic group together, once they are durable, in the order of the log. It
/// keeps no log: whoever stays away for so long that what he has not seen is reclaimed gets
/// [`Error::WatchBehind`], reads anew, and watches on from there. Changes of collections that were dropped
/// meanwhile are left out.
pub struct Watch {
    inner: Arc<Inner>,
    reading: Reading,
    tail: Tail,
    /// The batch that is being taken apart, and what is left of it.
    batch: Option<(Batch, Records)>,
    /// The last record that was taken in.
    position: Option<Stamp>,
    /// Up to here, changes were answered before.
    seen: Option<Lsn>,
    /// The changes of the group that is being taken in.
    group: Vec<Change>,
    _place: Place,
}

impl Collection {
    /// Follows the changes of this collection.
    ///
    /// # Errors
    /// [`Error::WatchBehind`] if the log no longer has where it is to begin; [`Error::WrongHistory`] for a
    /// position of another history, such as one from before a restore; [`Error::TooManyWatches`];
    /// [`Error::Closed`].
    pub fn watch(&self, from: WatchFrom) -> Result<Watch, Error> {
        let definition = self.definition();
        let reading = Reading { tenant: definition.tenant, collection: Some(definition.id) };
        Watch::new(self.inner(), reading, from)
    }
}

impl Tenant {
    /// Follows the changes of all its collections, also of those that are yet to be created.
    ///
    /// # Errors
    /// As [`Collection::watch`]; [`Error::NoTenant`].
    pub fn watch(&self, from: WatchFrom) -> Result<Watch, Error> {
        let reading = Reading { tenant: self.id()?, collection: None };
        Watch::new(self.inner(), reading, from)
    }
}

impl Watch {
    fn new(inner: &Arc<Inner>, reading: Reading, from: WatchFrom) -> Result<Self, Error> {
        inner.check_open()?;
        let place = inner.watches.take()?;
        let wal = inner.log.wal();
        let seen = match from {
            WatchFrom::Now => wal.durable(),
            WatchFrom::Oldest => wal.oldest().previous(),
            WatchFrom::At(lsn) => lsn.previous(),
            WatchFrom::After(version) => Some(inner.seen(version)?),
        };
        let tail = wal.tail(Lsn::after(seen), ReadLimit::Durable).map_err(behind)?;
        let inner = Arc::clone(inner);
        let (position, group) = (None, Vec::new());
        Ok(Self { inner, reading, tail, batch: None, position, seen, group, _place: place })
    }

    /// Waits for the next changes, at most so long; `None` if there are none by then, and the watch goes on
    /// with the next call.
    ///
    /// # Errors
    /// [`Error::WatchBehind`], and nothing else will come; [`Error::Closed`] with the database; [`Error::Wait`]
    /// if the log is poisoned; [`Error::Read`], [`Error::Record`] if it is damaged.
    pub fn next(&mut self, wait: Duration) -> Result<Option<ChangeGroup>, Error> {
        let deadline = self.inner.env.clock.now().saturating_add(wait);
        loop {
            if let Some(group) = self.take_group()? {
                return Ok(Some(group));
            }
            match self.tail.next_batch(deadline) {
                Ok(batch) => self.take_batch(batch),
                Err(TailError::Wait(WaitError::Timeout)) => return Ok(None),
                Err(error) => return Err(ended(error)),
            }
        }
    }

    /// Waits for the next changes. Needs no runtime.
    ///
    /// # Errors
    /// As [`Watch::next`].
    ///
    /// # Cancel safety
    /// Cancel safe: what it would have answered is answered by the next call.
    pub async fn next_async(&mut self) -> Result<ChangeGroup, Error> {
        loop {
            if let Some(group) = self.take_group()? {
                return Ok(group);
            }
            let batch = self.tail.next().await.map_err(ended)?;
            self.take_batch(batch);
        }
    }

    /// The position up to which everything was answered or is of no interest, to go on after; `None`
    /// before anything was read. It moves on while nothing that is watched changes.
    pub fn position(&self) -> Option<Version> {
        // Within a group there is none: what of it was taken in would be missed.
        let whole = self.position.filter(|_| self.group.is_empty());
        whole.map(|stamp| Version::new(self.inner.identity.incarnation, stamp))
    }

    fn take_batch(&mut self, batch: Batch) {
        let records = batch.records();
        self.batch = Some((batch, records));
    }

    /// Takes in records until a group with changes ends; `None` once the batch is used up.
    fn take_group(&mut self) -> Result<Option<ChangeGroup>, Error> {
        let catalog = self.inner.sender.data.catalog();
        while let Some((batch, records)) = &mut self.batch {
            // A record that cannot be taken in is met again by the next call.
            let before = records.clone();
            let Some(record) = records.next() else {
                self.batch = None;
                break;
            };
            if Some(record.lsn) <= self.seen {
                continue;
            }
            let stamp = Stamp { epoch: batch.epoch, lsn: record.lsn };
            let time_ms = batch.commit_ms;
            let version = Version::new(self.inner.identity.incarnation, stamp);
            match self.reading.change(&catalog, &record, version) {
                Ok(change) => self.group.extend(change),
                Err(error) => {
                    *records = before;
                    return Err(error);
                }
            }
            self.position = Some(stamp);
            if record.group.last && !self.group.is_empty() {
                let changes = std::mem::take(&mut self.group);
                return Ok(Some(ChangeGroup { version, time_ms, changes }));
            }
        }
        Ok(None)
    }
}

impl Inner {
    /// The record of a position of this history.
    fn seen(&self, version: Version) -> Result<Lsn, Error> {
        let other = || Error::WrongHistory { what: "watch position" };
        let Stamp { epoch, lsn } = version.stamp();
        let wal = self.log.wal();
        if version.incarnation() != self.identity.incarnation || Some(lsn) > wal.durable() {
            return Err(other());
        }
        // Only what was durable is ever answered, so the same record is still there, or reclaimed.
        if lsn >= wal.oldest() {
            let mut reader = wal.reader(lsn, ReadLimit::Durable).map_err(behind)?;
            if reader.next_batch().map_err(behind)?.is_some_and(|batch| batch.epoch != epoch) {
                return Err(other());
            }
        }
        Ok(lsn)
    }
}

fn behind(error: ReadError) -> Error {
    if let ReadError::Truncated { oldest } = error {
        return Error::WatchBehind { oldest };
    }
    error.into()
}

fn ended(error: TailError) -> Error {
    match error {
        TailError::Read(error) => behind(error),
        TailError::Wait(WaitError::Closed) => Error::Closed,
        TailError::Wait(error) => error.into(),
        error => Error::internal(error.to_string()),
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("position", &self.position).finish_non_exhaustive()
    }
}
