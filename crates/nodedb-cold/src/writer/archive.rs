//! The archive as its writer sees it.

use crate::{
    ColdError,
    base::{BASE_BYTES_MAX, BaseManifest, PART_BYTES_MAX, PartRef},
    error::FormatError,
    hash::ObjectHash,
    layout::{BaseId, Layout},
    log_object::{DecodedLogObject, ExpectedIdentity, LogObject, OBJECT_BYTES_MAX},
    record::{EpochRecord, FenceRecord, FormatRecord, NonceRecord, RECORD_BYTES_MAX},
    store::{Created, ObjectKey, ObjectStore},
    writer::{
        ArchivedTail, Nonce, Placed, Session, VerifiedUpload, WriterEpoch, WriterIdentity, place,
        upload::refusal,
    },
};
use bytes::Bytes;
use nodedb_types::{DatabaseId, Incarnation, Lsn};
use std::{collections::BTreeSet, sync::Arc};
use tokio::task::JoinSet;

/// Creates of one name at the same time, of which one may win.
const PROBE_RACERS: usize = 4;

/// What a new archive is made from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewArchive {
    /// Of which database.
    pub database_id: DatabaseId,
    /// Its history.
    pub incarnation: Incarnation,
    /// Drawn for this archive and durable in the directory before the call, so that the call can be
    /// repeated after a crash.
    pub nonce: Nonce,
    /// The first record that it will hold: 1 for a new database; for an older one the redo position
    /// of the base image that is uploaded next.
    pub start_lsn: Lsn,
    /// Number of vshards of the database.
    pub vshards: u16,
    /// Size of its log segments, in bytes.
    pub segment_bytes: u64,
    /// Now, in milliseconds since 1970.
    pub created_ms: u64,
}

impl NewArchive {
    /// The identity of its writer, to be kept for [`Archive::attach`].
    pub const fn writer(&self) -> WriterIdentity {
        WriterIdentity {
            database_id: self.database_id,
            writer_epoch: WriterEpoch::FIRST,
            nonce: self.nonce,
        }
    }
}

/// A base image that is in the archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CompletedBase {
    /// Which.
    pub id: BaseId,
    /// Whether this call completed it, or one at the same position was complete already.
    pub created: Created,
}

/// An archive open for writing, by the one writer of its epoch.
///
/// Nothing is retried here: an error with [`ColdError::is_temporary`] is for the caller to repeat,
/// with pauses. Every call may be repeated, and dropping any of its futures leaves objects that are
/// whole or absent.
#[derive(Clone, Debug)]
pub struct Archive {
    store: Arc<dyn ObjectStore>,
    layout: Layout,
    format: FormatRecord,
    epoch: EpochRecord,
}

impl Archive {
    /// Makes an archive and becomes its first writer. Durable on return.
    ///
    /// # Errors
    /// [`ColdError::AlreadyExists`] if this database has an archive here that was made with another
    /// nonce; [`ColdError::NotConditional`], [`ColdError::CopiedDirectory`] and
    /// [`ColdError::Fenced`] as [`Archive::attach`]; [`ColdError::Store`].
    pub async fn init(
        store: Arc<dyn ObjectStore>,
        new: NewArchive,
        session: Session,
    ) -> Result<Self, ColdError> {
        let layout = Layout::new(new.database_id);
        let format = FormatRecord {
            database_id: new.database_id,
            incarnation: new.incarnation,
            vshards: new.vshards,
            segment_bytes: new.segment_bytes,
            created_ms: new.created_ms,
            required_features: 0,
        };
        let key = layout.format();
        if let Placed::Other(found) = place_record(&store, &key, &format.encode()).await? {
            let found = FormatRecord::decode(&found).map_err(ColdError::corrupt(&key))?;
            let same = found.database_id == new.database_id && found.incarnation == new.incarnation;
            if !same {
                return Err(ColdError::AlreadyExists { key });
            }
        }
        let writer = new.writer();
        let epoch = EpochRecord {
            writer,
            parent: None,
            start_lsn: new.start_lsn,
            chain: ObjectHash::ZERO,
            taken_ms: new.created_ms,
        };
        let key = layout.epoch(writer.writer_epoch);
        if let Placed::Other(found) = place_record(&store, &key, &epoch.encode()).await? {
            let found = EpochRecord::decode(&found).map_err(ColdError::corrupt(&key))?;
            let same = found.writer == writer && found.start_lsn == new.start_lsn;
            if !same {
                return Err(ColdError::AlreadyExists { key });
            }
        }
        Self::attach(store, writer, session).await
    }

    /// Opens the archive again, at every open of the database for writing.
    ///
    /// # Errors
    /// [`ColdError::Fenced`] if the epoch is another writer's or a later one exists;
    /// [`ColdError::CopiedDirectory`] if another copy of the directory took this log epoch;
    /// [`ColdError::NotConditional`] if two creates of one name win; [`ColdError::Missing`] if the
    /// archive is not there; [`ColdError::Corrupt`]; [`ColdError::Store`].
    pub async fn attach(
        store: Arc<dyn ObjectStore>,
        writer: WriterIdentity,
        session: Session,
    ) -> Result<Self, ColdError> {
        let layout = Layout::new(writer.database_id);
        let key = layout.format();
        let format = get_record(&*store, &key).await?;
        let format = FormatRecord::decode(&format).map_err(ColdError::corrupt(&key))?;
        if format.database_id != writer.database_id {
            let problem = FormatError::Foreign { field: "database id" };
            return Err(ColdError::Corrupt { key, problem });
        }
        let key = layout.epoch(writer.writer_epoch);
        let epoch = get_record(&*store, &key).await?;
        let epoch = EpochRecord::decode(&epoch).map_err(ColdError::corrupt(&key))?;
        if epoch.writer != writer {
            let by = writer.writer_epoch;
            return Err(ColdError::Fenced { by });
        }
        let archive = Self { store, layout, format, epoch };
        archive.check_not_fenced().await?;
        archive.claim(session).await?;
        Ok(archive)
    }

    /// Fails if another writer has taken over.
    ///
    /// # Errors
    /// [`ColdError::Fenced`]; [`ColdError::Store`].
    pub async fn check_not_fenced(&self) -> Result<(), ColdError> {
        let Some(by) = self.writer().writer_epoch.next() else {
            return Ok(());
        };
        match self.store.stat(&self.layout.epoch(by)).await? {
            Some(_) => Err(ColdError::Fenced { by }),
            None => Ok(()),
        }
    }

    /// Creates the object of this open, several times at once. That proves two things: that the
    /// store lets one create win, and that no copy of the directory has opened under this number.
    async fn claim(&self, session: Session) -> Result<(), ColdError> {
        let writer = self.writer();
        let key = self.layout.nonce(writer.writer_epoch, session.log_epoch);
        let bytes = NonceRecord::new(&writer, session).encode();
        let mut racers = JoinSet::new();
        for _ in 0..PROBE_RACERS {
            let (store, key, bytes) = (Arc::clone(&self.store), key.clone(), bytes.clone());
            racers.spawn(async move { store.create(&key, bytes).await });
        }
        let mut winners = 0;
        let mut answered = 0;
        let mut failure = None;
        for created in racers.join_all().await {
            match created {
                Ok(created) => {
                    answered += 1;
                    winners += usize::from(created == Created::New);
                }
                Err(error) => failure = Some(error),
            }
        }
        if winners > 1 {
            return Err(ColdError::NotConditional);
        }
        if let Some(failure) = failure {
            return Err(failure.into());
        }
        assert!(answered == PROBE_RACERS, "every racer has an answer");
        let found = get_record(&*self.store, &key).await?;
        if found == bytes {
            return Ok(());
        }
        // Bytes that are no such record are damage; a record of another open is another copy.
        NonceRecord::decode(&found).map_err(ColdError::corrupt(&key))?;
        Err(ColdError::CopiedDirectory { key })
    }

    /// Who writes here.
    pub const fn writer(&self) -> WriterIdentity {
        self.epoch.writer
    }

    /// The history that is archived.
    pub const fn incarnation(&self) -> Incarnation {
        self.format.incarnation
    }

    /// The first record of this writer's epoch.
    pub const fn start_lsn(&self) -> Lsn {
        self.epoch.start_lsn
    }

    /// Finds how far the log is archived, by reading: from the last object at or below `known`, a
    /// position from an earlier run, to the first name that does not exist. `None` reads everything.
    ///
    /// A position above the caller's own durable log means that the directory is older than the
    /// archive; the caller must refuse to go on.
    ///
    /// # Errors
    /// [`ColdError::Gap`] if the archive ends before `known`; [`ColdError::Fenced`];
    /// [`ColdError::Corrupt`] and [`ColdError::BrokenChain`] for an object that cannot be built on;
    /// [`ColdError::Store`].
    pub async fn tail(&self, known: Option<Lsn>) -> Result<ArchivedTail, ColdError> {
        let start = self.epoch.start_lsn;
        let mut tail = ArchivedTail::beginning(start, self.epoch.chain);
        let from = self.last_listed(known).await?;
        // What lies before a position that was proven once is not read again: its chain is unknown.
        let mut chained = from == start;
        let mut last = None;
        if from != start {
            tail = ArchivedTail::beginning(from, ObjectHash::ZERO);
        }
        while let Some(object) = self.log_object(tail.next_lsn()).await? {
            if chained && object.previous() != tail.chain() {
                return Err(ColdError::BrokenChain {
                    key: object.key().clone(),
                    expected: object.previous(),
                    found: tail.chain(),
                });
            }
            tail.follow(&object).map_err(ColdError::corrupt(object.key()))?;
            chained = true;
            last = Some(object);
        }
        if let Some(last) = last {
            // P1: a killed process may have left it readable and not durable. Creating it again
            // changes nothing in it and makes the store promise that it is stored. Earlier objects
            // have had that promise, since each is uploaded after the receipt of the one before.
            let bytes = last.bytes().clone();
            self.store.create(last.key(), bytes).await?;
        }
        match known {
            Some(known) if tail.next_lsn() <= known => {
                Err(ColdError::Gap { from: tail.next_lsn(), to: known.next() })
            }
            _ => Ok(tail),
        }
    }

    /// The object to begin with: the last listed one that is not above `known`.
    async fn last_listed(&self, known: Option<Lsn>) -> Result<Lsn, ColdError> {
        let start = self.epoch.start_lsn;
        let Some(known) = known.filter(|known| *known >= start) else {
            return Ok(start);
        };
        let folder = self.layout.log_folder(self.writer().writer_epoch);
        let listing = self.store.list(&folder).await?;
        let starts = listing.objects.iter();
        let starts = starts.filter_map(|name| Layout::log_start(name));
        let last = starts.filter(|start| *start <= known).max();
        Ok(last.unwrap_or(start).max(start))
    }

    async fn log_object(&self, start: Lsn) -> Result<Option<DecodedLogObject>, ColdError> {
        let writer = self.writer();
        let expected = ExpectedIdentity {
            database_id: writer.database_id,
            writer_epoch: writer.writer_epoch,
            start_lsn: start,
        };
        let Some(bytes) = self.store.get(&expected.key(), OBJECT_BYTES_MAX).await? else {
            return Ok(None);
        };
        if let Ok(fence) = FenceRecord::decode(&bytes) {
            return Err(ColdError::Fenced { by: fence.by });
        }
        LogObject::decode(bytes, &expected).map(Some)
    }

    /// Uploads a log object and reads it back; the receipt is the proof that advances a tail.
    /// Objects are uploaded in order, the next one only after the receipt of the one before: then a
    /// crash leaves no object behind a hole. Durable on return.
    ///
    /// # Errors
    /// [`ColdError::Fenced`] if another writer has taken over; [`ColdError::Diverged`] if another
    /// object has the name, which is never overwritten; [`ColdError::Unverified`] if the store does
    /// not give back what it took; [`ColdError::Store`].
    ///
    /// # Panics
    /// If the object was built for another writer.
    pub async fn upload_log(&self, object: &LogObject) -> Result<VerifiedUpload, ColdError> {
        let writer = self.writer();
        let key = self.layout.log(writer.writer_epoch, object.range().start());
        assert!(*object.key() == key, "{} is not ours", object.key());
        match place(&*self.store, &key, object.bytes(), OBJECT_BYTES_MAX).await? {
            Placed::Ours => Ok(VerifiedUpload::of(object)),
            Placed::Other(found) => Err(refusal(&key, ObjectHash::of(object.bytes()), &found)),
        }
    }

    /// Uploads a part of a file and reads it back. A part is stored once, for whatever bases it is in;
    /// a caller that keeps the [`PartRef`]s of its last base sends unchanged files not at all. Durable
    /// on return.
    ///
    /// # Errors
    /// [`ColdError::Corrupt`] if damaged bytes stand under the name of the part;
    /// [`ColdError::Unverified`]; [`ColdError::Store`].
    ///
    /// # Panics
    /// If the part is empty or longer than [`PART_BYTES_MAX`].
    pub async fn upload_part(&self, bytes: Bytes) -> Result<PartRef, ColdError> {
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        assert!(
            (1..=PART_BYTES_MAX).contains(&len),
            "a part has 1 to {PART_BYTES_MAX} bytes, not {len}"
        );
        let hash = ObjectHash::of(&bytes);
        let key = self.layout.part(hash);
        match place(&*self.store, &key, &bytes, u64::from(PART_BYTES_MAX)).await? {
            Placed::Ours => Ok(PartRef::new(hash, len)),
            Placed::Other(found) => Err(ColdError::Corrupt {
                problem: FormatError::Digest { written: hash, found: ObjectHash::of(&found) },
                key,
            }),
        }
    }

    /// Completes a base image: its manifest is written last, after every part was found, and only if
    /// the log is archived up to its ceiling. Durable on return.
    ///
    /// # Errors
    /// [`ColdError::BaseAboveArchive`] if `archived` lies below the ceiling; [`ColdError::BadBase`]
    /// if the manifest contradicts itself; [`ColdError::Missing`] and [`ColdError::Corrupt`] for a
    /// part that is not there as it was; [`ColdError::Diverged`] and [`ColdError::Unverified`] as
    /// for log objects; [`ColdError::Store`].
    ///
    /// # Panics
    /// If the manifest names another database, history or writer.
    pub async fn complete_base(
        &self,
        base: &BaseManifest,
        archived: Option<Lsn>,
    ) -> Result<CompletedBase, ColdError> {
        let writer = self.writer();
        let ours = base.database_id == writer.database_id
            && base.writer_epoch == writer.writer_epoch
            && base.incarnation == self.incarnation();
        assert!(ours, "base {:?} is not of this archive", base.id());
        if archived < Some(base.ceiling_lsn) {
            return Err(ColdError::BaseAboveArchive { ceiling: base.ceiling_lsn, archived });
        }
        let bytes = base.encode().map_err(|problem| ColdError::BadBase { problem })?;
        self.find_parts(base).await?;
        let key = self.layout.base(base.id());
        let completed = |created| CompletedBase { id: base.id(), created };
        match place(&*self.store, &key, &bytes, BASE_BYTES_MAX).await? {
            Placed::Ours => Ok(completed(Created::New)),
            Placed::Other(found) => match BaseManifest::decode(&found) {
                // Another image of the same position serves the same targets.
                Ok(found) if found.database_id == base.database_id && found.id() == base.id() => {
                    Ok(completed(Created::Exists))
                }
                _ => Err(refusal(&key, ObjectHash::of(&bytes), &found)),
            },
        }
    }

    async fn find_parts(&self, base: &BaseManifest) -> Result<(), ColdError> {
        let mut seen = BTreeSet::new();
        for part in base.files.iter().flat_map(|file| &file.parts) {
            if !seen.insert(part.hash()) {
                continue;
            }
            let key = self.layout.part(part.hash());
            match self.store.stat(&key).await? {
                Some(len) if len == u64::from(part.len()) => {}
                Some(_) => {
                    let problem = FormatError::Field { field: "part length" };
                    return Err(ColdError::Corrupt { key, problem });
                }
                None => return Err(ColdError::Missing { key }),
            }
        }
        Ok(())
    }
}

async fn place_record(
    store: &Arc<dyn ObjectStore>,
    key: &ObjectKey,
    bytes: &Bytes,
) -> Result<Placed, ColdError> {
    place(&**store, key, bytes, RECORD_BYTES_MAX).await
}

async fn get_record(store: &dyn ObjectStore, key: &ObjectKey) -> Result<Bytes, ColdError> {
    let found = store.get(key, RECORD_BYTES_MAX).await?;
    found.ok_or_else(|| ColdError::Missing { key: key.clone() })
}
