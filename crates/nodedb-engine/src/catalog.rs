//! The catalog: tenants, collections, drop markers and the counters of ids.

use crate::{
    CatalogChange, Collection, Index,
    collection::name,
    redo::{count, put_count},
};
use nodedb_types::{
    ByteReader, CollectionId, DecodeError, IndexId, Lsn, Name, TenantId, limits, put_bytes,
};
use std::collections::BTreeMap;

/// Everything known about names, as of one position of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Catalog {
    tenants: BTreeMap<Name, TenantId>,
    collections: BTreeMap<CollectionId, Created>,
    /// Drop markers: a redo of a marked collection below the marker is skipped, never refused.
    dropped: BTreeMap<CollectionId, Lsn>,
    next_tenant: u64,
    next_collection: u32,
    next_index: u32,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Created {
    at: Lsn,
    collection: Collection,
}

/// Why a change does not fit the catalog.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// The tenant has a collection of that name.
    #[error("collection `{name}` exists already: choose another name or drop it first")]
    Exists {
        /// Its name.
        name: Name,
    },
    /// No such collection.
    #[error("there is no collection `{name}`: create it first, or see `collection list`")]
    Missing {
        /// What was named.
        name: String,
    },
    /// The collection has an index over that field or path.
    #[error("`{name}` has an index over `{over}` already: drop it first")]
    IndexExists {
        /// The collection.
        name: Name,
        /// The field or path.
        over: String,
    },
    /// The collection has no such index.
    #[error("`{name}` has no such index: see `collection list`")]
    IndexMissing {
        /// The collection.
        name: Name,
    },
    /// The number of indexes has reached its limit.
    #[error("`{name}` has {limit} indexes, which is the limit: drop one first")]
    TooManyIndexes {
        /// The collection.
        name: Name,
        /// The limit.
        limit: usize,
    },
    /// A unique index over a collection of several partitions, none of which sees the others' values.
    #[error("`{name}` has {partitions} partitions, and a unique index needs one: create it with 1")]
    UniqueNeedsOnePartition {
        /// The collection.
        name: Name,
        /// Its partitions.
        partitions: u16,
    },
    /// The number of collections has reached its limit.
    #[error("{limit} collections exist, which is the limit: drop one first")]
    TooMany {
        /// The limit.
        limit: usize,
    },
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            tenants: BTreeMap::new(),
            collections: BTreeMap::new(),
            dropped: BTreeMap::new(),
            next_tenant: TenantId::DEFAULT.get() + 1,
            next_collection: 1,
            next_index: 1,
        }
    }
}

impl Catalog {
    /// The tenant of a name; without a name, the default one.
    pub fn tenant(&self, name: Option<&Name>) -> Option<TenantId> {
        name.map_or(Some(TenantId::DEFAULT), |name| self.tenants.get(name).copied())
    }

    /// A tenant's collection by name.
    ///
    /// # Errors
    /// [`CatalogError::Missing`].
    pub fn find(&self, tenant: TenantId, name: &str) -> Result<&Collection, CatalogError> {
        self.of(tenant)
            .find(|collection| collection.name.as_str() == name)
            .ok_or_else(|| CatalogError::Missing { name: name.to_owned() })
    }

    /// A collection by id, if it is not dropped.
    pub fn get(&self, id: CollectionId) -> Option<&Collection> {
        self.collections.get(&id).map(|created| &created.collection)
    }

    /// A tenant's collections, by id.
    pub fn of(&self, tenant: TenantId) -> impl Iterator<Item = &Collection> {
        self.all().filter(move |collection| collection.tenant == tenant)
    }

    /// All collections, by id.
    pub fn all(&self) -> impl Iterator<Item = &Collection> {
        self.collections.values().map(|created| &created.collection)
    }

    /// The collections that were dropped and whose keys may still be stored.
    pub fn dropped(&self) -> impl Iterator<Item = (CollectionId, Lsn)> {
        self.dropped.iter().map(|(id, lsn)| (*id, *lsn))
    }

    /// The ids that the next tenant, collection and index get.
    pub const fn next_ids(&self) -> (TenantId, CollectionId, IndexId) {
        (
            TenantId::new(self.next_tenant),
            CollectionId::new(self.next_collection),
            IndexId::new(self.next_index),
        )
    }

    /// Whether redo of a collection at this position belongs to this history (protocol rule P11):
    /// `Some(true)` apply it, `Some(false)` skip it since the collection was dropped later, `None`
    /// the id was never created below it, which is corruption.
    pub fn admits(&self, id: CollectionId, lsn: Lsn) -> Option<bool> {
        if let Some(created) = self.collections.get(&id) {
            return (created.at < lsn).then_some(true);
        }
        self.dropped.get(&id).filter(|dropped| **dropped > lsn).map(|_| false)
    }

    /// Whether the change may be logged now.
    ///
    /// # Errors
    /// [`CatalogError`] says what it collides with.
    pub fn check(&self, change: &CatalogChange) -> Result<(), CatalogError> {
        match change {
            CatalogChange::CreateTenant { name, .. } if self.tenants.contains_key(name) => {
                Err(CatalogError::Exists { name: name.clone() })
            }
            CatalogChange::CreateTenant { .. } => Ok(()),
            CatalogChange::CreateCollection(new) => {
                if self.find(new.tenant, new.name.as_str()).is_ok()
                    || self.collections.contains_key(&new.id)
                    || self.dropped.contains_key(&new.id)
                {
                    return Err(CatalogError::Exists { name: new.name.clone() });
                }
                let partitions = new.partitions;
                if partitions != 1 && new.fields.iter().any(|index| index.unique) {
                    let name = new.name.clone();
                    return Err(CatalogError::UniqueNeedsOnePartition { name, partitions });
                }
                if self.collections.len() >= limits::COLLECTIONS_MAX {
                    return Err(CatalogError::TooMany { limit: limits::COLLECTIONS_MAX });
                }
                Ok(())
            }
            CatalogChange::DropCollection { id, .. } => self.existing(*id).map(drop),
            CatalogChange::CreateIndex { collection, index } => {
                check_index(self.existing(*collection)?, index, self.next_index)
            }
            CatalogChange::IndexReady { collection, index }
            | CatalogChange::DropIndex { collection, index } => {
                let collection = self.existing(*collection)?;
                if collection.index_ids().any(|id| id == *index) {
                    return Ok(());
                }
                Err(CatalogError::IndexMissing { name: collection.name.clone() })
            }
        }
    }

    fn existing(&self, id: CollectionId) -> Result<&Collection, CatalogError> {
        self.get(id).ok_or_else(|| CatalogError::Missing { name: format!("with id {id}") })
    }

    /// Applies a logged change. Applying it again changes nothing.
    pub fn apply(&mut self, at: Lsn, change: &CatalogChange) {
        match change {
            CatalogChange::CreateTenant { id, name } => {
                self.tenants.insert(name.clone(), *id);
                self.next_tenant = self.next_tenant.max(id.get() + 1);
            }
            CatalogChange::CreateCollection(collection) => {
                let indexes = collection.index_ids().map(|id| id.get() + 1);
                self.next_index = indexes.fold(self.next_index, u32::max);
                self.next_collection = self.next_collection.max(collection.id.get() + 1);
                if !self.dropped.contains_key(&collection.id) {
                    let created = Created { at, collection: collection.clone() };
                    self.collections.insert(collection.id, created);
                }
            }
            CatalogChange::DropCollection { id, .. } => {
                self.collections.remove(id);
                self.dropped.entry(*id).or_insert(at);
            }
            CatalogChange::CreateIndex { collection, index } => {
                // Ids rise in the order of the log, so a lower one is a repetition, perhaps of an index
                // that was dropped since, whose rows may still be stored.
                if index.id().get() >= self.next_index {
                    self.next_index = index.id().get() + 1;
                    self.change(*collection, |collection| collection.add_index(index.clone()));
                }
            }
            CatalogChange::IndexReady { collection, index } => {
                self.change(*collection, |collection| collection.index_ready(*index));
            }
            CatalogChange::DropIndex { collection, index } => {
                self.change(*collection, |collection| collection.drop_index(*index));
            }
        }
    }

    /// Changes a collection, if it is still there.
    fn change(&mut self, id: CollectionId, change: impl FnOnce(&mut Collection)) {
        if let Some(created) = self.collections.get_mut(&id) {
            change(&mut created.collection);
        }
    }

    /// The bytes of the whole catalog.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&self.next_tenant.to_le_bytes());
        out.extend_from_slice(&self.next_collection.to_le_bytes());
        out.extend_from_slice(&self.next_index.to_le_bytes());
        put_count(&mut out, self.tenants.len());
        for (name, id) in &self.tenants {
            put_bytes(&mut out, name.as_str().as_bytes());
            out.extend_from_slice(&id.get().to_le_bytes());
        }
        put_count(&mut out, self.collections.len());
        for created in self.collections.values() {
            out.extend_from_slice(&created.at.get().to_le_bytes());
            created.collection.encode(&mut out);
        }
        put_count(&mut out, self.dropped.len());
        for (id, lsn) in &self.dropped {
            out.extend_from_slice(&id.get().to_le_bytes());
            out.extend_from_slice(&lsn.get().to_le_bytes());
        }
        out
    }

    /// Reads what [`Catalog::encode`] wrote.
    ///
    /// # Errors
    /// [`DecodeError`] for any other bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes);
        let next_tenant = reader.u64("next tenant id")?;
        let next_collection = reader.u32("next collection id")?;
        let next_index = reader.u32("next index id")?;
        let tenants = count(&mut reader, "tenant count", 12)?;
        let tenants = (0..tenants)
            .map(|_| {
                let name = name(&mut reader, "tenant name")?;
                Ok((name, TenantId::new(reader.u64("tenant id")?)))
            })
            .collect::<Result<_, DecodeError>>()?;
        let collections = count(&mut reader, "collection count", 35)?;
        let collections = (0..collections)
            .map(|_| {
                let at = reader.lsn("creation lsn")?;
                let collection = Collection::decode(&mut reader)?;
                Ok((collection.id, Created { at, collection }))
            })
            .collect::<Result<_, DecodeError>>()?;
        let dropped = count(&mut reader, "drop marker count", 12)?;
        let dropped = (0..dropped)
            .map(|_| Ok((CollectionId::new(reader.u32("dropped id")?), reader.lsn("drop lsn")?)))
            .collect::<Result<_, DecodeError>>()?;
        reader.finish()?;
        Ok(Self { tenants, collections, dropped, next_tenant, next_collection, next_index })
    }
}

/// Whether a collection may get this index. `next` is the id that no index had yet: an index that was
/// dropped must never come back under its old one, since its rows may still be stored.
fn check_index(collection: &Collection, index: &Index, next: u32) -> Result<(), CatalogError> {
    let name = || collection.name.clone();
    let over = index.over();
    let taken = match index {
        Index::Vector(_) => collection.vector_index(over).is_some(),
        Index::Field(_) => collection.field_index(over).is_some(),
    };
    if taken || index.id().get() < next {
        return Err(CatalogError::IndexExists { name: name(), over: over.to_owned() });
    }
    if collection.index_ids().count() >= limits::INDEXES_MAX {
        return Err(CatalogError::TooManyIndexes { name: name(), limit: limits::INDEXES_MAX });
    }
    let unique = matches!(index, Index::Field(field) if field.unique);
    if unique && collection.partitions != 1 {
        let partitions = collection.partitions;
        return Err(CatalogError::UniqueNeedsOnePartition { name: name(), partitions });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
