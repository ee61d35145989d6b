use super::*;
use crate::CollectionKind;

fn collection(id: u32, name: &str) -> Collection {
    Collection {
        id: CollectionId::new(id),
        tenant: TenantId::DEFAULT,
        name: Name::new(name).expect("a good name"),
        kind: CollectionKind::Document,
        partitions: 1,
        vectors: Vec::new(),
        fields: Vec::new(),
    }
}

fn lsn(value: u64) -> Lsn {
    Lsn::from_u64(value).expect("not zero")
}

#[test]
fn ids_are_never_reused_also_not_after_a_drop() {
    let mut catalog = Catalog::default();
    let create = CatalogChange::CreateCollection(collection(1, "notes"));
    catalog.apply(lsn(10), &create);
    let drop = CatalogChange::DropCollection { id: CollectionId::new(1), indexes: Vec::new() };
    catalog.apply(lsn(20), &drop);
    assert_eq!(catalog.next_ids().1, CollectionId::new(2));
    assert!(catalog.check(&create).is_err(), "the id of a dropped collection is taken");
    // Replayed twice: a create below the drop must not resurrect it.
    catalog.apply(lsn(10), &create);
    assert!(catalog.get(CollectionId::new(1)).is_none());
}

/// P11: with the catalog at 500 and a vshard at 300, redo of a collection that was dropped at 450 is
/// skipped, and redo of an id that nobody ever created is corruption.
#[test]
fn redo_of_a_dropped_collection_is_skipped_and_of_an_unknown_one_refused() {
    let mut catalog = Catalog::default();
    catalog.apply(lsn(100), &CatalogChange::CreateCollection(collection(1, "old")));
    catalog.apply(lsn(200), &CatalogChange::CreateCollection(collection(2, "live")));
    let drop = CatalogChange::DropCollection { id: CollectionId::new(1), indexes: Vec::new() };
    catalog.apply(lsn(450), &drop);
    assert_eq!(catalog.admits(CollectionId::new(1), lsn(301)), Some(false));
    assert_eq!(catalog.admits(CollectionId::new(1), lsn(451)), None);
    assert_eq!(catalog.admits(CollectionId::new(2), lsn(301)), Some(true));
    assert_eq!(catalog.admits(CollectionId::new(2), lsn(150)), None);
    assert_eq!(catalog.admits(CollectionId::new(3), lsn(301)), None);
}

#[test]
fn the_catalog_reads_back_and_every_prefix_is_refused() {
    let mut catalog = Catalog::default();
    let name = Name::new("acme").expect("a good name");
    catalog.apply(lsn(1), &CatalogChange::CreateTenant { id: TenantId::new(2), name });
    catalog.apply(lsn(2), &CatalogChange::CreateCollection(collection(1, "a")));
    catalog.apply(lsn(3), &CatalogChange::CreateCollection(collection(2, "b")));
    let drop = CatalogChange::DropCollection { id: CollectionId::new(1), indexes: Vec::new() };
    catalog.apply(lsn(4), &drop);
    let bytes = catalog.encode();
    assert_eq!(Catalog::decode(&bytes), Ok(catalog));
    for cut in 0..bytes.len() {
        assert!(Catalog::decode(&bytes[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn the_limit_of_collections_is_checked_before_anything_is_logged() {
    let mut catalog = Catalog::default();
    for id in 1..=u32::try_from(limits::COLLECTIONS_MAX).expect("fits") {
        let create = CatalogChange::CreateCollection(collection(id, &format!("c{id}")));
        assert_eq!(catalog.check(&create), Ok(()));
        catalog.apply(lsn(u64::from(id)), &create);
    }
    let one_more = CatalogChange::CreateCollection(collection(900_000, "more"));
    assert!(matches!(catalog.check(&one_more), Err(CatalogError::TooMany { .. })));
}

/// Bytes of a log record, checksummed but perhaps forged: applying them must not end the process.
#[test]
fn a_change_whose_id_has_no_next_one_is_refused_before_it_is_applied() {
    let mut indexed = collection(1, "notes");
    indexed.vectors.push(crate::VectorIndex {
        id: IndexId::new(u32::MAX),
        field: "v".to_owned(),
        dimensions: 3,
        metric: crate::Metric::L2,
        storage: crate::VectorStorage::default(),
        state: crate::IndexState::default(),
    });
    for forged in [
        CatalogChange::CreateTenant {
            id: TenantId::new(u64::MAX),
            name: Name::new("t").expect("a good name"),
        },
        CatalogChange::CreateCollection(collection(u32::MAX, "notes")),
        CatalogChange::CreateCollection(indexed),
    ] {
        let mut bytes = Vec::new();
        forged.encode(&mut bytes);
        let decoded = CatalogChange::decode(&mut ByteReader::new(&bytes));
        assert!(decoded.is_err(), "{forged:?}");
    }
}

fn field_index(id: u32, path: &str, unique: bool) -> Index {
    let (id, path) = (IndexId::new(id), path.to_owned());
    Index::Field(crate::FieldIndex { id, path, unique, state: crate::IndexState::Building })
}

#[test]
fn an_index_comes_becomes_ready_goes_and_never_comes_back() {
    let mut catalog = Catalog::default();
    catalog.apply(lsn(10), &CatalogChange::CreateCollection(collection(1, "notes")));
    let id = CollectionId::new(1);
    let create =
        CatalogChange::CreateIndex { collection: id, index: field_index(1, "lang", false) };
    assert_eq!(catalog.check(&create), Ok(()));
    catalog.apply(lsn(20), &create);
    let again = CatalogChange::CreateIndex { collection: id, index: field_index(2, "lang", false) };
    assert!(matches!(catalog.check(&again), Err(CatalogError::IndexExists { .. })));
    let state = |catalog: &Catalog| {
        let notes = catalog.get(id).expect("there");
        notes.field_index("lang").map(|index| index.state)
    };
    assert_eq!(state(&catalog), Some(crate::IndexState::Building));
    let index = IndexId::new(1);
    catalog.apply(lsn(30), &CatalogChange::IndexReady { collection: id, index });
    assert_eq!(state(&catalog), Some(crate::IndexState::Ready));
    let drop = CatalogChange::DropIndex { collection: id, index };
    assert_eq!(catalog.check(&drop), Ok(()));
    catalog.apply(lsn(40), &drop);
    assert!(matches!(catalog.check(&drop), Err(CatalogError::IndexMissing { .. })));
    // Its rows may still be stored under its id.
    assert!(catalog.check(&create).is_err(), "the id is taken");
    catalog.apply(lsn(20), &create);
    assert_eq!(state(&catalog), None);
    assert_eq!(catalog.next_ids().2, IndexId::new(2));
    assert_eq!(Catalog::decode(&catalog.encode()), Ok(catalog));
}

#[test]
fn a_unique_index_needs_one_partition_and_indexes_are_limited() {
    let mut catalog = Catalog::default();
    let id = CollectionId::new(1);
    let mut wide = collection(1, "notes");
    wide.partitions = 2;
    catalog.apply(lsn(10), &CatalogChange::CreateCollection(wide));
    let create = |index| CatalogChange::CreateIndex { collection: id, index };
    let refused = catalog.check(&create(field_index(1, "lang", true)));
    assert!(matches!(refused, Err(CatalogError::UniqueNeedsOnePartition { partitions: 2, .. })));
    for number in (1..).take(limits::INDEXES_MAX) {
        let change = create(field_index(number, &format!("field-{number}"), false));
        assert_eq!(catalog.check(&change), Ok(()));
        catalog.apply(lsn(20 + u64::from(number)), &change);
    }
    let more = catalog.check(&create(field_index(1000, "one-more", false)));
    assert!(matches!(more, Err(CatalogError::TooManyIndexes { .. })), "{more:?}");
}
