//! Keys of stored rows.

use crate::{
    index::value,
    row_range::{Edge, RowRange},
};
use bytes::Bytes;
use nodedb_engine::IssuedKey;
use nodedb_types::{ByteReader, CollectionId, DecodeError, IndexId, TenantId};

/// The key of the floor row. Every other key starts with the eight bytes of a tenant, of which this is
/// a proper prefix of the smallest, so it sorts before all of them and equals none.
pub(crate) const FLOOR_KEY: &[u8] = &[0];

/// Bytes in front of a user key: tenant, collection, area.
pub(crate) const HEAD_BYTES: usize = 8 + 4 + 1;

const DATA: u8 = 1;
const CRDT: u8 = 2;
const FIELD: u8 = 5;

/// Bytes in front of the value of a field index: head, index.
const FIELD_HEAD_BYTES: usize = HEAD_BYTES + 4;
/// Of the collection 0 of the tenant 0, which are never anybody's.
const EXPIRY: u8 = 16;
const IDEMPOTENCY_KEY: u8 = 17;
const IDEMPOTENCY_SUMMARY: u8 = 18;
const IDEMPOTENCY_AGE: u8 = 19;

/// Where rows stand that belong to a tenant and to no collection: no collection has this id.
const NO_COLLECTION: CollectionId = CollectionId::new(0);

/// A key of a collection of a tenant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place<'a> {
    /// Whose.
    pub tenant: TenantId,
    /// In which collection.
    pub collection: CollectionId,
    /// Which key, 1 to [`nodedb_types::limits::KEY_BYTES_MAX`] bytes.
    pub key: &'a [u8],
}

impl Place<'_> {
    /// The row of the document itself; of a CRDT document, the list of its rows.
    pub(crate) fn data(&self) -> Bytes {
        let mut row = head(self.tenant, self.collection, DATA, self.key.len());
        row.extend_from_slice(self.key);
        row.into()
    }

    /// A row of a CRDT document: a snapshot or updates.
    #[expect(clippy::expect_used, reason = "keys are checked against 1 KiB before they are logged")]
    pub(crate) fn crdt(&self, slot: u8) -> Bytes {
        let length = u16::try_from(self.key.len()).expect("keys are at most 1 KiB long");
        let mut row = head(self.tenant, self.collection, CRDT, self.key.len() + 3);
        // The length in front keeps the rows of `a` apart from those of a key that starts with `a`.
        row.extend_from_slice(&length.to_be_bytes());
        row.extend_from_slice(self.key);
        row.push(slot);
        row.into()
    }
}

impl Place<'_> {
    /// The row by which a field index finds the document under this value.
    pub(crate) fn field(&self, index: IndexId, value: &[u8]) -> Bytes {
        let mut row = field_prefix(self.tenant, self.collection, index);
        row.reserve(value.len() + self.key.len());
        row.extend_from_slice(value);
        row.extend_from_slice(self.key);
        row.into()
    }
}

/// The bytes that all rows of a field index start with; the value and the key follow.
pub(crate) fn field_prefix(tenant: TenantId, collection: CollectionId, index: IndexId) -> Vec<u8> {
    let mut row = head(tenant, collection, FIELD, 4);
    row.extend_from_slice(&index.get().to_be_bytes());
    row
}

/// The field index that a row belongs to; `None` of other rows.
pub(crate) fn index_of(row: &[u8]) -> Option<IndexId> {
    if row.get(HEAD_BYTES - 1) != Some(&FIELD) {
        return None;
    }
    let field = row.get(HEAD_BYTES..FIELD_HEAD_BYTES)?.try_into().ok()?;
    Some(IndexId::new(u32::from_be_bytes(field)))
}

/// Value and key of a row of a field index.
pub(crate) fn entry_of(row: &[u8]) -> Option<(&[u8], &[u8])> {
    value::split(row.get(FIELD_HEAD_BYTES..)?)
}

/// The bytes that the rows of all documents of a collection start with.
pub(crate) fn data_prefix(
    tenant: TenantId,
    collection: CollectionId,
    key_prefix: &[u8],
) -> Vec<u8> {
    let mut row = head(tenant, collection, DATA, key_prefix.len());
    row.extend_from_slice(key_prefix);
    row
}

/// All rows of the documents of a collection, whatever they consist of, and nothing of its indexes.
pub(crate) fn collection_rows(tenant: TenantId, collection: CollectionId) -> RowRange {
    let from = Edge::before(head(tenant, collection, DATA, 0));
    let end = Edge::before(head(tenant, collection, CRDT + 1, 0));
    RowRange::prefix(Bytes::new()).starting(from).ending(end)
}

/// Whether a row is the one that a document has exactly one of.
pub(crate) fn is_document(row: &[u8]) -> bool {
    row.get(HEAD_BYTES - 1) == Some(&DATA)
}

/// What the entries of the list of times start with.
pub(crate) fn expiry_prefix() -> Vec<u8> {
    head(TenantId::SYSTEM, NO_COLLECTION, EXPIRY, 8 + 8 + 4)
}

/// The entry of a document in the list of times.
pub(crate) fn expiry_row(time_ms: u64, place: &Place<'_>) -> Bytes {
    let mut row = expiry_prefix();
    row.extend_from_slice(&time_ms.to_be_bytes());
    row.extend_from_slice(&place.tenant.get().to_be_bytes());
    row.extend_from_slice(&place.collection.get().to_be_bytes());
    row.extend_from_slice(place.key);
    row.into()
}

/// The row of an idempotency key.
pub(crate) fn idempotency_key(tenant: TenantId, key: &[u8]) -> Bytes {
    let mut row = head(tenant, NO_COLLECTION, IDEMPOTENCY_KEY, key.len());
    row.extend_from_slice(key);
    row.into()
}

/// The row that says how many idempotency keys a tenant has, and which was pushed out last.
pub(crate) fn idempotency_summary(tenant: TenantId) -> Bytes {
    head(tenant, NO_COLLECTION, IDEMPOTENCY_SUMMARY, 0).into()
}

/// The bytes that the entries of a tenant's idempotency keys by their age start with.
pub(crate) fn idempotency_ages(tenant: TenantId) -> Vec<u8> {
    head(tenant, NO_COLLECTION, IDEMPOTENCY_AGE, 0)
}

/// The entry of an idempotency key among those by age.
pub(crate) fn idempotency_age(tenant: TenantId, key: &IssuedKey) -> Bytes {
    let mut row = head(tenant, NO_COLLECTION, IDEMPOTENCY_AGE, 8 + key.key.len());
    row.extend_from_slice(&key.issued.to_be_bytes());
    row.extend_from_slice(&key.key);
    row.into()
}

/// The idempotency key of an entry by age.
pub(crate) fn issued_key(row: &Bytes) -> Result<IssuedKey, DecodeError> {
    let mut reader = ByteReader::new(row);
    reader.take("head of an entry by age", HEAD_BYTES)?;
    let issued = u64::from_be_bytes(reader.array("issue time")?);
    Ok(IssuedKey { issued, key: row.slice(HEAD_BYTES + 8..) })
}

/// The collection that a row belongs to; `None` of the floor row.
pub(crate) fn collection_of(row: &[u8]) -> Option<CollectionId> {
    let field = row.get(8..12)?.try_into().ok()?;
    Some(CollectionId::new(u32::from_be_bytes(field)))
}

/// The smallest key above all keys with this prefix; `None` if there is none.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix.get(..=last)?.to_vec();
    if let Some(byte) = end.last_mut() {
        *byte += 1;
    }
    Some(end)
}

// Numbers are big-endian here, and only here, so that rows sort by them.
fn head(tenant: TenantId, collection: CollectionId, area: u8, rest: usize) -> Vec<u8> {
    let mut row = Vec::with_capacity(HEAD_BYTES + rest);
    row.extend_from_slice(&tenant.get().to_be_bytes());
    row.extend_from_slice(&collection.get().to_be_bytes());
    row.push(area);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(tenant: u64, collection: u32, key: &[u8]) -> Place<'_> {
        let (tenant, collection) = (TenantId::new(tenant), CollectionId::new(collection));
        Place { tenant, collection, key }
    }

    #[test]
    fn the_floor_sorts_before_every_row() {
        assert!(FLOOR_KEY < place(0, 0, b"").data().as_ref());
        assert_eq!(collection_of(FLOOR_KEY), None);
    }

    #[test]
    fn rows_sort_by_tenant_collection_and_key() {
        let rows = [
            place(1, 1, b"b").data(),
            place(1, 1, b"ba").data(),
            place(1, 256, b"").data(),
            place(2, 0, b"").data(),
            place(256, 0, b"").data(),
        ];
        assert!(rows.is_sorted());
        assert_eq!(collection_of(&rows[2]), Some(CollectionId::new(256)));
    }

    #[test]
    fn crdt_rows_of_one_key_are_contiguous() {
        let short = [place(1, 1, b"a").crdt(0), place(1, 1, b"a").crdt(255)];
        let long = place(1, 1, b"a\0").crdt(0);
        assert!(short[0] < short[1] && short[1] < long);
    }

    #[test]
    fn entries_of_an_index_sort_by_value_and_key() {
        let (one, two) = (IndexId::new(1), IndexId::new(256));
        let rows = [
            place(1, 1, b"b").field(one, &[1, 0]),
            place(1, 1, b"a").field(one, &[1, 1]),
            place(1, 1, b"b").field(one, &[1, 1]),
            place(1, 1, b"a").field(two, &[1, 0]),
            place(1, 2, b"").field(one, &[1, 0]),
        ];
        assert!(rows.is_sorted());
        assert_eq!(entry_of(&rows[2]), Some((&[1, 1][..], &b"b"[..])));
        assert_eq!(rows.each_ref().map(|row| index_of(row)), [one, one, one, two, one].map(Some));
        assert_eq!(collection_of(&rows[4]), Some(CollectionId::new(2)));
        assert_eq!(index_of(&place(1, 1, b"12345").data()), None);
        assert_eq!(index_of(FLOOR_KEY), None);
    }

    #[test]
    fn the_end_of_a_prefix_is_above_all_of_it() {
        assert_eq!(after_prefix(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(after_prefix(&[1, 255, 255]), Some(vec![2]));
        assert_eq!(after_prefix(&[255]), None);
        assert_eq!(after_prefix(b""), None);
    }
}
