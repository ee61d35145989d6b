//! What the field indexes of a collection learn from writes, and that unique values stay unique.

use super::Vshard;
use crate::DataError;
use bytes::Bytes;
use nodedb_document::{
    Place, ReadAt, Stored,
    index::{FieldValue, stored_values},
};
use nodedb_engine::{Collection, FieldChange, FieldIndex, Redo};
use nodedb_types::{CollectionId, IndexId, Lsn, TenantId};
use std::collections::{BTreeMap, BTreeSet};

/// The documents of indexed collections that a batch writes or deletes.
#[derive(Debug, Default)]
pub(crate) struct FieldOverlay {
    touched: BTreeMap<(CollectionId, Bytes), Touched>,
}

/// What the indexes have of a document, in the order of the collection's indexes.
#[derive(Debug)]
struct Touched {
    /// Before the batch.
    before: Vec<FieldValue>,
    /// As the batch leaves it.
    after: Vec<FieldValue>,
}

impl Vshard {
    /// The entries that change with a write of a key. `after` is what the indexes have of the new
    /// document, in any order; nothing of a delete.
    pub(super) fn field_changes(
        &self,
        schema: &Collection,
        key: &Bytes,
        after: Option<Vec<FieldValue>>,
        overlay: &mut FieldOverlay,
    ) -> Result<Vec<FieldChange>, DataError> {
        let none = |index: &FieldIndex| FieldValue { index: index.id, value: None };
        let after = match after {
            Some(after) => named_once(schema, after)?,
            None => schema.fields.iter().map(none).collect(),
        };
        if schema.fields.is_empty() {
            return Ok(Vec::new());
        }
        let place = Place { tenant: schema.tenant, collection: schema.id, key };
        let at = (schema.id, key.clone());
        let before = match overlay.touched.get(&at) {
            Some(touched) => touched.after.clone(),
            None => match self.stored(&place)? {
                Some(stored) => self.fields_of(schema, &stored)?,
                None => schema.fields.iter().map(none).collect(),
            },
        };
        let changes = changes(&before, &after);
        match overlay.touched.get_mut(&at) {
            Some(touched) => touched.after = after,
            None => drop(overlay.touched.insert(at, Touched { before, after })),
        }
        Ok(changes)
    }

    /// Checks that the batch leaves every unique value with one document. What counts is the state that
    /// it leaves, so that two documents may exchange their values. Answers the deletes of expired
    /// documents that hold a value still, to be logged before the batch's own records.
    pub(super) fn check_unique(
        &self,
        tenant: TenantId,
        overlay: &FieldOverlay,
    ) -> Result<Vec<Redo>, DataError> {
        let mut taken: BTreeMap<(IndexId, &Bytes), &Bytes> = BTreeMap::new();
        let mut expired = BTreeSet::new();
        let mut deletes = Vec::new();
        for ((collection, key), touched) in &overlay.touched {
            let schema = self.collection(tenant, *collection)?;
            for (number, index) in schema.fields.iter().enumerate().filter(|(_, i)| i.unique) {
                let value = |values: &'_ [FieldValue]| values.get(number)?.value.clone();
                let Some(after) = touched.after.get(number).and_then(|after| after.value.as_ref())
                else {
                    continue;
                };
                let not_unique =
                    |key: Bytes| DataError::NotUnique { path: index.path.clone(), key };
                if let Some(other) = taken.insert((index.id, after), key) {
                    return Err(not_unique(other.clone()));
                }
                if value(&touched.before).as_ref() == Some(after) {
                    continue;
                }
                let place = Place { tenant, collection: *collection, key };
                let ours = |expired: &BTreeSet<_>, other: &[u8]| {
                    let other = (*collection, Bytes::copy_from_slice(other));
                    overlay.touched.contains_key(&other) || expired.contains(&other)
                };
                let holder = |expired: &BTreeSet<_>| {
                    let holder = &self.engines.documents;
                    let holder =
                        holder.holder(&place, index.id, after, |other| ours(expired, other));
                    holder.map_err(DataError::document(self.id))
                };
                while let Some(other) = holder(&expired)? {
                    let delete = self.delete_expired(schema, &other)?;
                    deletes.push(delete.ok_or_else(|| not_unique(other.clone()))?);
                    expired.insert((*collection, other));
                }
            }
        }
        Ok(deletes)
    }

    /// The delete of a document that has expired and is still stored; `None` of any other.
    pub(super) fn delete_expired(
        &self,
        schema: &Collection,
        key: &Bytes,
    ) -> Result<Option<Redo>, DataError> {
        let place = Place { tenant: schema.tenant, collection: schema.id, key };
        let shown = self.engines.documents.get(&place, ReadAt::Latest);
        if shown.map_err(DataError::document(self.id))?.is_some() {
            return Ok(None);
        }
        let Some(stored) = self.stored(&place)? else {
            return Ok(None);
        };
        self.delete_stored(schema, key, &stored).map(Some)
    }

    /// The delete of a document that is not a CRDT document, with everything that indexes hold of it.
    pub(super) fn delete_stored(
        &self,
        schema: &Collection,
        key: &Bytes,
        stored: &Stored,
    ) -> Result<Redo, DataError> {
        let mut fields = Vec::new();
        if !schema.fields.is_empty() {
            let before = self.fields_of(schema, stored)?;
            let gone = |value: &FieldValue| FieldValue { index: value.index, value: None };
            let after: Vec<_> = before.iter().map(gone).collect();
            fields = changes(&before, &after);
        }
        Ok(Redo::Delete {
            collection: schema.id,
            key: key.clone(),
            vectors: schema.vectors.iter().map(|index| index.id).collect(),
            fields,
            crdt: None,
        })
    }

    /// The field indexes that have everything as of a position.
    pub(super) fn usable<'s>(
        &self,
        schema: &'s Collection,
        snapshot: Option<Lsn>,
    ) -> Vec<&'s FieldIndex> {
        let ready = |index: &&FieldIndex| {
            let since = self.ready.get(&index.id);
            index.state == nodedb_engine::IndexState::Ready
                && since.is_none_or(|since| snapshot.is_none_or(|snapshot| *since <= snapshot))
        };
        schema.fields.iter().filter(ready).collect()
    }

    /// What is stored under a key, which its indexes have entries of whether it is shown or not.
    fn stored(&self, place: &Place<'_>) -> Result<Option<Stored>, DataError> {
        let stored = self.engines.documents.stored(place, ReadAt::Latest);
        stored.map_err(DataError::document(self.id))
    }

    fn fields_of(
        &self,
        schema: &Collection,
        stored: &Stored,
    ) -> Result<Vec<FieldValue>, DataError> {
        stored_values(&schema.fields, &stored.value).map_err(DataError::document(self.id))
    }
}

fn changes(before: &[FieldValue], after: &[FieldValue]) -> Vec<FieldChange> {
    assert!(before.len() == after.len(), "both have a value for each index");
    let both = before.iter().zip(after).filter(|(before, after)| before != after);
    let change = |(before, after): (&FieldValue, &FieldValue)| FieldChange {
        index: after.index,
        before: before.value.clone(),
        after: after.value.clone(),
    };
    both.map(change).collect()
}

/// A put names each field index of its collection once, or its catalog is not the one that holds. Puts
/// the values in the order of the indexes.
pub(super) fn named_once(
    schema: &Collection,
    mut values: Vec<FieldValue>,
) -> Result<Vec<FieldValue>, DataError> {
    let wrong = |index: IndexId| DataError::WrongIndex { collection: schema.id, index };
    let mut named = Vec::with_capacity(schema.fields.len());
    for index in &schema.fields {
        let at = values.iter().position(|value| value.index == index.id);
        named.push(values.swap_remove(at.ok_or_else(|| wrong(index.id))?));
    }
    // What is left is named twice or foreign.
    match values.first() {
        Some(value) => Err(wrong(value.index)),
        None => Ok(named),
    }
}
