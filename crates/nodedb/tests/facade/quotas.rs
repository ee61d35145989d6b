//! Tenants with a limit of bytes.

use crate::world::World;
use nodedb::{
    BatchOp, Collection, CollectionKind, Database, Error, ErrorKind, NewCollection, OpenOptions,
    Tenant, TenantLimits, WriteOptions,
};

const LIMIT: u64 = 10_000;

fn options(create: bool) -> OpenOptions {
    let tenant_limits = TenantLimits { bytes: Some(LIMIT), ..TenantLimits::default() };
    OpenOptions { tenant_limits, ..World::options(create.then(World::small)) }
}

/// A document of 1,000 bytes with its key.
fn put(collection: &Collection, key: u32) -> Result<(), Error> {
    let value = format!("\"{}\"", "x".repeat(994));
    let options = WriteOptions::default();
    collection.put_raw(format!("{key:04}"), value.as_bytes(), options).map(|_written| ())
}

fn is_full(result: Result<(), Error>) -> bool {
    result.is_err_and(|error| {
        assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
        let text = error.to_string();
        assert!(text.contains("10000 bytes") && text.contains("delete"), "{text}");
        true
    })
}

fn collection(tenant: &Tenant) -> Result<Collection, Error> {
    tenant.create_collection(NewCollection::named("c"))?;
    tenant.collection("c")
}

#[test]
fn a_tenant_takes_no_more_bytes_than_its_limit() -> Result<(), Error> {
    let world = World::new();
    let database = Database::open_with(world.dir(), options(true))?;
    let acme = database.tenant(Some("acme"))?;
    let documents = collection(&acme)?;
    for key in 0..10 {
        put(&documents, key)?;
    }
    let held = documents.statistics()?;
    assert_eq!(held.key_bytes + held.value_bytes, LIMIT, "exactly the limit");
    assert!(is_full(put(&documents, 10)));
    let one = documents.put_raw("k", b"1", WriteOptions::default());
    assert!(is_full(one.map(|_written| ())), "not a byte more");
    let other = collection(&database.tenant(None)?)?;
    put(&other, 0)?;

    // A delete makes room, of one put and no more.
    documents.delete("0003", WriteOptions::default())?;
    put(&documents, 3)?;
    assert!(is_full(put(&documents, 11)));
    assert_eq!(documents.delete_where("TRUE")?.count, 10);
    for key in 0..10 {
        put(&documents, key)?;
    }
    assert!(is_full(put(&documents, 11)));
    assert_eq!(documents.count(None)?, 10);
    Ok(())
}

#[test]
fn the_limit_holds_after_a_reopen() -> Result<(), Error> {
    let world = World::new();
    let database = Database::open_with(world.dir(), options(true))?;
    let documents = collection(&database.tenant(Some("acme"))?)?;
    for key in 0..10 {
        put(&documents, key)?;
    }
    database.close()?;
    let database = Database::open_with(world.dir(), options(false))?;
    let acme = database.tenant(Some("acme"))?;
    let documents = acme.collection("c")?;
    assert!(is_full(put(&documents, 10)));
    documents.delete("0000", WriteOptions::default())?;
    put(&documents, 10)?;
    assert!(is_full(put(&documents, 11)));
    acme.drop_collection("c")?;
    let documents = collection(&acme)?;
    for key in 0..10 {
        put(&documents, key)?;
    }
    assert!(is_full(put(&documents, 10)));
    database.close()?;
    // A limit that was lowered below what is there: nothing but deletes.
    let low = TenantLimits { bytes: Some(5_000), ..TenantLimits::default() };
    let options = OpenOptions { tenant_limits: low, ..options(false) };
    let database = Database::open_with(world.dir(), options)?;
    let documents = database.tenant(Some("acme"))?.collection("c")?;
    for key in 0..6 {
        assert_eq!(put(&documents, 20).expect_err("full").kind(), ErrorKind::NoSpace);
        documents.delete(format!("{key:04}"), WriteOptions::default())?;
    }
    put(&documents, 20)?;
    Ok(())
}

/// Batches are refused whole and before anything is logged; those of deletes never are. Merges count.
#[test]
fn batches_and_merges_are_held_to_the_limit_too() -> Result<(), Error> {
    let world = World::new();
    let database = Database::open_with(world.dir(), options(true))?;
    let acme = database.tenant(Some("acme"))?;
    let documents = collection(&acme)?;
    let value = format!("\"{}\"", "x".repeat(994)).into_bytes();
    let batch_of = |keys: std::ops::Range<u32>| {
        let put = |key: u32| BatchOp::Put {
            collection: "c".to_owned(),
            key: format!("{key:04}").into_bytes(),
            value: value.clone(),
            expect: None,
        };
        keys.map(put).collect::<Vec<_>>()
    };
    acme.batch(&batch_of(0..6))?;
    let before = database.status()?.durable_lsn;
    assert!(is_full(acme.batch(&batch_of(6..11)).map(|_written| ())));
    assert_eq!(database.status()?.durable_lsn, before, "nothing was logged");
    acme.batch(&batch_of(6..10))?;
    acme.create_collection(NewCollection::named("t").with_kind(CollectionKind::Crdt))?;
    let texts = acme.collection("t")?;
    let edit = |text: &str| {
        texts.edit_crdt("k", |doc| doc.get_text("t").insert(0, text)).map(|_merged| ())
    };
    assert!(is_full(edit("a")));
    let delete = |key: u32| BatchOp::Delete {
        collection: "c".to_owned(),
        key: format!("{key:04}").into_bytes(),
        expect: None,
    };
    acme.batch(&(0..4).map(delete).collect::<Vec<_>>())?;
    edit("a")?;
    assert!(is_full(edit(&"b".repeat(5_000))));
    put(&documents, 0)?;
    Ok(())
}

/// Many at once, of whom each sees the limit; together they do not pass it.
#[test]
fn callers_at_the_same_time_do_not_pass_the_limit_together() -> Result<(), Error> {
    let world = World::new();
    let database = Database::open_with(world.dir(), options(true))?;
    let documents = collection(&database.tenant(Some("acme"))?)?;
    std::thread::scope(|scope| {
        for caller in 0..4_u32 {
            let documents = &documents;
            scope.spawn(move || {
                for key in 0..20 {
                    // Overwrites too: they take room until they are counted.
                    match put(documents, caller * 5 + key % 5) {
                        Ok(()) => {}
                        Err(error) => assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}"),
                    }
                }
            });
        }
    });
    let held = documents.statistics()?;
    assert!(held.key_bytes + held.value_bytes <= LIMIT, "{held:?}");
    assert!(held.documents >= 9, "{held:?}");
    Ok(())
}
