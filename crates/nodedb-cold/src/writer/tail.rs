//! How far the log is archived.

use crate::{ColdError, error::FormatError, hash::ObjectHash, writer::VerifiedUpload};
use nodedb_types::Lsn;

/// The proven end of the archived log. Made by [`crate::Archive::tail`] from objects that were read,
/// and advanced only by receipts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ArchivedTail {
    archived: Option<Lsn>,
    next: Lsn,
    chain: ObjectHash,
}

impl ArchivedTail {
    /// Where an epoch begins: everything before `start` is archived, or is no part of the archive.
    pub(super) fn beginning(start: Lsn, chain: ObjectHash) -> Self {
        Self { archived: start.previous(), next: start, chain }
    }

    /// All records up to and including this one are in the archive, verified. In an archive that
    /// was attached to an older database, those before its beginning count as archived: a base image
    /// holds them.
    pub const fn archived(&self) -> Option<Lsn> {
        self.archived
    }

    /// The record that the next object begins with.
    pub const fn next_lsn(&self) -> Lsn {
        self.next
    }

    /// Digest of the last object, which the next one names.
    pub const fn chain(&self) -> ObjectHash {
        self.chain
    }

    /// Moves on over an uploaded object.
    ///
    /// # Errors
    /// [`ColdError::OutOfOrder`] if the object does not begin with [`ArchivedTail::next_lsn`]; then
    /// nothing has moved.
    pub fn advance(&mut self, receipt: &VerifiedUpload) -> Result<(), ColdError> {
        if receipt.range().start() != self.next {
            return Err(ColdError::OutOfOrder { start: receipt.range().start(), next: self.next });
        }
        let end = receipt.range().end();
        *self = Self { archived: end.previous(), next: end, chain: receipt.hash() };
        Ok(())
    }

    pub(super) fn follow(&mut self, object: &crate::DecodedLogObject) -> Result<(), FormatError> {
        if object.range().start() != self.next {
            return Err(FormatError::Foreign { field: "start lsn" });
        }
        *self = Self {
            archived: object.range().last(),
            next: object.range().end(),
            chain: object.hash(),
        };
        Ok(())
    }
}
