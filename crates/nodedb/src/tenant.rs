//! The data of one tenant: collections and atomic batches.

use crate::{
    BatchOp, BatchWritten, Collection, Database, Error, NewCollection, VectorField, database::Inner,
};
use nodedb_data::{Change, Group, Op, Outcome, Part, Write};
use nodedb_engine::{
    CatalogChange, Collection as Definition, CollectionKind, IndexState, Metric, VectorIndex,
    VectorStorage,
};
use nodedb_types::{CollectionId, Durability, IndexId, Lsn, LsnRange, Name, TenantId};

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
    /// Its vector indexes.
    pub indexes: Vec<IndexInfo>,
}

/// A vector index of a collection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IndexInfo {
    /// The indexed field.
    pub field: String,
    /// Numbers per vector.
    pub dimensions: u32,
    /// How distance is measured.
    pub metric: Metric,
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
        let catalog = self.inner().data.catalog();
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
        let definition = self.inner().data.catalog().find(tenant, name)?.clone();
        Ok(Collection::new(self.database.clone(), definition))
    }

    /// The collections, in the order of their creation.
    ///
    /// # Errors
    /// [`Error::NoTenant`], [`Error::Data`].
    pub fn collections(&self) -> Result<Vec<CollectionInfo>, Error> {
        self.inner().check_open()?;
        let tenant = self.id()?;
        let catalog = self.inner().data.catalog();
        catalog.of(tenant).map(|definition| self.info(definition)).collect()
    }

    fn info(&self, definition: &Definition) -> Result<CollectionInfo, Error> {
        let indexes = definition.vectors.iter().map(|index| IndexInfo {
            field: index.field.clone(),
            dimensions: index.dimensions,
            metric: index.metric,
        });
        Ok(CollectionInfo {
            name: definition.name.to_string(),
            kind: definition.kind,
            partitions: definition.partitions,
            documents: self.inner().patiently(|| self.count(definition))?,
            indexes: indexes.collect(),
        })
    }

    fn count(&self, definition: &Definition) -> Result<u64, Error> {
        let inner = self.inner();
        let deadline = inner.env.clock.now() + inner.options.request_deadline;
        let Some(snapshot) = inner.data.snapshot_for_scan(deadline)? else {
            return Ok(0);
        };
        let (collection, lsn) = (definition.id, snapshot.lsn());
        let partitions = inner.routing.partitions(collection, definition.partitions);
        let counts: Vec<_> = partitions
            .map(|vshard| {
                let op = Op::Count { collection, filter: None, snapshot: lsn };
                inner.send(definition.tenant, vshard, op, |outcome| {
                    let Outcome::Count(count) = outcome else {
                        return Err(Error::mismatched("count"));
                    };
                    Ok(count)
                })
            })
            .collect::<Result<_, _>>()?;
        let total = counts.into_iter().map(crate::Pending::wait).sum::<Result<u64, _>>()?;
        snapshot.check()?;
        Ok(total)
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
        if !new.vectors.is_empty() && new.kind != CollectionKind::Document {
            return Err(Error::WrongCollectionKind {
                collection: new.name,
                kind: new.kind.name(),
                message: "only collections of documents have indexes",
            });
        }
        let _one_at_a_time = inner.schema.lock();
        let catalog = inner.data.catalog();
        let (next_tenant, id, next_index) = catalog.next_ids();
        let known = catalog.tenant(self.name.as_ref());
        let partitions = new.partitions.unwrap_or(inner.identity.vshards);
        let definition = Definition {
            id,
            tenant: known.unwrap_or(next_tenant),
            name,
            kind: new.kind,
            partitions,
            vectors: vector_indexes(next_index, new.vectors),
            fields: Vec::new(),
        };
        inner.admission.collection(partitions, &definition.vectors)?;
        let mut changes = Vec::new();
        if let (None, Some(name)) = (known, self.name.clone()) {
            changes.push(CatalogChange::CreateTenant { id: next_tenant, name });
        }
        let create = CatalogChange::CreateCollection(definition.clone());
        catalog.check(&create)?;
        changes.push(create);
        self.change_catalog(&changes)?;
        self.info(&definition)
    }

    /// Drops a collection with all that is in it. Durable on return; its id is never used again.
    ///
    /// # Errors
    /// [`Error::Catalog`] if there is none of that name.
    pub fn drop_collection(&self, name: &str) -> Result<Lsn, Error> {
        let inner = self.inner();
        inner.check_open()?;
        let tenant = self.id()?;
        let _one_at_a_time = inner.schema.lock();
        let definition = inner.data.catalog().find(tenant, name)?.clone();
        let indexes = definition.vectors.iter().map(|index| index.id).collect();
        self.change_catalog(&[CatalogChange::DropCollection { id: definition.id, indexes }])
    }

    /// Logs the changes for every vshard as one atomic group, so that no vshard ever sees a put to a
    /// collection before, or after, all the others do.
    /// Sent again while the database is busy: nothing was done by the tries before.
    fn change_catalog(&self, changes: &[CatalogChange]) -> Result<Lsn, Error> {
        self.inner().patiently(|| self.change_catalog_once(changes))
    }

    fn change_catalog_once(&self, changes: &[CatalogChange]) -> Result<Lsn, Error> {
        let inner = self.inner();
        let write = |change: &CatalogChange| Write {
            collection: CollectionId::new(0),
            change: Change::Catalog(change.clone()),
            expect: None,
            durability: Durability::Sync,
            idempotency: None,
        };
        let part = |vshard| Part { vshard, writes: changes.iter().map(write).collect() };
        let parts = inner.routing.all().map(part).collect();
        let group = Group { parts, durability: Durability::Sync, idempotency: None };
        let deadline = inner.env.clock.now() + inner.options.request_deadline;
        let ticket = inner.data.send_group(TenantId::SYSTEM, group, deadline)?;
        let pending = inner.pending(ticket, |outcome| {
            let Outcome::GroupWritten(written) = outcome else {
                return Err(Error::mismatched("catalog change"));
            };
            let last = written.lsns.and_then(LsnRange::last);
            last.ok_or_else(|| Error::internal("a catalog change wrote nothing"))
        });
        pending.wait()
    }

    /// Writes all or nothing, over any of the tenant's collections. Answered as the database's
    /// durability says.
    ///
    /// # Errors
    /// [`Error::Data`] with kind `Conflict` if an expectation does not hold: nothing was written;
    /// [`Error::Admission`], [`Error::Document`] if an operation is refused; [`Error::NoDocument`]
    /// for a delete of a missing key: nothing was written.
    pub fn batch(&self, operations: &[BatchOp]) -> Result<BatchWritten, Error> {
        crate::batch::write(self, operations)
    }
}

fn vector_indexes(next: IndexId, fields: Vec<VectorField>) -> Vec<VectorIndex> {
    let ids = (next.get()..).map(IndexId::new);
    let index = |(id, field): (IndexId, VectorField)| VectorIndex {
        id,
        field: field.field,
        dimensions: field.dimensions,
        metric: field.metric,
        storage: VectorStorage::default(),
        state: IndexState::Ready,
    };
    ids.zip(fields).map(index).collect()
}
