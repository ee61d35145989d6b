//! Atomic batches.

use crate::{Error, Expect, IdempotencyId, Tenant, database::Inner, idempotency::Refusal};
use bytes::Bytes;
use nodedb_data::{Change, DataError, Group, GroupWritten, Outcome, Part, Write};
use nodedb_engine::{Catalog, Collection as Definition};
use nodedb_types::{CollectionId, Lsn, LsnRange, Version, VshardId};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// One operation of an atomic batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BatchOp {
    /// Writes a value.
    Put {
        /// Into which collection.
        collection: String,
        /// Under which key.
        key: Vec<u8>,
        /// JSON text, or the bytes of a bytes collection.
        value: Vec<u8>,
        /// What the key must hold.
        expect: Option<Expect>,
    },
    /// Removes a key, which must be there.
    Delete {
        /// From which collection.
        collection: String,
        /// Which key.
        key: Vec<u8>,
        /// What it must hold; never [`Expect::Absent`].
        expect: Option<Expect>,
    },
}

/// How a batch is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BatchOptions {
    /// Makes it safe to send again. Default: each one that is sent is done.
    pub idempotency: Option<IdempotencyId>,
}

/// A batch that was written, whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BatchWritten {
    /// The last record of the batch.
    pub lsn: Lsn,
    /// The version of each operation's write, in their order; a delete's is that of its record.
    pub versions: Vec<Version>,
}

/// Where the operations went: the data plane answers in the order of parts and their writes.
struct Placed {
    parts: BTreeMap<VshardId, Vec<(usize, Write)>>,
    /// Bytes of keys and values that are put.
    stored_bytes: usize,
    /// Why it must not be done now, if its entries or all of them together say so.
    refusal: Refusal,
}

/// Sent again while the database is busy: nothing of a batch was done by the tries before.
pub(crate) fn write(
    tenant: &Tenant,
    operations: &[BatchOp],
    options: BatchOptions,
) -> Result<BatchWritten, Error> {
    let inner = tenant.inner();
    inner.check_open()?;
    inner.patiently(|| write_once(tenant, operations, options))
}

fn write_once(
    tenant: &Tenant,
    operations: &[BatchOp],
    options: BatchOptions,
) -> Result<BatchWritten, Error> {
    let inner = tenant.inner();
    let catalog = inner.sender.data.catalog();
    let placed = place(tenant, &catalog, operations, options.idempotency)?;
    let mut refusal = placed.refusal;
    let id = tenant.id()?;
    let room = refusal.note(inner.room(id, placed.stored_bytes), options.idempotency)?;
    let order: Vec<usize> = placed.parts.values().flatten().map(|(index, _)| *index).collect();
    let parts = placed.parts.into_iter().map(|(vshard, writes)| Part {
        vshard,
        writes: writes.into_iter().map(|(_, write)| write).collect(),
    });
    let durability = inner.identity.durability;
    let now_ms = inner.env.clock.unix_ms();
    let idempotency = options.idempotency.map(|id| id.key(now_ms, refusal.attempt()));
    let group = Group { parts: parts.collect(), durability, idempotency };
    let incarnation = inner.identity.incarnation;
    let pending = inner.sender.send_group(id, group, move |outcome| {
        drop(room);
        if matches!(outcome, Outcome::NeverDone) {
            return Err(refusal.into_error());
        }
        let Outcome::GroupWritten(written) = outcome else {
            return Err(Error::mismatched("batch"));
        };

        answer(&written, &order, |stamp| Version::new(incarnation, stamp))
    })?;
    pending.wait().map_err(|error| name_missing(&catalog, error))
}

fn absent_delete() -> Error {
    Error::InvalidOption {
        option: "expect",
        value: "absent".to_owned(),
        expected: "a version, since what is absent cannot be deleted".to_owned(),
    }
}

/// The cores know collections by their ids.
fn name_missing(catalog: &Catalog, error: Error) -> Error {
    let Error::Data(DataError::NoSuchKey { collection, key }) = &error else {
        return error;
    };
    let name = catalog.get(*collection).map(|definition| definition.name.as_str());
    Error::no_document(name.unwrap_or_default(), key)
}

/// Checks every operation and finds its vshard, before anything is sent.
fn place(
    tenant: &Tenant,
    catalog: &Catalog,
    operations: &[BatchOp],
    idempotency: Option<IdempotencyId>,
) -> Result<Placed, Error> {
    let inner = tenant.inner();
    let id = tenant.id()?;
    let mut keys: BTreeSet<(CollectionId, Bytes)> = BTreeSet::new();
    let mut sizes = Vec::new();
    let mut stored_bytes = 0;
    let mut refusal = Refusal::default();
    let mut parts: BTreeMap<VshardId, Vec<(usize, Write)>> = BTreeMap::new();
    for (index, operation) in operations.iter().enumerate() {
        let (name, key, value, expect) = match operation {
            BatchOp::Put { collection, key, value, expect } => {
                (collection, key, Some(value.as_slice()), *expect)
            }
            BatchOp::Delete { collection, key, expect } => (collection, key, None, *expect),
        };
        let definition = catalog.find(id, name)?;
        let key = Bytes::copy_from_slice(key);
        let mut change = change(inner, definition, key.clone(), value)?;
        let mut bytes = key.len();
        if let Change::Put { value, vectors, fields, .. } = &mut change {
            stored_bytes += key.len() + value.len();
            let entries = inner.admit_entries(definition, &key, value);
            let entries = refusal.note(entries, idempotency)?;
            bytes += value.len() + entries.bytes();
            (*vectors, *fields) = (entries.vectors, entries.fields);
        }
        sizes.push(bytes);
        if !keys.insert((definition.id, key.clone())) {
            let key = String::from_utf8_lossy(&key).into_owned();
            return Err(nodedb_control::AdmissionError::BatchKeyTwice { key }.into());
        }
        let expect = match (expect, &change) {
            // It must be there, and is judged so with everything else.
            (None, Change::Delete { .. }) => Some(nodedb_data::Expect::Present),
            (Some(Expect::Absent), Change::Delete { .. }) => return Err(absent_delete()),
            (expect, _) => expect.map(|expect| inner.expect(expect)).transpose()?,
        };
        let durability = inner.identity.durability;
        let write =
            Write { collection: definition.id, change, expect, durability, idempotency: None };
        let vshard = inner.routing.vshard(definition.id, definition.partitions, &key);
        parts.entry(vshard).or_default().push((index, write));
    }
    let fits = inner.admission.batch(sizes.into_iter()).map_err(Error::from);
    refusal.note(fits, idempotency)?;
    Ok(Placed { parts, stored_bytes, refusal })
}

/// The change of an operation, without the entries of indexes.
fn change(
    inner: &Arc<Inner>,
    definition: &Definition,
    key: Bytes,
    value: Option<&[u8]>,
) -> Result<Change, Error> {
    let Some(value) = value else {
        inner.admission.key(&key)?;
        return Ok(Change::Delete { key });
    };
    let value = inner.admit_value(definition, &key, value)?;
    Ok(Change::Put { key, value, expires: None, vectors: Vec::new(), fields: Vec::new() })
}

fn answer(
    written: &GroupWritten,
    order: &[usize],
    version: impl Fn(nodedb_types::Stamp) -> Version,
) -> Result<BatchWritten, Error> {
    let lsn = written.lsns.and_then(LsnRange::last);
    let lsn = lsn.ok_or_else(|| Error::internal("a batch wrote nothing"))?;
    assert!(written.writes.len() == order.len(), "a batch is answered for every operation");
    let mut versions: Vec<Option<Version>> = vec![None; order.len()];
    for (write, index) in written.writes.iter().zip(order) {
        if let Some(slot) = versions.get_mut(*index) {
            *slot = write.stamp.map(&version);
        }
    }
    let versions: Option<Vec<Version>> = versions.into_iter().collect();
    let versions = versions.ok_or_else(|| Error::internal("a write of a batch has no version"))?;
    Ok(BatchWritten { lsn, versions })
}
