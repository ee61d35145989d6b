//! How far the archive is, shared by the loops that meet in it.

use nodedb_types::Lsn;
use parking_lot::Mutex;
use tokio::sync::watch;

/// The archived position and what is wanted of it. Positions are all that archiver, checkpointer and
/// reclaimer share.
#[derive(Debug)]
pub(crate) struct ArchivePosition {
    archived: watch::Sender<Option<Lsn>>,
    wanted: watch::Sender<Option<Lsn>>,
    fault: Mutex<Option<Fault>>,
}

/// How far the archive is, as only its verified uploads and the durable `ARCHIVE` file can say. Made by
/// [`ArchivePosition::receipt`] only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ArchiveReceipt(Option<Lsn>);

impl ArchiveReceipt {
    /// Everything up to here is in the archive.
    pub(crate) const fn archived(self) -> Option<Lsn> {
        self.0
    }
}

/// Why the archive does not move.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    /// The last failure, in words.
    pub(crate) message: String,
    /// Whether the archiver has given up: the archive has another writer, or this is a copy.
    pub(crate) stopped: bool,
}

impl ArchivePosition {
    /// Starts at what the `ARCHIVE` file says.
    pub(crate) fn new(archived: Option<Lsn>) -> Self {
        Self {
            archived: watch::Sender::new(archived),
            wanted: watch::Sender::new(None),
            fault: Mutex::new(None),
        }
    }

    /// Everything up to here is in the archive, verified, and the `ARCHIVE` file says so durably.
    pub(crate) fn persisted(&self) -> Option<Lsn> {
        *self.archived.borrow()
    }

    /// The same as a proof that a truncation is planned with.
    pub(crate) fn receipt(&self) -> ArchiveReceipt {
        ArchiveReceipt(self.persisted())
    }

    /// Follows the position.
    pub(crate) fn watch(&self) -> watch::Receiver<Option<Lsn>> {
        self.archived.subscribe()
    }

    /// Moves forward, after the `ARCHIVE` file was replaced.
    pub(crate) fn advance(&self, archived: Lsn) {
        let before = self.archived.send_replace(Some(archived));
        assert!(before <= Some(archived), "the archived position never falls");
        *self.fault.lock() = None;
    }

    /// Notes a failure; the next success clears it.
    pub(crate) fn fail(&self, message: String, stopped: bool) {
        *self.fault.lock() = Some(Fault { message, stopped });
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault.lock().clone()
    }

    /// Asks for an object that reaches `lsn`, without waiting.
    pub(crate) fn want(&self, lsn: Lsn) {
        self.wanted.send_if_modified(|wanted| {
            let more = *wanted < Some(lsn);
            *wanted = (*wanted).max(Some(lsn));
            more
        });
    }

    /// What is asked for.
    pub(crate) fn wanted(&self) -> watch::Receiver<Option<Lsn>> {
        self.wanted.subscribe()
    }

    /// Waits until the archive holds everything up to `lsn`.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn reached(&self, lsn: Lsn) {
        let mut archived = self.archived.subscribe();
        // The sender lives in self, so the wait ends only by the position.
        drop(archived.wait_for(|archived| *archived >= Some(lsn)).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D-17, S3: a failed upload moves nothing; the hold stays where it was.
    #[test]
    fn a_failure_leaves_the_position() {
        let position = ArchivePosition::new(Lsn::from_u64(7));
        position.fail("503".to_owned(), false);
        assert_eq!(position.persisted(), Lsn::from_u64(7));
        assert_eq!(position.fault().map(|fault| fault.message), Some("503".to_owned()));
        position.advance(Lsn::FIRST.advance(8));
        assert_eq!(position.fault(), None);
    }

    #[test]
    #[should_panic(expected = "never falls")]
    fn the_position_never_falls() {
        ArchivePosition::new(Lsn::from_u64(7)).advance(Lsn::FIRST);
    }
}
