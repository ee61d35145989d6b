//! Keeping the log for somebody who comes back.

use crate::{Database, Error, WatchFrom};
use nodedb_types::{Lsn, Version};
use nodedb_wal::{NamedPin, PinPolicy};

/// Names that the status uses itself.
const RESERVED: [&str; 2] = ["redo", "archive"];

/// Keeps the log from a position on, also while the database is closed, so that a [`Watch`](crate::Watch)
/// that goes on there misses nothing. Made by [`Database::hold_log`].
///
/// It is a name in the database, not this handle: dropping the handle keeps it, and `hold_log` with the name
/// takes it up again. The status shows it, with what it costs.
#[derive(Debug)]
pub struct LogHold {
    database: Database,
    pin: NamedPin,
}

impl Database {
    /// Takes the hold of this name. If there is none, it is made and holds what is written from now on; it is
    /// durable when this returns. One that holds more than `max_bytes` of log is given up at the next
    /// checkpoint, for good; without a limit, a follower that never comes back fills the disk. One handle at a
    /// time.
    ///
    /// Blocks on the disk, as [`LogHold::advance`] and [`LogHold::release`] do.
    ///
    /// # Errors
    /// [`Error::Pin`]: the name is not 1 to 64 of `a-z 0-9 . _ -`, is in use, or there are 64 others.
    /// [`Error::InvalidOption`] for `redo` and `archive`; [`Error::Closed`].
    pub fn hold_log(&self, name: &str, max_bytes: Option<u64>) -> Result<LogHold, Error> {
        let inner = &self.inner;
        inner.check_open()?;
        if RESERVED.contains(&name) {
            return Err(Error::InvalidOption {
                option: "name",
                value: name.to_owned(),
                expected: "another name: the database holds its log by this one itself".to_owned(),
            });
        }
        let wal = inner.log.wal();
        let from = Lsn::after(wal.durable());
        let pin = wal.pin_persistent(name, from, PinPolicy { max_bytes })?;
        Ok(LogHold { database: self.clone(), pin })
    }
}

impl LogHold {
    /// Its name.
    pub fn name(&self) -> &str {
        self.pin.name()
    }

    /// Where to watch on from.
    pub fn from(&self) -> WatchFrom {
        WatchFrom::At(self.pin.lsn())
    }

    /// Gives up what lies up to a position, as a watch has answered it: call it after what was answered is
    /// dealt with. Never moves back. Durable on return.
    ///
    /// # Errors
    /// [`Error::WrongHistory`] for a position of another history; [`Error::Pin`] with kind `Gap` if it was given
    /// up, or if the log fails: it holds what it held then.
    pub fn advance(&self, position: Version) -> Result<(), Error> {
        if position.incarnation() != self.database.inner.identity.incarnation {
            return Err(Error::WrongHistory { what: "position" });
        }
        Ok(self.pin.advance(position.stamp().lsn.next())?)
    }

    /// Ends it. When this returns it holds nothing and its name is free.
    ///
    /// # Errors
    /// [`Error::Pin`]: it stays.
    pub fn release(self) -> Result<(), Error> {
        Ok(self.pin.release()?)
    }
}
