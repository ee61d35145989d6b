//! The object `BASE`.

use crate::{
    base::{
        BaseFile, BaseFloor,
        codec::{decode_body, encode_body},
    },
    error::FormatError,
    layout::{BaseId, LSN_MAX},
    record::{Envelope, open, seal},
    writer::WriterEpoch,
};
use bytes::Bytes;
use nodedb_types::{DatabaseId, Incarnation, LogEpoch, Lsn, limits};
use std::collections::BTreeSet;

const ENVELOPE: Envelope = Envelope { magic: *b"NDBBASEM", version: 1 };

/// Everything that a database is restored from, except the log after it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BaseManifest {
    /// Whose.
    pub database_id: DatabaseId,
    /// Its history.
    pub incarnation: Incarnation,
    /// Made by which writer.
    pub writer_epoch: WriterEpoch,
    /// The first record that a restore needs from the log: 1 + the lowest effective floor.
    pub redo_lsn: Lsn,
    /// The highest record in any file or floor. A base serves only targets at or above (P13).
    pub ceiling_lsn: Lsn,
    /// The life of the log at that moment; a restored database begins above it (P8).
    pub log_epoch: LogEpoch,
    /// The commit clock, in milliseconds since 1970: not before the commit of any record in it.
    pub commit_ms: u64,
    /// Number of vshards.
    pub vshards: u16,
    /// Size of a log segment, in bytes.
    pub segment_bytes: u64,
    /// Next ids and other counters, as the database encodes them.
    pub counters: Bytes,
    /// The floors of every engine.
    pub floors: Vec<BaseFloor>,
    /// The files.
    pub files: Vec<BaseFile>,
}

impl BaseManifest {
    /// Which base this is.
    pub const fn id(&self) -> BaseId {
        BaseId { ceiling_lsn: self.ceiling_lsn, writer_epoch: self.writer_epoch }
    }

    /// Bytes of all its files.
    pub fn file_bytes(&self) -> u64 {
        self.files.iter().map(BaseFile::len).sum()
    }

    /// Checks that it does not contradict itself.
    ///
    /// # Errors
    /// [`FormatError::Field`] names what does; [`FormatError::Path`] for a path that is there twice.
    pub fn validate(&self) -> Result<(), FormatError> {
        let holds = |field, holds: bool| {
            if holds { Ok(()) } else { Err(FormatError::Field { field }) }
        };
        holds("ceiling lsn", self.ceiling_lsn.get() <= LSN_MAX)?;
        holds("redo lsn", self.redo_lsn <= self.ceiling_lsn.next())?;
        let vshards = 1..=limits::VSHARDS_MAX;
        holds("vshards", vshards.contains(&self.vshards))?;
        let sizes = limits::SEGMENT_BYTES_MIN..=limits::SEGMENT_BYTES_MAX;
        holds("segment bytes", sizes.contains(&self.segment_bytes))?;
        for floor in &self.floors {
            holds("floor's vshard", floor.vshard.get() < self.vshards)?;
            holds("proven floor", floor.proven <= floor.effective)?;
            // A floor above the ceiling would skip records of the restored database's own future.
            holds("effective floor", floor.effective <= Some(self.ceiling_lsn))?;
            holds("redo lsn", self.redo_lsn <= Lsn::after(floor.effective))?;
        }
        let mut paths = BTreeSet::new();
        for file in &self.files {
            if !paths.insert(&file.path) {
                let path = file.path.to_string();
                return Err(FormatError::Path { path });
            }
        }
        Ok(())
    }

    /// The bytes of the object.
    ///
    /// # Errors
    /// As [`BaseManifest::validate`].
    pub fn encode(&self) -> Result<Bytes, FormatError> {
        self.validate()?;
        Ok(seal(ENVELOPE, &encode_body(self)?))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let manifest = decode_body(open(ENVELOPE, bytes)?)?;
        manifest.validate()?;
        Ok(manifest)
    }
}
