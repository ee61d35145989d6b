//! Physical redo: what a log record of an engine says.

mod idempotency;

pub use idempotency::{Idempotency, IssuedKey};

use crate::{CatalogChange, RecordKind};
use bytes::Bytes;
use nodedb_types::{ByteReader, CollectionId, DecodeError, IndexId, put_bytes};

/// One change, with resulting values and ids only. Applying it twice changes nothing.
///
/// Its bytes are described in `docs/formats/redo.md`.
#[derive(Clone, PartialEq, Debug)]
pub enum Redo {
    /// A key has this value from now on.
    Put {
        /// Where.
        collection: CollectionId,
        /// Which key.
        key: Bytes,
        /// The stored bytes: canonical JSON text, or raw bytes.
        value: Bytes,
        /// When it expires, in milliseconds of the commit clock; `None` for never.
        expires: Option<u64>,
        /// The vectors that the collection's indexes take from it; absent where the field is.
        vectors: Vec<VectorChange>,
        /// What the collection's field indexes learn; nothing of an index whose entry stays as it is.
        fields: Vec<FieldChange>,
    },
    /// A key is gone.
    Delete {
        /// Where.
        collection: CollectionId,
        /// Which key.
        key: Bytes,
        /// The vector indexes that lose it.
        vectors: Vec<IndexId>,
        /// The entries that field indexes lose.
        fields: Vec<FieldChange>,
        /// The rows of a CRDT document that go with it.
        crdt: Option<CrdtRows>,
    },
    /// A CRDT update was merged; its import has succeeded before it was logged.
    CrdtMerge {
        /// Where.
        collection: CollectionId,
        /// Which document.
        key: Bytes,
        /// The row that takes the update.
        slot: u8,
        /// The update as received.
        update: Bytes,
        /// The rows that make up the document from now on, with this one.
        rows: CrdtRows,
    },
    /// Rows of a CRDT document are replaced by one with the same history: a full snapshot in the place
    /// of all of them, or one update in the place of the latest.
    CrdtSnapshot {
        /// Where.
        collection: CollectionId,
        /// Which document.
        key: Bytes,
        /// The row that takes it.
        slot: u8,
        /// What the replaced rows come to.
        snapshot: Bytes,
        /// The rows that make up the document from now on, with this one.
        rows: CrdtRows,
        /// Replaced rows that are removed at once; smaller ones stay until they are written again.
        freed: Vec<u8>,
    },
    /// Entries of documents that were there before their index was (protocol rule P12). They are logged
    /// in the turn in which the documents were read, so each is of its document's newest version.
    IndexRows {
        /// Where.
        collection: CollectionId,
        /// Which index.
        index: IndexId,
        /// The entries, by ascending key.
        rows: Vec<IndexRow>,
    },
    /// The writes of this vshard in the same atomic group carry an idempotency key (protocol rule P5).
    Idempotency(Idempotency),
    /// A change of the catalog.
    Catalog(CatalogChange),
}

/// What a field index learns from a written document. Values are memcomparable, so that they sort as
/// bytes; how they are made is the document engine's business.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldChange {
    /// Which index.
    pub index: IndexId,
    /// The value under which the document was found before, if it was.
    pub before: Option<Bytes>,
    /// The value under which it is found from now on, if it is.
    pub after: Option<Bytes>,
}

/// The entry of one document in an index that is being built.
#[derive(Clone, PartialEq, Debug)]
pub struct IndexRow {
    /// Which document.
    pub key: Bytes,
    /// Its entry.
    pub entry: IndexEntry,
}

/// An entry of an index.
#[derive(Clone, PartialEq, Debug)]
pub enum IndexEntry {
    /// Of a vector index.
    Vector(Vec<f32>),
    /// Of a field index: the memcomparable value.
    Field(Bytes),
}

/// What a vector index learns from a written document.
#[derive(Clone, PartialEq, Debug)]
pub struct VectorChange {
    /// Which index.
    pub index: IndexId,
    /// The vector, or `None` where the document has none in that field.
    pub vector: Option<Vec<f32>>,
}

/// The stored rows of a CRDT document. A row is a numbered slot that is written again once its content
/// has been packed into another, so a document never has more than 255.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CrdtRows {
    /// The slots that make up the document, in the order in which they are imported.
    pub slots: Vec<u8>,
    /// Every slot below this one may have been written since the document began.
    pub used: u8,
}

impl CrdtRows {
    /// Appends the bytes of this list, which names no slot twice and none that is not below `used`.
    ///
    /// # Panics
    /// If it does.
    pub fn encode(&self, out: &mut Vec<u8>) {
        assert!(self.is_sound(), "every listed slot was written once");
        out.push(self.used);
        put_slots(out, &self.slots);
    }

    /// Reads what [`CrdtRows::encode`] wrote.
    ///
    /// # Errors
    /// [`DecodeError`] for anything else.
    pub fn decode(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        let used = reader.u8("crdt slots used")?;
        let rows = Self { slots: slots(reader, "crdt slots")?, used };
        let unsound = DecodeError::OutOfRange { field: "crdt slots", value: u64::from(used) };
        if rows.is_sound() { Ok(rows) } else { Err(unsound) }
    }

    /// Whether the list names no slot twice and none beyond the used ones.
    fn is_sound(&self) -> bool {
        let mut seen = [false; 256];
        self.slots.iter().all(|slot| {
            *slot < self.used && !std::mem::replace(&mut seen[usize::from(*slot)], true)
        })
    }
}

impl Redo {
    /// The kind of record that carries it.
    pub const fn kind(&self) -> RecordKind {
        match self {
            Self::Put { .. } => RecordKind::Put,
            Self::Delete { .. } => RecordKind::Delete,
            Self::CrdtMerge { .. } => RecordKind::CrdtMerge,
            Self::CrdtSnapshot { .. } => RecordKind::CrdtSnapshot,
            Self::IndexRows { .. } => RecordKind::IndexRows,
            Self::Idempotency(_) => RecordKind::Idempotency,
            Self::Catalog(_) => RecordKind::Catalog,
        }
    }

    /// The collection it changes; `None` of the catalog and of idempotency keys.
    pub const fn collection(&self) -> Option<CollectionId> {
        match self {
            Self::Put { collection, .. }
            | Self::Delete { collection, .. }
            | Self::CrdtMerge { collection, .. }
            | Self::CrdtSnapshot { collection, .. }
            | Self::IndexRows { collection, .. } => Some(*collection),
            Self::Idempotency(_) | Self::Catalog(_) => None,
        }
    }

    /// The record's payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        match self {
            Self::Put { collection, key, value, expires, vectors, fields } => {
                put_head(&mut out, *collection, key);
                put_bytes(&mut out, value);
                out.push(u8::from(expires.is_some()));
                out.extend(expires.iter().flat_map(|time| time.to_le_bytes()));
                put_vectors(&mut out, vectors);
                put_fields(&mut out, fields);
            }
            Self::Delete { collection, key, vectors, fields, crdt } => {
                put_head(&mut out, *collection, key);
                put_count(&mut out, vectors.len());
                for index in vectors {
                    out.extend_from_slice(&index.get().to_le_bytes());
                }
                put_fields(&mut out, fields);
                out.push(u8::from(crdt.is_some()));
                if let Some(rows) = crdt {
                    rows.encode(&mut out);
                }
            }
            Self::CrdtMerge { collection, key, slot, update, rows } => {
                put_head(&mut out, *collection, key);
                out.push(*slot);
                put_bytes(&mut out, update);
                rows.encode(&mut out);
            }
            Self::CrdtSnapshot { collection, key, slot, snapshot, rows, freed } => {
                put_head(&mut out, *collection, key);
                out.push(*slot);
                put_bytes(&mut out, snapshot);
                rows.encode(&mut out);
                put_slots(&mut out, freed);
            }
            Self::IndexRows { collection, index, rows } => {
                out.extend_from_slice(&collection.get().to_le_bytes());
                out.extend_from_slice(&index.get().to_le_bytes());
                put_count(&mut out, rows.len());
                for row in rows {
                    row.encode(&mut out);
                }
            }
            Self::Idempotency(idempotency) => idempotency.encode(&mut out),
            Self::Catalog(change) => change.encode(&mut out),
        }
        out
    }

    /// Reads a payload that [`Redo::encode`] wrote.
    ///
    /// # Errors
    /// [`DecodeError`] for any other bytes, and for a housekeeping kind, which no engine applies.
    pub fn decode(kind: RecordKind, payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(payload);
        let format = reader.u8("redo format")?;
        if format != FORMAT {
            return Err(DecodeError::OutOfRange { field: "redo format", value: u64::from(format) });
        }
        let redo = match kind {
            RecordKind::Put => {
                let (collection, key) = head(&mut reader)?;
                let value = blob(&mut reader, "value")?;
                let expires = flag(&mut reader, "expiry flag")?;
                let expires = expires.then(|| reader.u64("expiry")).transpose()?;
                let vectors = vectors(&mut reader)?;
                Self::Put { collection, key, value, expires, vectors, fields: fields(&mut reader)? }
            }
            RecordKind::Delete => delete(&mut reader)?,
            RecordKind::CrdtMerge => {
                let (collection, key) = head(&mut reader)?;
                let slot = reader.u8("crdt slot")?;
                let update = blob(&mut reader, "crdt update")?;
                let rows = CrdtRows::decode(&mut reader)?;
                Self::CrdtMerge { collection, key, slot, update, rows }
            }
            RecordKind::CrdtSnapshot => {
                let (collection, key) = head(&mut reader)?;
                let slot = reader.u8("crdt slot")?;
                let snapshot = blob(&mut reader, "crdt snapshot")?;
                let rows = CrdtRows::decode(&mut reader)?;
                let freed = slots(&mut reader, "freed crdt slots")?;
                Self::CrdtSnapshot { collection, key, slot, snapshot, rows, freed }
            }
            RecordKind::IndexRows => {
                let collection = CollectionId::new(reader.u32("collection id")?);
                let index = IndexId::new(reader.u32("index id")?);
                let count = count(&mut reader, "index row count", 9)?;
                let rows = (0..count).map(|_| IndexRow::decode(&mut reader));
                let rows = rows.collect::<Result<_, _>>()?;
                Self::IndexRows { collection, index, rows }
            }
            RecordKind::Idempotency => Self::Idempotency(Idempotency::decode(&mut reader)?),
            RecordKind::Catalog => Self::Catalog(CatalogChange::decode(&mut reader)?),
            RecordKind::Checkpoint | RecordKind::RestorePoint => {
                let value = u64::from(kind.code());
                return Err(DecodeError::OutOfRange { field: "redo kind", value });
            }
        };
        reader.finish()?;
        Ok(redo)
    }
}

/// Version of the payload bytes.
const FORMAT: u8 = 1;

fn put_head(out: &mut Vec<u8>, collection: CollectionId, key: &[u8]) {
    out.extend_from_slice(&collection.get().to_le_bytes());
    put_bytes(out, key);
}

#[expect(clippy::expect_used, reason = "limits keep every list far below 4 billion entries")]
pub(crate) fn put_count(out: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count).expect("lists are shorter than 2^32");
    out.extend_from_slice(&count.to_le_bytes());
}

#[expect(clippy::expect_used, reason = "slots are numbered with a byte and listed once")]
fn put_slots(out: &mut Vec<u8>, slots: &[u8]) {
    out.push(u8::try_from(slots.len()).expect("there are at most 255 slots"));
    out.extend_from_slice(slots);
}

fn slots(reader: &mut ByteReader<'_>, field: &'static str) -> Result<Vec<u8>, DecodeError> {
    let count = usize::from(reader.u8(field)?);
    reader.take(field, count).map(<[u8]>::to_vec)
}

impl IndexRow {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.key);
        match &self.entry {
            IndexEntry::Vector(vector) => {
                out.push(1);
                put_vector(out, vector);
            }
            IndexEntry::Field(value) => {
                out.push(2);
                put_bytes(out, value);
            }
        }
    }

    fn decode(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        let key = blob(reader, "key")?;
        let entry = match reader.u8("index entry")? {
            1 => IndexEntry::Vector(vector(reader)?),
            2 => IndexEntry::Field(blob(reader, "field value")?),
            other => {
                let value = u64::from(other);
                return Err(DecodeError::OutOfRange { field: "index entry", value });
            }
        };
        Ok(Self { key, entry })
    }
}

fn put_fields(out: &mut Vec<u8>, fields: &[FieldChange]) {
    put_count(out, fields.len());
    for change in fields {
        out.extend_from_slice(&change.index.get().to_le_bytes());
        for value in [&change.before, &change.after] {
            out.push(u8::from(value.is_some()));
            if let Some(value) = value {
                put_bytes(out, value);
            }
        }
    }
}

fn put_vector(out: &mut Vec<u8>, vector: &[f32]) {
    put_count(out, vector.len());
    out.extend(vector.iter().flat_map(|x| x.to_le_bytes()));
}

fn put_vectors(out: &mut Vec<u8>, vectors: &[VectorChange]) {
    put_count(out, vectors.len());
    for change in vectors {
        out.extend_from_slice(&change.index.get().to_le_bytes());
        out.push(u8::from(change.vector.is_some()));
        if let Some(vector) = &change.vector {
            put_vector(out, vector);
        }
    }
}

fn head(reader: &mut ByteReader<'_>) -> Result<(CollectionId, Bytes), DecodeError> {
    let collection = CollectionId::new(reader.u32("collection id")?);
    Ok((collection, blob(reader, "key")?))
}

fn blob(reader: &mut ByteReader<'_>, field: &'static str) -> Result<Bytes, DecodeError> {
    reader.bytes(field).map(Bytes::copy_from_slice)
}

/// A flag byte, which is 0 or 1.
pub(crate) fn flag(reader: &mut ByteReader<'_>, field: &'static str) -> Result<bool, DecodeError> {
    match reader.u8(field)? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(DecodeError::OutOfRange { field, value: u64::from(other) }),
    }
}

/// The length of a list whose entries take at least `entry_bytes` each. A length that the rest of
/// the input cannot hold is refused before anything is allocated.
pub(crate) fn count(
    reader: &mut ByteReader<'_>,
    field: &'static str,
    entry_bytes: usize,
) -> Result<usize, DecodeError> {
    let value = reader.u32(field)?;
    let count = usize::try_from(value).ok().filter(|&n| n <= reader.left() / entry_bytes.max(1));
    count.ok_or(DecodeError::OutOfRange { field, value: u64::from(value) })
}

fn delete(reader: &mut ByteReader<'_>) -> Result<Redo, DecodeError> {
    let (collection, key) = head(reader)?;
    let count = count(reader, "vector index count", 4)?;
    let vectors = (0..count)
        .map(|_| reader.u32("vector index id").map(IndexId::new))
        .collect::<Result<_, _>>()?;
    let fields = fields(reader)?;
    let crdt = if flag(reader, "crdt flag")? { Some(CrdtRows::decode(reader)?) } else { None };
    Ok(Redo::Delete { collection, key, vectors, fields, crdt })
}

fn fields(reader: &mut ByteReader<'_>) -> Result<Vec<FieldChange>, DecodeError> {
    let changes = count(reader, "field change count", 6)?;
    (0..changes)
        .map(|_| {
            let index = IndexId::new(reader.u32("field index id")?);
            let before = field_value(reader)?;
            Ok(FieldChange { index, before, after: field_value(reader)? })
        })
        .collect()
}

fn field_value(reader: &mut ByteReader<'_>) -> Result<Option<Bytes>, DecodeError> {
    let there = flag(reader, "field value flag")?;
    there.then(|| blob(reader, "field value")).transpose()
}

fn vectors(reader: &mut ByteReader<'_>) -> Result<Vec<VectorChange>, DecodeError> {
    let changes = count(reader, "vector count", 5)?;
    (0..changes)
        .map(|_| {
            let index = IndexId::new(reader.u32("vector index id")?);
            let vector = if flag(reader, "vector flag")? { Some(vector(reader)?) } else { None };
            Ok(VectorChange { index, vector })
        })
        .collect()
}

fn vector(reader: &mut ByteReader<'_>) -> Result<Vec<f32>, DecodeError> {
    let length = count(reader, "vector length", 4)?;
    let bytes = reader.take("vector", length * 4)?;
    let (numbers, _) = bytes.as_chunks::<4>();
    Ok(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
}

#[cfg(test)]
mod tests;
