//! Tenants with a limit of bytes.

use crate::world::World;
use nodedb::{
    BatchOp, BatchOptions, Collection, CollectionKind, CreateOptions, Database, Error, ErrorKind,
    IdempotencyId, ImportOptions, Metric, NewCollection, NewIndex, OpenOptions, Tenant,
    TenantLimits, WriteOptions,
};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
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

fn once(id: &str) -> WriteOptions {
    let idempotency = Some(IdempotencyId::new(id).expect("a name"));
    WriteOptions { idempotency, ..WriteOptions::default() }
}

/// A document of so many bytes.
fn text(bytes: usize) -> Vec<u8> {
    format!("\"{}\"", "x".repeat(bytes - 2)).into_bytes()
}

/// The limit was judged before the key: whoever lost the answer to the put that filled the tenant was told
/// that there is no room for it, and took an acknowledged write for a refused one (protocol rule P5).
#[test]
fn a_retry_at_a_full_tenant_gets_its_first_answer() -> Result<(), Error> {
    let world = World::new();
    let mut database = Database::open_with(world.dir(), options(true))?;
    let tenant = database.tenant(Some("acme"))?;
    let documents = collection(&tenant)?;
    let put = |key: &str, bytes: usize| BatchOp::Put {
        collection: "c".to_owned(),
        key: key.as_bytes().to_vec(),
        value: text(bytes),
        expect: None,
    };
    let batch = [put("k-a", 4_992), put("k-b", 2)];
    let options_of = |id: &str| BatchOptions { idempotency: once(id).idempotency };
    let first = documents.put_raw("once", &text(4_996), once("put"))?;
    let whole = tenant.batch_with(&batch, options_of("batch"))?;
    drop((tenant, documents));
    for _life in 0..2 {
        let tenant = database.tenant(Some("acme"))?;
        let documents = tenant.collection("c")?;
        let refused = documents.put_raw("new", &text(4_996), once("new"));
        assert!(is_full(refused.map(|_written| ())));
        assert_eq!(documents.put_raw("once", &text(4_996), once("put"))?, first);
        assert_eq!(documents.put_async("once", &text(4_996), once("put"))?.wait()?, first);
        assert_eq!(tenant.batch_with(&batch, options_of("batch"))?, whole);
        let other = documents.put_raw("once", &text(10), once("put")).expect_err("another");
        assert_eq!(other.kind(), ErrorKind::Conflict);
        let other = [put("k-a", 4_992), put("k-b", 3)];
        let conflict = tenant.batch_with(&other, options_of("batch")).expect_err("another");
        assert_eq!(conflict.kind(), ErrorKind::Conflict);
        let refused = tenant.batch_with(&other, options_of("new"));
        assert!(is_full(refused.map(|_written| ())));
        assert!(documents.get("new")?.is_none());
        database.close()?;
        database = Database::open_with(world.dir(), options(false))?;
    }
    Ok(())
}

/// An index that came since would refuse the value now, which does not undo that it was put.
#[test]
fn a_retry_under_a_newer_index_gets_its_first_answer() -> Result<(), Error> {
    let world = World::new();
    let database = world.open(World::small());
    let documents = collection(&database.tenant(None)?)?;
    let value = br#"{"v":[1,2,3]}"#;
    let first = documents.put_raw("k", value, once("put"))?;
    documents.delete("k", WriteOptions::default())?;
    documents.add_index(NewIndex::vector("v", 2, Metric::L2))?;
    assert_eq!(documents.put_raw("k", value, once("put"))?, first);
    let refused = documents.put_raw("k", value, once("new")).expect_err("3 numbers, not 2");
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert!(documents.get("k")?.is_none());
    Ok(())
}

const ROWS: u32 = 300_000;

/// A count was one request, held one snapshot, and began anew when either was overtaken: a tenant that
/// takes longer to count than a request may take was never counted, and nobody could write to it.
#[test]
fn a_tenant_that_takes_long_to_count_is_counted_beside_writes() -> Result<(), Error> {
    let world = World::new();
    let create = World::small();
    let create = CreateOptions { segment_bytes: 4 << 20, vshards: 2, ..create };
    let database = Database::open_with(world.dir(), World::options(Some(create)))?;
    let documents = collection(&database.tenant(Some("acme"))?)?;
    let line = |key: u32| format!("{{\"k\":\"{key:08}\"}}\n");
    let lines = (0..ROWS).map(line).collect::<Vec<_>>().concat();
    let import = ImportOptions { batch: 10_000, ..ImportOptions::keyed_by("k") };
    let report = documents.import(lines.as_bytes(), &import, &mut |_| {})?;
    assert_eq!(report.imported, u64::from(ROWS));
    let held = documents.statistics()?;
    let held = held.key_bytes + held.value_bytes;
    drop(documents);
    database.close()?;

    // Opened again nothing is known of it, and no request may take as long as the count does.
    let tenant_limits = TenantLimits { bytes: Some(held + 100), ..TenantLimits::default() };
    let request_deadline = Duration::from_millis(20);
    let cores = Some(1);
    let options = OpenOptions { tenant_limits, request_deadline, cores, ..World::options(None) };
    let database = Database::open_with(world.dir(), options)?;
    let documents = database.tenant(Some("acme"))?.collection("c")?;
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Changes the collection all the time, without taking room.
            while !ended.load(Ordering::Acquire) {
                drop(documents.delete("none", WriteOptions::default()));
                drop(documents.delete("00000007", WriteOptions::default()));
            }
        });
        let admitted = (0..2_000).any(|_| match put_small(&documents) {
            Ok(()) => true,
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Busy | ErrorKind::Timeout), "{error}");
                false
            }
        });
        ended.store(true, Ordering::Release);
        assert!(admitted, "it was never counted");
    });
    Ok(())
}

fn put_small(collection: &Collection) -> Result<(), Error> {
    collection.put_raw("00000007", b"1", WriteOptions::default()).map(|_written| ())
}

/// It said only why it had ended, not how far it had come, and nobody knew where to go on.
#[test]
fn an_import_that_ends_early_says_where_to_go_on() -> Result<(), Error> {
    let world = World::new();
    let database = Database::open_with(world.dir(), options(true))?;
    let documents = collection(&database.tenant(None)?)?;
    let text = "x".repeat(900);
    let rows = 100_usize;
    // Lines without a row count as lines all the same.
    let lines: Vec<String> = (0..rows)
        .flat_map(|id| [String::new(), format!(r#"{{"id":{id},"text":"{text}"}}"#)])
        .collect();
    let import = |from: usize| {
        let rest = lines[from..].join("\n");
        let options = ImportOptions { batch: 4, ..ImportOptions::keyed_by("id") };
        documents.import(rest.as_bytes(), &options, &mut |_| ())
    };
    let error = import(0).expect_err("full");
    assert_eq!(error.kind(), ErrorKind::NoSpace);
    let Error::ImportEnded { imported, next_line, .. } = error else { panic!("{error}") };
    assert!((1..11).contains(&imported), "{imported} of a kilobyte in {LIMIT} bytes");
    assert_eq!(next_line, 2 * imported + 1, "behind the last row that is known to be durable");
    for id in 0..imported {
        assert!(documents.get(id.to_string())?.is_some(), "row {id} was said to be durable");
    }
    let next = usize::try_from(next_line).expect("small") - 1;
    let error = import(next).expect_err("still full");
    assert!(matches!(error, Error::ImportEnded { next_line: 1 | 3, .. }), "{error}");
    let error = documents
        .import(&b"{}\n"[..], &ImportOptions::keyed_by(""), &mut |_| ())
        .expect_err("no member has this name");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    Ok(())
}
