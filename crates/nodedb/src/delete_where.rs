//! Delete by filter.

use crate::{Collection, Document, Error, Expect, Pending, ScanOptions, WriteOptions};
use nodedb_types::{ErrorKind, Lsn};

/// What a delete by filter did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Deleted {
    /// How many documents.
    pub count: u64,
    /// The last record of it.
    pub last_lsn: Option<Lsn>,
}

/// Deletes under way at a time.
const WINDOW: usize = 256;

impl Collection {
    /// Removes the documents that satisfy an expression, as they are when they are met: one that is
    /// changed meanwhile is left alone.
    ///
    /// # Errors
    /// As [`Collection::scan`] and [`Collection::delete`]; those removed before stay removed.
    pub fn delete_where(&self, filter: &str) -> Result<Deleted, Error> {
        let mut deleted = Deleted::default();
        let options = ScanOptions { filter: Some(filter.to_owned()), ..ScanOptions::default() };
        let mut pending = Vec::new();
        for document in self.scan(options)? {
            let document = document?;
            match self.delete_async(&document.key, as_seen(&document)) {
                // The inboxes are full of our own deletes: once they are through, there is room.
                Err(error) if error.kind() == ErrorKind::Busy => {
                    self.settle(&mut pending, &mut deleted)?;
                    deleted.note(self.delete(&document.key, as_seen(&document)))?;
                }
                delete => pending.push((document, delete?)),
            }
            if pending.len() == WINDOW {
                self.settle(&mut pending, &mut deleted)?;
            }
        }
        self.settle(&mut pending, &mut deleted)?;
        Ok(deleted)
    }

    /// Waits for every delete under way; one that the database was too busy for is sent again. Each
    /// holds only for the version that was seen, so their order does not matter.
    fn settle(
        &self,
        pending: &mut Vec<(Document, Pending<Lsn>)>,
        deleted: &mut Deleted,
    ) -> Result<(), Error> {
        for (document, delete) in pending.drain(..) {
            match delete.wait() {
                Err(error) if error.kind() == ErrorKind::Busy => {
                    deleted.note(self.delete(&document.key, as_seen(&document)))?;
                }
                result => deleted.note(result)?,
            }
        }
        Ok(())
    }
}

fn as_seen(document: &Document) -> WriteOptions {
    WriteOptions { expect: Some(Expect::Version(document.version)), ..WriteOptions::default() }
}

impl Deleted {
    /// Counts a delete. One that somebody else's write came before is no failure.
    fn note(&mut self, result: Result<Lsn, Error>) -> Result<(), Error> {
        match result {
            Ok(lsn) => {
                self.count += 1;
                self.last_lsn = self.last_lsn.max(Some(lsn));
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
