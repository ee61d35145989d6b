use super::*;
use crate::{
    Collection, CollectionKind, FieldIndex, Index, IndexState, Metric, VectorIndex, VectorStorage,
};
use nodedb_types::{Name, TenantId};

fn samples() -> Vec<Redo> {
    let mut all = writes();
    all.extend(catalog_changes());
    all
}

fn remembered() -> Redo {
    Redo::Idempotency(Idempotency {
        key: Bytes::from_static(b"order-7"),
        issued: 1_700_000_000_000,
        digest: u128::MAX - 1,
        outcome: Bytes::from_static(b"outcome"),
        evicted: vec![
            IssuedKey { issued: 1_500_000_000_000, key: Bytes::from_static(b"order-1") },
            IssuedKey { issued: 1_600_000_000_000, key: Bytes::new() },
        ],
        horizon: IssuedKey { issued: 1_600_000_000_000, key: Bytes::new() },
        kept: 10_000,
    })
}

fn writes() -> Vec<Redo> {
    let collection = CollectionId::new(3);
    let key = Bytes::from_static(b"a key");
    let rows = CrdtRows { slots: vec![4, 0, 2], used: 6 };
    let vector = Some(vec![0.5, -1.0, f32::MIN_POSITIVE]);
    vec![
        Redo::Put {
            collection,
            key: key.clone(),
            value: Bytes::from_static(b"{\"a\":1.0}"),
            vectors: vec![
                VectorChange { index: IndexId::new(9), vector },
                VectorChange { index: IndexId::new(10), vector: None },
            ],
            expires: None,
            fields: Vec::new(),
        },
        Redo::Delete {
            collection,
            key: key.clone(),
            vectors: vec![IndexId::new(9)],
            crdt: Some(rows.clone()),
            fields: Vec::new(),
        },
        Redo::Put {
            collection,
            key: key.clone(),
            value: Bytes::new(),
            expires: Some(u64::MAX),
            vectors: Vec::new(),
            fields: vec![FieldChange {
                index: IndexId::new(11),
                before: None,
                after: Some(Bytes::from_static(b"value")),
            }],
        },
        Redo::IndexRows {
            collection,
            index: IndexId::new(9),
            rows: vec![
                IndexRow { key: key.clone(), entry: IndexEntry::Vector(vec![1.0, 2.0]) },
                IndexRow { key: key.clone(), entry: IndexEntry::Field(Bytes::new()) },
            ],
        },
        remembered(),
        Redo::CrdtMerge {
            collection,
            key: key.clone(),
            slot: 0,
            update: Bytes::from_static(b"update"),
            rows: CrdtRows { slots: vec![0], used: 1 },
        },
        Redo::CrdtSnapshot {
            collection,
            key,
            slot: 2,
            snapshot: Bytes::from_static(b"snapshot"),
            rows,
            freed: vec![5, 1],
        },
    ]
}
fn catalog_changes() -> Vec<Redo> {
    let collection = CollectionId::new(3);
    let name = |text| Name::new(text).expect("a good name");
    vec![
        Redo::Catalog(CatalogChange::CreateTenant { id: TenantId::new(5), name: name("acme") }),
        Redo::Catalog(CatalogChange::CreateCollection(Collection {
            id: collection,
            tenant: TenantId::DEFAULT,
            name: name("notes"),
            kind: CollectionKind::Document,
            partitions: 4,
            vectors: vec![VectorIndex {
                id: IndexId::new(9),
                field: "embedding".to_owned(),
                dimensions: 384,
                metric: Metric::Cosine,
                storage: VectorStorage::default(),
                state: IndexState::default(),
            }],
            fields: Vec::new(),
        })),
        Redo::Catalog(CatalogChange::CreateIndex {
            collection,
            index: Index::Field(FieldIndex {
                id: IndexId::new(12),
                path: "address.city".to_owned(),
                unique: true,
                state: IndexState::Building,
            }),
        }),
        Redo::Catalog(CatalogChange::IndexReady { collection, index: IndexId::new(12) }),
        Redo::Catalog(CatalogChange::DropIndex { collection, index: IndexId::new(12) }),
        Redo::Catalog(CatalogChange::DropCollection {
            id: collection,
            indexes: vec![IndexId::new(9)],
        }),
    ]
}

#[test]
fn every_kind_reads_back() {
    for redo in samples() {
        assert_eq!(Redo::decode(redo.kind(), &redo.encode()), Ok(redo));
    }
}

#[test]
fn every_prefix_and_every_longer_input_is_refused() {
    for redo in samples() {
        let mut bytes = redo.encode();
        for cut in 0..bytes.len() {
            assert!(Redo::decode(redo.kind(), &bytes[..cut]).is_err(), "{redo:?} cut at {cut}");
        }
        bytes.push(0);
        assert!(Redo::decode(redo.kind(), &bytes).is_err(), "{redo:?} with a byte more");
    }
}

#[test]
fn flipped_bits_never_panic() {
    for redo in samples() {
        let bytes = redo.encode();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            // Whether it decodes is the log's CRC's business; it must only never panic.
            drop(Redo::decode(redo.kind(), &damaged));
        }
    }
}

#[test]
fn a_slot_that_is_listed_twice_or_was_never_written_is_refused() {
    for bytes in [[3, 2, 1, 1], [3, 2, 0, 3]] {
        let error = CrdtRows::decode(&mut ByteReader::new(&bytes)).expect_err("no such list");
        assert!(matches!(error, DecodeError::OutOfRange { field: "crdt slots", .. }), "{error}");
    }
    let all = CrdtRows { slots: (0..255).collect(), used: 255 };
    let mut bytes = Vec::new();
    all.encode(&mut bytes);
    assert_eq!(CrdtRows::decode(&mut ByteReader::new(&bytes)), Ok(all));
}

#[test]
fn housekeeping_is_no_redo() {
    for kind in [RecordKind::Checkpoint, RecordKind::RestorePoint] {
        assert!(kind.is_housekeeping());
        assert!(Redo::decode(kind, &[FORMAT]).is_err());
    }
}
