//! The data of one tenant: collections and atomic batches.

use crate::{
    BatchOp, BatchOptions, BatchWritten, Collection, Database, Error, IndexInfo, NewCollection,
    database::Inner,
    index::{check_kind, indexes},
    statistics::Question,
};
use nodedb_engine::{
    Catalog, CatalogChange, Collection as Definition, CollectionKind, Index, IndexState,
};
use nodedb_types::{IndexId, Lsn, Name, TenantId};

/// The data of one tenant; a handle that is cheap to clone. No call of it ever reaches the data of
/// another one.
#[derive(Clone, Debug)]
pub struct Tenant {
    database: Database,
    name: Option<Name>,
}

/// What a collection is.
#[derive(Clone, PartialEq, Debug)]
pub struct CollectionInfo {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: CollectionKind,
    /// Over how many vshards its keys are spread.
    pub partitions: u16,
    /// How many keys it has.
    pub documents: u64,
    /// Bytes of its keys.
    pub key_bytes: u64,
    /// Stored bytes of its values; of CRDT documents those of their snapshots and updates.
    pub value_bytes: u64,
    /// Its indexes.
    pub indexes: Vec<IndexInfo>,
}

impl Tenant {
    pub(crate) fn new(database: Database, name: Option<&str>) -> Result<Self, Error> {
        let name = name.map(Name::new).transpose()?;
        Ok(Self { database, name })
    }

    pub(crate) fn inner(&self) -> &std::sync::Arc<Inner> {
        &self.database.inner
    }

    /// Its id, if it has had a collection.
    pub(crate) fn id(&self) -> Result<TenantId, Error> {
        let catalog = self.inner().sender.data.catalog();
        catalog.tenant(self.name.as_ref()).ok_or_else(|| Error::NoTenant {
            name: self.name.as_ref().map(ToString::to_string).unwrap_or_default(),
        })
    }

    /// A collection by name.
    ///
    /// # Errors
    /// [`Error::Catalog`] if there is none, [`Error::NoTenant`].
    pub fn collection(&self, name: &str) -> Result<Collection, Error> {
        self.inner().check_open()?;
        let tenant = self.id()?;
        let definition = self.inner().sender.data.catalog().find(tenant, name)?.clone();
        Ok(Collection::new(self.database.clone(), definition))
    }

    /// The collections, in the order of their creation.
    ///
    /// # Errors
    /// [`Error::NoTenant`], [`Error::Data`].
    pub fn collections(&self) -> Result<Vec<CollectionInfo>, Error> {
        self.inner().check_open()?;
        let tenant = self.id()?;
        let catalog = self.inner().sender.data.catalog();
        catalog.of(tenant).map(|definition| self.info(definition)).collect()
    }

    fn info(&self, definition: &Definition) -> Result<CollectionInfo, Error> {
        let inner = self.inner();
        let question = Question { schema: &inner.schema };
        let statistics = inner.patiently(|| question.statistics(definition))?;
        Ok(CollectionInfo {
            name: definition.name.to_string(),
            kind: definition.kind,
            partitions: definition.partitions,
            documents: statistics.documents,
            key_bytes: statistics.key_bytes,
            value_bytes: statistics.value_bytes,
            indexes: indexes(definition).map(|index| inner.schema.info(&index)).collect(),
        })
    }

    /// Creates a collection. Durable on return, on every vshard or on none.
    ///
    /// # Errors
    /// [`Error::Catalog`] if one of that name exists, [`Error::Admission`] and [`Error::Name`] if a
    /// part is out of range, [`Error::WrongCollectionKind`] for an index on anything but documents.
    pub fn create_collection(&self, new: NewCollection) -> Result<CollectionInfo, Error> {
        let inner = self.inner();
        inner.check_open()?;
        let name = Name::new(&new.name)?;
        let (_lsn, definition) = inner.schema.change(|catalog| {
            let definition = self.definition(catalog, name, new)?;
            Ok((self.creation(catalog, &definition)?, definition))
        })?;
        self.info(&definition)
    }

    fn definition(
        &self,
        catalog: &Catalog,
        name: Name,
        new: NewCollection,
    ) -> Result<Definition, Error> {
        let inner = self.inner();
        let (next_tenant, id, next_index) = catalog.next_ids();
        let partitions = new.partitions.unwrap_or(inner.identity.vshards);
        let ids = (next_index.get()..).map(IndexId::new);
        let indexes = new.indexes.into_iter().zip(ids);
        let indexes = indexes.map(|(new, id)| new.into_index(id, IndexState::Ready));
        let indexes: Vec<_> = indexes.collect();
        inner.admission.collection(partitions, &indexes)?;
        let tenant = catalog.tenant(self.name.as_ref()).unwrap_or(next_tenant);
        inner.admission.one_more_collection(catalog.of(tenant).count())?;
        let mut definition = Definition {
            id,
            tenant,
            name,
            kind: new.kind,
            partitions,
            vectors: Vec::new(),
            fields: Vec::new(),
        };
        for index in indexes {
            check_kind(&definition)?;
            match index {
                Index::Vector(index) => definition.vectors.push(index),
                Index::Field(index) => definition.fields.push(index),
            }
        }
        Ok(definition)
    }

    fn creation(
        &self,
        catalog: &Catalog,
        definition: &Definition,
    ) -> Result<Vec<CatalogChange>, Error> {
        let mut changes = Vec::new();
        if let (None, Some(name)) = (catalog.tenant(self.name.as_ref()), self.name.clone()) {
            changes.push(CatalogChange::CreateTenant { id: definition.tenant, name });
        }
        let create = CatalogChange::CreateCollection(definition.clone());
        catalog.check(&create)?;
        changes.push(create);
        Ok(changes)
    }

    /// Drops a collection with all that is in it. Durable on return; its id is never used again.
    ///
    /// # Errors
    /// [`Error::Catalog`] if there is none of that name.
    pub fn drop_collection(&self, name: &str) -> Result<Lsn, Error> {
        let inner = self.inner();
        inner.check_open()?;
        let tenant = self.id()?;
        let (lsn, ()) = inner.schema.change(|catalog| {
            let definition = catalog.find(tenant, name)?;
            let indexes = definition.index_ids().collect();
            Ok((vec![CatalogChange::DropCollection { id: definition.id, indexes }], ()))
        })?;
        // Given back at once: whatever the tenant writes next may need it.
        drop(inner.room(tenant, 0)?);
        Ok(lsn)
    }

    /// Writes all or nothing, over any of the tenant's collections. Answered as the database's
    /// durability says.
    ///
    /// # Errors
    /// [`Error::Data`] with kind `Conflict` if an expectation does not hold: nothing was written;
    /// [`Error::Admission`], [`Error::Document`] if an operation is refused; [`Error::NoDocument`]
    /// for a delete of a missing key: nothing was written.
    pub fn batch(&self, operations: &[BatchOp]) -> Result<BatchWritten, Error> {
        self.batch_with(operations, BatchOptions::default())
    }

    /// The same with options.
    ///
    /// # Errors
    /// As [`Tenant::batch`]; [`Error::Data`] with kind `Conflict` or `IdempotencyExpired` as
    /// [`IdempotencyId`](crate::IdempotencyId) says.
    pub fn batch_with(
        &self,
        operations: &[BatchOp],
        options: BatchOptions,
    ) -> Result<BatchWritten, Error> {
        crate::batch::write(self, operations, options)
    }
}
