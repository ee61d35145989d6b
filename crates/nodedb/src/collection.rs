//! A collection: put, get, delete.

use crate::{
    Database, Document, Error, Expect, Pending, ReadOptions, WriteOptions, Written,
    database::Inner, idempotency::Refusal,
};
use bytes::Bytes;
use nodedb_data::{Change, Entries, Op, Outcome, Row, Write};
use nodedb_document::json;
use nodedb_engine::{Catalog, Collection as Definition, CollectionKind};
use nodedb_types::{Lsn, Version, VshardId};
use serde::Serialize;
use std::sync::Arc;

/// A collection; a handle that is cheap to clone.
///
/// Reads see every write that was acknowledged before they began (linearisable), and never one that
/// could still be lost. Writes are answered as the database's durability says, by default when they
/// are on stable storage.
#[derive(Clone, Debug)]
pub struct Collection {
    pub(crate) database: Database,
    pub(crate) definition: Definition,
}

impl Collection {
    pub(crate) const fn new(database: Database, definition: Definition) -> Self {
        Self { database, definition }
    }

    /// What it is now: indexes come and go while a handle lives. Of a dropped collection, what it was; the
    /// cores refuse it.
    pub(crate) fn definition_in<'a>(&'a self, catalog: &'a Catalog) -> &'a Definition {
        catalog.get(self.definition.id).unwrap_or(&self.definition)
    }

    pub(crate) const fn definition(&self) -> &Definition {
        &self.definition
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.database.inner
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.definition.name.as_str()
    }

    /// What it holds.
    pub const fn kind(&self) -> CollectionKind {
        self.definition.kind
    }

    pub(crate) fn vshard(&self, key: &[u8]) -> VshardId {
        let definition = &self.definition;
        self.inner().routing.vshard(definition.id, definition.partitions, key)
    }

    pub(crate) fn vshards(&self) -> impl Iterator<Item = VshardId> + use<> {
        let definition = &self.definition;
        self.inner().routing.partitions(definition.id, definition.partitions)
    }

    pub(crate) fn send<T>(
        &self,
        vshard: VshardId,
        op: Op,
        conclude: impl FnOnce(Outcome) -> Result<T, Error> + Send + 'static,
    ) -> Result<Pending<T>, Error> {
        self.inner().send(self.definition.tenant, vshard, op, conclude)
    }

    pub(crate) fn document(&self) -> impl Fn(Row) -> Document + Send + use<> {
        let incarnation = self.inner().identity.incarnation;
        move |row| Document {
            key: row.key,
            version: Version::new(incarnation, row.stamp),
            value: row.value,
        }
    }

    /// Writes a value as a JSON document.
    ///
    /// # Errors
    /// As [`Collection::put_raw`].
    pub fn put(&self, key: impl AsRef<[u8]>, value: &impl Serialize) -> Result<Written, Error> {
        let json = serde_json::to_vec(value)
            .map_err(|error| Error::NotJson { message: error.to_string() })?;
        self.put_raw(key, &json, WriteOptions::default())
    }

    /// Writes JSON text, kept digit for digit, or the bytes of a bytes collection.
    ///
    /// # Errors
    /// [`Error::Document`] if it is not JSON, [`Error::Entry`] if a field does not hold what an index over
    /// it takes;
    /// [`Error::Admission`] and [`Error::InvalidOption`] if key, value or options are out of range, or, with
    /// kind `NoSpace`, if the tenant has as many bytes as it may; [`Error::Data`] with kind `Conflict` if
    /// the expectation does not hold, `NoSpace` if nothing was done, `Busy` if nothing could be done
    /// until the request deadline; [`Error::Timeout`]
    /// with the outcome unknown.
    pub fn put_raw(
        &self,
        key: impl AsRef<[u8]>,
        value: &[u8],
        options: WriteOptions,
    ) -> Result<Written, Error> {
        let key = key.as_ref();
        self.inner().patiently(|| self.put_async(key, value, options)?.wait())
    }

    /// Begins to write; the answer is waited for or awaited. Writes that are begun one after another
    /// by one caller are applied in that order.
    ///
    /// # Errors
    /// What [`Collection::put_raw`] refuses before anything is sent. Kind `Busy`, now or in the answer,
    /// means that nothing was done: the caller, who knows the order of its writes, sends it again.
    pub fn put_async(
        &self,
        key: impl AsRef<[u8]>,
        value: &[u8],
        options: WriteOptions,
    ) -> Result<Pending<Written>, Error> {
        let key = Bytes::copy_from_slice(key.as_ref());
        let catalog = self.inner().sender.data.catalog();
        let definition = self.definition_in(&catalog);
        let value = self.inner().admit_value(definition, &key, value)?;
        let mut refusal = Refusal::default();
        let entries = self.inner().admit_entries(definition, &key, &value);
        let Entries { vectors, fields } = refusal.note(entries, options.idempotency)?;
        let room = self.inner().room(self.definition.tenant, key.len() + value.len());
        let room = refusal.note(room, options.idempotency)?;
        let vshard = self.vshard(&key);
        let expires = options.expires(self.inner().sender.data.commit_ms())?;
        let change = Change::Put { key, value, expires, vectors, fields };
        self.write(vshard, (change, refusal), options, move |stamp, version| {
            drop(room);
            let stamp = stamp.ok_or_else(|| Error::internal("a put wrote nothing"))?;
            Ok(Written { lsn: stamp.lsn, version: version(stamp) })
        })
    }

    /// The document under a key.
    ///
    /// # Errors
    /// [`Error::Admission`], [`Error::Data`].
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Document>, Error> {
        self.get_with(key, ReadOptions::default())
    }

    /// The same with options.
    ///
    /// # Errors
    /// As [`Collection::get`].
    pub fn get_with(
        &self,
        key: impl AsRef<[u8]>,
        options: ReadOptions,
    ) -> Result<Option<Document>, Error> {
        let key = key.as_ref();
        self.inner().patiently(|| self.begin_get(key, options)?.wait())
    }

    /// Begins to read.
    ///
    /// # Errors
    /// As [`Collection::get`].
    pub fn get_async(&self, key: impl AsRef<[u8]>) -> Result<Pending<Option<Document>>, Error> {
        self.begin_get(key.as_ref(), ReadOptions::default())
    }

    fn begin_get(
        &self,
        key: &[u8],
        ReadOptions { consistency }: ReadOptions,
    ) -> Result<Pending<Option<Document>>, Error> {
        let key = Bytes::copy_from_slice(key);
        self.inner().admission.key(&key)?;
        let vshard = self.vshard(&key);
        let collection = self.definition.id;
        let op = Op::Get { collection, key, consistency };
        let document = self.document();
        self.send(vshard, op, move |outcome| {
            let Outcome::Value(row) = outcome else {
                return Err(Error::mismatched("get"));
            };
            Ok(row.map(document))
        })
    }

    /// Removes a key.
    ///
    /// # Errors
    /// [`Error::NoDocument`] if there is none; otherwise as [`Collection::put_raw`].
    pub fn delete(&self, key: impl AsRef<[u8]>, options: WriteOptions) -> Result<Lsn, Error> {
        let key = key.as_ref();
        self.inner().patiently(|| self.delete_async(key, options)?.wait())
    }

    /// Begins to remove a key.
    ///
    /// # Errors
    /// As [`Collection::delete`].
    pub fn delete_async(
        &self,
        key: impl AsRef<[u8]>,
        options: WriteOptions,
    ) -> Result<Pending<Lsn>, Error> {
        let key = Bytes::copy_from_slice(key.as_ref());
        self.inner().admission.key(&key)?;
        let vshard = self.vshard(&key);
        let (name, missing) = (self.name().to_owned(), key.clone());
        let room = self.inner().room(self.definition.tenant, 0)?;
        let change = (Change::Delete { key }, Refusal::default());
        self.write(vshard, change, options, move |stamp, _| {
            drop(room);
            stamp.map(|stamp| stamp.lsn).ok_or_else(|| Error::no_document(&name, &missing))
        })
    }

    fn write<T>(
        &self,
        vshard: VshardId,
        (change, refusal): (Change, Refusal),
        options: WriteOptions,
        conclude: impl FnOnce(Option<nodedb_types::Stamp>, Versions) -> Result<T, Error>
        + Send
        + 'static,
    ) -> Result<Pending<T>, Error> {
        let inner = self.inner();
        let expect = options.expect.map(|expect| inner.expect(expect)).transpose()?;
        let durability = options.durability.unwrap_or(inner.identity.durability);
        let attempt = refusal.attempt();
        let op = Op::Write(Write {
            collection: self.definition.id,
            change,
            expect,
            durability,
            idempotency: options.idempotency.map(|id| id.key(inner.env.clock.unix_ms(), attempt)),
        });
        let incarnation = inner.identity.incarnation;
        self.send(vshard, op, move |outcome| {
            if matches!(outcome, Outcome::NeverDone) {
                return Err(refusal.into_error());
            }
            let Outcome::Written(written) = outcome else {
                return Err(Error::mismatched("write"));
            };
            let version: Versions = Box::new(move |stamp| Version::new(incarnation, stamp));
            conclude(written.stamp, version)
        })
    }
}

type Versions = Box<dyn Fn(nodedb_types::Stamp) -> Version>;

impl Inner {
    /// A value as it is stored. Together with [`Inner::admit_entries`] everything that could make a put fail,
    /// before it is sent: a record that could not be replayed must never be logged.
    pub(crate) fn admit_value(
        &self,
        definition: &Definition,
        key: &[u8],
        value: &[u8],
    ) -> Result<Bytes, Error> {
        self.admission.write(key, value.len())?;
        let value = match definition.kind {
            CollectionKind::Crdt => return Err(not_for_crdt(definition)),
            CollectionKind::Bytes => return Ok(Bytes::copy_from_slice(value)),
            CollectionKind::Document => json::canonical(value)?,
        };
        self.admission.write(key, value.len())?;
        Ok(value)
    }

    /// What the indexes of a collection learn from a value, which depends on the indexes that there are.
    pub(crate) fn admit_entries(
        &self,
        definition: &Definition,
        key: &[u8],
        value: &Bytes,
    ) -> Result<Entries, Error> {
        if definition.kind != CollectionKind::Document {
            return Ok(Entries::default());
        }
        let entries = Entries::of(definition, value)?;
        self.admission.write(key, value.len() + entries.bytes())?;
        Ok(entries)
    }

    /// An expectation as the data plane checks it. One of another history never holds.
    pub(crate) fn expect(&self, expect: Expect) -> Result<nodedb_data::Expect, Error> {
        match expect {
            Expect::Absent => Ok(nodedb_data::Expect::Absent),
            Expect::Version(version) if version.incarnation() == self.identity.incarnation => {
                Ok(nodedb_data::Expect::Stamp(version.stamp()))
            }
            Expect::Version(_) => Err(Error::WrongHistory { what: "expected version" }),
        }
    }
}

/// Numbers per vector; the catalog holds none that a `usize` does not.
pub(crate) fn dimensions(index: &nodedb_engine::VectorIndex) -> usize {
    usize::try_from(index.dimensions).unwrap_or(usize::MAX)
}

pub(crate) fn not_for_crdt(definition: &Definition) -> Error {
    Error::WrongCollectionKind {
        collection: definition.name.to_string(),
        kind: definition.kind.name(),
        message: "merge updates into its documents instead of putting values",
    }
}
