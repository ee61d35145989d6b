//! Indexes of a collection: adding, dropping, describing.

use crate::{
    Collection, Error, FieldPath, IndexProgress, NewIndex, VectorField,
    index_build::{IndexBuild, OnProgress},
};
use nodedb_engine::{
    CatalogChange, Collection as Definition, CollectionKind, FieldIndex, Index, IndexState, Metric,
    VectorIndex, VectorStorage,
};
use nodedb_types::{IndexId, Lsn};
use std::ops::ControlFlow;

/// An index of a collection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IndexInfo {
    /// The field or path that it is over, by which it is named.
    pub over: String,
    /// What it finds.
    pub kind: IndexKind,
    /// Whether it may be read.
    pub state: IndexState,
    /// Why its building, which the last process began, does not get on; it is tried again, at the latest
    /// every five minutes. Mend what it says, or drop the index.
    pub failure: Option<String>,
}

/// What an index finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IndexKind {
    /// Nearest vectors.
    Vector {
        /// Numbers per vector.
        dimensions: u32,
        /// How distance is measured.
        metric: Metric,
        /// How its segments keep numbers.
        storage: VectorStorage,
    },
    /// Values of a path, in their order.
    Field {
        /// Whether no two documents may have the same value.
        unique: bool,
    },
}

impl Collection {
    /// Adds an index and waits until every document is in it. Writes and reads go on meanwhile: from the
    /// first moment every write keeps the index, and the documents from before are added in slices
    /// between the requests of others. Durable on return. A process that ends before leaves the
    /// building to the next open.
    ///
    /// # Errors
    /// [`Error::Catalog`] if there is such an index, [`Error::Admission`] and
    /// [`Error::WrongCollectionKind`] if it cannot be: nothing was done. [`Error::Data`] names a key
    /// whose document it cannot take, in which case, as after every other failure, it is dropped again;
    /// [`Error::IndexDropped`] if somebody else did.
    pub fn add_index(&self, new: NewIndex) -> Result<IndexInfo, Error> {
        self.add_index_with(new, &mut |_| ControlFlow::Continue(()))
    }

    /// The same, saying how far it is. Where `progress` answers [`ControlFlow::Break`] the index is given
    /// up.
    ///
    /// # Errors
    /// As [`Collection::add_index`]; [`Error::IndexCancelled`] if `progress` gave it up.
    pub fn add_index_with(
        &self,
        new: NewIndex,
        progress: &mut dyn FnMut(IndexProgress) -> ControlFlow<()>,
    ) -> Result<IndexInfo, Error> {
        let inner = self.inner();
        inner.check_open()?;
        let (_lsn, (definition, index)) = inner.schema.change(|catalog| {
            let definition = self.definition_in(catalog).clone();
            check_kind(&definition)?;
            let (_, _, id) = catalog.next_ids();
            let index = new.into_index(id, IndexState::Building);
            inner.admission.index(&index)?;
            let create =
                CatalogChange::CreateIndex { collection: definition.id, index: index.clone() };
            catalog.check(&create)?;
            Ok((vec![create], (definition, index)))
        })?;
        let progress: OnProgress<'_> = progress;
        IndexBuild { schema: &inner.schema, of: &definition, index: &index }.run(progress)?;
        Ok(IndexInfo { state: IndexState::Ready, ..IndexInfo::of(&index) })
    }

    /// Drops the index over a field or path; both where a vector index and another one are over it.
    /// Durable on return.
    ///
    /// # Errors
    /// [`Error::NoIndex`] if there is none.
    pub fn drop_index(&self, over: &str) -> Result<Lsn, Error> {
        let inner = self.inner();
        inner.check_open()?;
        let (lsn, ()) = inner.schema.change(|catalog| {
            let definition = self.definition_in(catalog);
            let named = indexes(definition).filter(|index| index.over() == over);
            let drop = |index: Index| CatalogChange::DropIndex {
                collection: definition.id,
                index: index.id(),
            };
            let drops: Vec<_> = named.map(drop).collect();
            if drops.is_empty() {
                return Err(no_index(definition, over, IndexWanted::Any));
            }
            drops.iter().try_for_each(|change| catalog.check(change))?;
            Ok((drops, ()))
        })?;
        Ok(lsn)
    }

    /// Its indexes, as they are now.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn indexes(&self) -> Result<Vec<IndexInfo>, Error> {
        self.inner().check_open()?;
        let catalog = self.inner().sender.data.catalog();
        let schema = &self.inner().schema;
        Ok(indexes(self.definition_in(&catalog)).map(|index| schema.info(&index)).collect())
    }
}

impl IndexInfo {
    pub(crate) fn of(index: &Index) -> Self {
        let over = index.over().to_owned();
        let kind = match index {
            Index::Vector(VectorIndex { dimensions, metric, storage, .. }) => {
                let (dimensions, metric, storage) = (*dimensions, *metric, *storage);
                IndexKind::Vector { dimensions, metric, storage }
            }
            Index::Field(index) => IndexKind::Field { unique: index.unique },
        };
        Self { over, kind, state: index.state(), failure: None }
    }
}

impl NewIndex {
    /// As the catalog has it.
    pub(crate) fn into_index(self, id: IndexId, state: IndexState) -> Index {
        match self {
            Self::Vector(VectorField { field, dimensions, metric, storage }) => {
                Index::Vector(VectorIndex { id, field, dimensions, metric, storage, state })
            }
            Self::Field(FieldPath { path, unique }) => {
                Index::Field(FieldIndex { id, path, unique, state })
            }
        }
    }
}

/// All indexes of a collection, in the order of their ids.
pub(crate) fn indexes(definition: &Definition) -> impl Iterator<Item = Index> {
    let mut ids: Vec<_> = definition.index_ids().collect();
    ids.sort_unstable();
    ids.into_iter().filter_map(|id| definition.index(id))
}

pub(crate) fn check_kind(definition: &Definition) -> Result<(), Error> {
    if definition.kind == CollectionKind::Document {
        return Ok(());
    }
    Err(Error::WrongCollectionKind {
        collection: definition.name.to_string(),
        kind: definition.kind.name(),
        message: "only collections of documents have indexes",
    })
}

/// Which index was looked for in vain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum IndexWanted {
    Any,
    Vector,
}

pub(crate) fn no_index(definition: &Definition, field: &str, wanted: IndexWanted) -> Error {
    let fits = |index: &Index| wanted == IndexWanted::Any || matches!(index, Index::Vector(_));
    let there = indexes(definition).filter(fits);
    let fields: Vec<_> = there.map(|index| format!("`{}`", index.over())).collect();
    let indexed = if fields.is_empty() { "none".to_owned() } else { fields.join(", ") };
    Error::NoIndex {
        collection: definition.name.to_string(),
        field: field.chars().take(80).collect(),
        what: if wanted == IndexWanted::Any { "index" } else { "vector index" },
        indexed,
    }
}
