//! Checking a write and turning it into redo.

use super::{
    Vshard,
    fields::{FieldOverlay, named_once},
};
use crate::{Change, DataError, Entries, Expect, Write, group::GroupPart, group::PreparedPart};
use bytes::Bytes;
use nodedb_document::{Place, ReadAt};
use nodedb_engine::{Catalog, Collection, CollectionKind, Redo, VectorChange, VectorIndex};
use nodedb_types::{CollectionId, IndexId, Lsn, Stamp, TenantId};
use nodedb_vector::check_vector;
use std::collections::BTreeMap;

/// A checked write. Without redo there is nothing to do: the key to be deleted is not there.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) redo: Option<Redo>,
}

/// What the writes before in the same batch have changed.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    /// Which keys they have put or deleted.
    keys: BTreeMap<(CollectionId, Bytes), bool>,
    /// The catalog as they leave it.
    catalog: Option<Catalog>,
    /// What they change in field indexes.
    fields: FieldOverlay,
}

impl Vshard {
    /// Checks a write against what is applied here. Changes nothing.
    pub(crate) fn prepare(
        &self,
        tenant: TenantId,
        write: Write,
        overlay: &mut Overlay,
    ) -> Result<Draft, DataError> {
        let Write { collection, change, expect, .. } = write;
        let redo = match change {
            Change::Catalog(change) => {
                let applied = self.engines.catalog.catalog();
                let catalog = overlay.catalog.get_or_insert_with(|| applied.clone());
                catalog.check(&change)?;
                // The position does not matter to a copy that only checks.
                catalog.apply(Lsn::FIRST, &change);
                return Ok(Draft { redo: Some(Redo::Catalog(change)) });
            }
            Change::Put { key, value, expires, vectors, fields } => {
                let schema = self.collection(tenant, collection)?;
                let entries = Entries { vectors, fields };
                let Entries { vectors, fields } = fitting(schema, &key, &value, entries)?;
                self.check_expect(tenant, collection, &key, expect)?;
                let fields = self.field_changes(schema, &key, Some(fields), &mut overlay.fields)?;
                overlay.keys.insert((collection, key.clone()), true);
                Some(Redo::Put { collection, key, value, vectors, expires, fields })
            }
            Change::Delete { key } => {
                self.collection(tenant, collection)?;
                self.check_expect(tenant, collection, &key, expect)?;
                self.prepare_delete(tenant, collection, key, overlay)?
            }
        };
        Ok(Draft { redo })
    }

    /// Checks a write that is a batch of its own. Answers what is to be logged, its own record last;
    /// nothing if the key to be deleted is not there.
    pub(crate) fn prepare_alone(
        &self,
        tenant: TenantId,
        write: Write,
    ) -> Result<Vec<Redo>, DataError> {
        let mut overlay = Overlay::default();
        let Some(redo) = self.prepare(tenant, write, &mut overlay)?.redo else {
            return Ok(Vec::new());
        };
        let mut redos = self.check_unique(tenant, &overlay.fields)?;
        redos.push(redo);
        Ok(redos)
    }

    /// Checks all writes of a group's part, in order.
    pub(crate) fn prepare_part(
        &self,
        tenant: TenantId,
        part: GroupPart,
    ) -> Result<(Vec<Redo>, PreparedPart), DataError> {
        let mut overlay = Overlay::default();
        let mut redos = Vec::with_capacity(part.writes.len());
        let mut prepared = PreparedPart {
            vshard: self.id,
            payloads: Vec::with_capacity(part.writes.len()),
            writes: Vec::with_capacity(part.writes.len()),
        };
        for (place, write) in part.writes {
            let draft = self.prepare(tenant, write, &mut overlay)?;
            let record = draft.redo.is_some().then_some(redos.len() as u64);
            prepared.writes.push((place, record));
            redos.extend(draft.redo);
        }
        let mut all = self.check_unique(tenant, &overlay.fields)?;
        let before = all.len() as u64;
        for (_, record) in &mut prepared.writes {
            *record = record.map(|record| record + before);
        }
        all.append(&mut redos);
        prepared.payloads.extend(all.iter().map(|redo| (redo.kind().code(), redo.encode())));
        Ok((all, prepared))
    }

    fn prepare_delete(
        &self,
        tenant: TenantId,
        collection: CollectionId,
        key: Bytes,
        overlay: &mut Overlay,
    ) -> Result<Option<Redo>, DataError> {
        let schema = self.collection(tenant, collection)?;
        let place = Place { tenant, collection, key: &key };
        let document = DataError::document(self.id);
        let mut crdt = None;
        let stored = if schema.kind == CollectionKind::Crdt {
            let rows = self.engines.documents.crdt_rows(&place, ReadAt::Latest);
            crdt = rows.map_err(document)?.map(|(_, rows)| rows);
            crdt.is_some()
        } else {
            let row = self.engines.documents.get(&place, ReadAt::Latest);
            row.map_err(document)?.is_some()
        };
        let earlier = overlay.keys.insert((collection, key.clone()), false);
        if !earlier.unwrap_or(stored) {
            return Ok(None);
        }
        let fields = self.field_changes(schema, &key, None, &mut overlay.fields)?;
        let vectors = schema.vectors.iter().map(|index| index.id).collect();
        Ok(Some(Redo::Delete { collection, key, vectors, crdt, fields }))
    }

    fn check_expect(
        &self,
        tenant: TenantId,
        collection: CollectionId,
        key: &[u8],
        expect: Option<Expect>,
    ) -> Result<(), DataError> {
        let wanted = match expect {
            None => return Ok(()),
            Some(Expect::Present) => {
                return match self.stamp_of(tenant, collection, key)? {
                    Some(_) => Ok(()),
                    None => {
                        Err(DataError::NoSuchKey { collection, key: Bytes::copy_from_slice(key) })
                    }
                };
            }
            Some(Expect::Absent) => None,
            Some(Expect::Stamp(stamp)) => Some(stamp),
        };
        let found = self.stamp_of(tenant, collection, key)?;
        if found == wanted {
            return Ok(());
        }
        Err(DataError::Conflict { found })
    }

    fn stamp_of(
        &self,
        tenant: TenantId,
        collection: CollectionId,
        key: &[u8],
    ) -> Result<Option<Stamp>, DataError> {
        let place = Place { tenant, collection, key };
        let row = self.engines.documents.get(&place, ReadAt::Latest);
        let row = row.map_err(DataError::document(self.id))?;
        Ok(row.map(|row| row.stamp))
    }
}

/// The entries that a put logs: the caller's, or, if its catalog was older or newer than this one, those
/// that the value has. Were such a put refused to be sent again, it would overtake the puts of the same
/// caller behind it.
fn fitting(
    schema: &Collection,
    key: &Bytes,
    value: &[u8],
    entries: Entries,
) -> Result<Entries, DataError> {
    let checked = check_put(schema, &entries.vectors)
        .and_then(|()| named_once(schema, entries.fields.clone()).map(drop));
    match checked {
        Err(DataError::WrongIndex { .. }) if schema.kind == CollectionKind::Document => {
            Entries::of(schema, value).map_err(|error| DataError::unindexable(key, error))
        }
        checked => checked.map(|()| entries),
    }
}

/// A put names each vector index of its collection once, with a vector that can be searched: redo is
/// replayed without a catalog, so nothing else may ever be logged.
fn check_put(schema: &Collection, vectors: &[VectorChange]) -> Result<(), DataError> {
    if schema.kind == CollectionKind::Crdt {
        return Err(DataError::WrongKind { kind: schema.kind.name(), operation: "puts" });
    }
    let wrong = |index: IndexId| DataError::WrongIndex { collection: schema.id, index };
    for index in &schema.vectors {
        let mut named = vectors.iter().filter(|change| change.index == index.id);
        let (Some(change), None) = (named.next(), named.next()) else {
            return Err(wrong(index.id));
        };
        if let Some(vector) = &change.vector {
            check_fit(schema.id, index, vector)?;
        }
    }
    let known = |id| schema.vectors.iter().any(|index| index.id == id);
    match vectors.iter().find(|change| !known(change.index)) {
        Some(change) => Err(wrong(change.index)),
        None => Ok(()),
    }
}

/// Whether an index takes a vector, to be kept or to be looked for.
pub(super) fn check_fit(
    collection: CollectionId,
    index: &VectorIndex,
    vector: &[f32],
) -> Result<(), DataError> {
    if usize::try_from(index.dimensions) != Ok(vector.len()) {
        return Err(DataError::WrongIndex { collection, index: index.id });
    }
    check_vector(index.dimensions, index.metric, vector)
        .map_err(|source| DataError::Vector { index: index.id, source })
}
